"""Check `narrowing`: what was done lies within what the buyer allowed, and every hop passed on no more than it had.

mandate -> the agent's token -> what the broker asked of an operator -> the operator's token -> rfq and order. A buyer
without a mandate has the limits of the broker's configuration (`House`) in its place.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from federation.evidence.verify.amounts import converted, rates_of
from federation.evidence.verify.attested import attested
from federation.evidence.verify.documents import same
from federation.evidence.verify.hops import Hop, agent_token, asked_of, hop_for, more
from federation.evidence.verify.purchase import Leg, Purchase, Round, purchase
from federation.evidence.verify.reading import Case, Item, unsound
from federation.tokens.grant import Asker, grants_hash, is_for
from federation.tokens.narrows import widened
from federation.tokens.reach import Stretch, check_path
from federation.trust.jose import sha256_b64
from schemas.access import AccessToken
from schemas.authority import Authority, Deed, Spend
from schemas.decision import Part
from schemas.grant import EndpointGrant
from schemas.mandate import Mandate
from schemas.order import Order
from schemas.price import MICRO_MAX, Money, RateTable
from schemas.problem import Problem
from schemas.quote import Action, PathQuote, Rfq
from schemas.segment import EntityId, Hash
from schemas.token import SKEW_S


class Source(NamedTuple):
    """Where the authority of a round comes from: a mandate, or limits that the broker set."""

    authority: Authority
    mandate: Item[Mandate] | None
    said: str


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    found = purchase(case)
    said = ""
    for one in found.rounds:
        assert one.path is not None, "a buyer's bundle has path quotes"
        source = source_of(case, found, one.path.claims)
        _check_grants(case, one)
        if source is None:
            said = "no mandate: whoever embedded the broker limits nothing"
            continue
        _check_reach(case, one, source, found)
        for leg in one.legs:
            _check_leg(case, one, leg, source)
        said = source.said
    return said


def source_of(case: Case, found: Purchase, quoted: PathQuote) -> Source | None:
    """The authority that a path quote names; None where it names none. Raises `DOCUMENT_INVALID`."""
    name = quoted.mandate_h
    if name is None:
        return None
    if name in case.items:
        return _mandated(case, found, case.find(name, Mandate, "the mandate"), quoted)
    house = case.bundle.house
    if house is None or house_hash(found.broker, house.buyer, house.authority) != name:
        raise unsound("the mandate, or the limits that the broker set, are missing")
    pairs = {"buyer": (quoted.sub, house.buyer), "until": (quoted.iat < house.authority.spend.until, True)}
    same("limits that the broker set", pairs)
    return Source(house.authority, None, f"within the limits that {found.broker} sets {house.buyer}")


def house_hash(broker: EntityId, buyer: str, authority: Authority) -> Hash:
    """`mandate_h` of a buyer that has no mandate: the hash of its limits."""
    return sha256_b64(msgspec.json.encode([broker, buyer, authority], order="sorted"))


def _mandated(case: Case, found: Purchase, mandate: Item[Mandate], quoted: PathQuote) -> Source:
    claims = mandate.claims
    given = claims.authorization_details[0]
    pairs = {
        "aud": (claims.aud, found.broker),
        "time": (claims.iat - SKEW_S <= quoted.iat < min(claims.exp, given.spend.until), True),
    }
    same("mandate", pairs)
    return Source(given, mandate, f"within the mandate {mandate.hash[:8]} of {claims.iss} for {claims.sub}")


def _check_leg(case: Case, one: Round, leg: Leg, source: Source) -> None:
    """The hops to one operator, and rfq and order within the last of them."""
    assert one.path is not None, "checked by the caller"
    rates, mandate_h = rates_of(case, one.path.claims), one.path.claims.mandate_h
    same(f"rfq to {leg.operator}", {"mandate_h": (leg.rfq.claims.mandate_h, mandate_h)})
    for document in asked_of(leg):
        hop = hop_for(case, leg.operator, document)
        _check_hop(hop, leg)
        _check_source(case, hop, leg, source, rates)
        _check_use(hop.token.claims, leg, document)


def _check_hop(hop: Hop, leg: Leg) -> None:
    token, asked, broker = hop.token.claims, hop.asked.claims, leg.rfq.claims.iss
    pairs = {
        "aud": (token.aud, leg.operator),
        "client_id": (token.client_id, broker),
        "iss": (asked.iss, broker),
        "act": (asked.act.sub, broker),
    }
    same(f"token of {leg.operator}", pairs)
    narrowed(token.authorization_details[0], asked.authorization_details[0], f"the token of {leg.operator}")


def _check_source(case: Case, hop: Hop, leg: Leg, source: Source, rates: RateTable) -> None:
    """What the broker asked for lies within what it was given itself: by an agent, or by its own configuration."""
    if source.mandate is None:
        if more(hop.asked.claims, source.authority, rates):
            raise unsound(f"the broker asked {leg.operator} for more than it was given")
        return
    token, mandate = agent_token(case, hop, rates), source.mandate.claims
    pairs = {
        "aud": (token.claims.aud, leg.rfq.claims.iss),
        "sub": (token.claims.sub, mandate.iss),
        "client_id": (token.claims.client_id, mandate.sub),
        "key": (token.claims.cnf.jkt, mandate.cnf.jkt),
        "exp": (token.claims.exp <= mandate.exp, True),
    }
    same("the agent's token", pairs)
    narrowed(token.claims.authorization_details[0], source.authority, "the agent's token")


def narrowed(child: Authority, parent: Authority, what: str) -> None:
    """Raises `DOCUMENT_INVALID` naming the axes on which `child` allows more."""
    if axes := tuple(widened(child, parent)):
        raise unsound(f"{what} allows more than it was given: {', '.join(axes)}")


def _check_use(token: AccessToken, leg: Leg, document: Rfq | Order) -> None:
    authority, segment = token.authorization_details[0], leg.quote.claims.segment
    deed = Deed.ORDER if document.action is Action.ADD else Deed.EXTEND
    if isinstance(document, Rfq):
        deed = Deed.QUOTE
    pairs: dict[str, tuple[object, object]] = {
        "actions": (deed in authority.actions, True),
        "locations": (authority.locations, (leg.operator,)),
        "max_bandwidth_bps": (segment.bandwidth_bps <= authority.max_bandwidth_bps, True),
        "spend.until": (document.iat < authority.spend.until, True),
    }
    if isinstance(document, Order) and document.amount is not None:
        pairs["spend"] = (_affords(authority.spend, document.amount), True)
    same(f"what {leg.operator} was asked beyond its token", pairs)


def _affords(spend: Spend, amount: Money) -> bool:
    return amount.currency == spend.ccy and amount.micro <= min(spend.per_order_micro, spend.total_micro)


def _check_reach(case: Case, one: Round, source: Source, found: Purchase) -> None:
    """The whole path and its price within the buyer's own word, by the facts that auditors attested."""
    assert one.path is not None, "checked by the caller"
    quoted, decided = one.path.claims, one.decision.claims
    stretches = []
    for judged in decided.judged:
        if judged.part is Part.CARRY and judged.route_class is not None:
            known = attested(case, one.decision, judged)
            stretches.append(Stretch(judged.entity, judged.route_class, known.facts, known.types))
    classes = frozenset() if decided.data_class is None else frozenset({decided.data_class})
    try:
        check_path(source.authority, quoted.bandwidth_bps, stretches, classes)
    except Problem as problem:
        raise unsound(f"beyond the mandate: {problem.detail}") from problem
    _check_spent(source.authority, one, found, rates_of(case, quoted))


def _check_spent(authority: Authority, one: Round, found: Purchase, rates: RateTable) -> None:
    """What the order may come to is at most what one order may cost; with an extension, all of it together."""
    spend, micro = authority.spend, 0
    if spend.per_order_micro >= MICRO_MAX:
        return
    for each in found.rounds[: found.rounds.index(one) + 1]:
        assert each.path is not None, "a buyer's bundle has path quotes"
        total = each.path.claims.total
        leaving = each.path.claims.exit_total.micro if each is one else 0
        micro += converted(rates, Money(total.currency, total.micro + leaving), spend.ccy).micro
    if micro > min(spend.per_order_micro, spend.total_micro):
        raise unsound(f"the path costs more than one order may: {micro} micro-{spend.ccy}")


def _check_grants(case: Case, one: Round) -> None:
    """Endpoint grants that an rfq names are shown, and are for its ends, its bandwidth and its window."""
    for leg in one.legs:
        rfq = leg.rfq.claims
        if rfq.grant_h is None:
            continue
        segment = leg.quote.claims.segment
        found = [item for item in case.all(EndpointGrant) if item.claims.aud == leg.operator]
        found = [item for item in found if item.claims.uni in {segment.a.interface, segment.z.interface}]
        ordered = sorted(found, key=lambda item: item.claims.uni != segment.a.interface)
        if grants_hash([item.token for item in ordered]) != rfq.grant_h:
            raise unsound(f"the endpoint grants that the rfq to {leg.operator} names are missing")
        for item in found:
            _check_grant(item.claims, leg)


def _check_grant(grant: EndpointGrant, leg: Leg) -> None:
    rfq, segment = leg.rfq.claims, leg.quote.claims.segment
    pairs = {
        "sub": (is_for(grant, Asker(rfq.iss, rfq.sub)), True),
        "bandwidth": (segment.bandwidth_bps <= grant.bandwidth_bps, True),
        "window": (grant.window.start <= segment.window.start and segment.window.end <= grant.window.end, True),
        "time": (grant.iat - SKEW_S <= rfq.iat < grant.exp, True),
    }
    same(f"endpoint grant for {grant.uni}", pairs)

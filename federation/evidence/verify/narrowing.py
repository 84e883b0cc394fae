"""Check `narrowing`: what was done lies within what the buyer allowed, and every hop passed on no more than it had.

mandate -> the agent's token -> what the broker asked of an operator -> the operator's token -> rfq and order. A buyer
without a mandate has the limits of the broker's configuration (`House`) in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import structs

from federation.evidence.verify.amounts import converted, rates_of
from federation.evidence.verify.attested import attested
from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Leg, Purchase, Round, purchase
from federation.evidence.verify.reading import Case, Item, unsound
from federation.tokens.grant import grants_hash
from federation.tokens.narrows import slice_for, widened
from federation.tokens.reach import Stretch, check_path
from federation.trust.jose import sha256_b64
from schemas.access import AccessToken, DelegationGrant
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


class Hop(NamedTuple):
    """An operator's token, and what the broker asked for it with."""

    token: Item[AccessToken]
    asked: Item[DelegationGrant]


class Source(NamedTuple):
    """Where the authority of a round comes from: the buyer's own word, and what its agents got for it."""

    authority: Authority
    passed: tuple[Authority, ...]
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
    return Source(house.authority, (house.authority,), f"within the limits that {found.broker} sets {house.buyer}")


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
    tokens = tuple(agent_tokens(case, found.broker, mandate.hash))
    if not tokens:
        raise unsound("no token of the agent is shown")
    for token in tokens:
        pairs = {
            "aud": (token.claims.aud, found.broker),
            "sub": (token.claims.sub, claims.iss),
            "client_id": (token.claims.client_id, claims.sub),
            "key": (token.claims.cnf.jkt, claims.cnf.jkt),
            "exp": (token.claims.exp <= claims.exp, True),
        }
        same("the agent's token", pairs)
        narrowed(token.claims.authorization_details[0], given, "the agent's token")
    passed = tuple(token.claims.authorization_details[0] for token in tokens)
    return Source(given, passed, f"within the mandate {mandate.hash[:8]} of {claims.iss} for {claims.sub}")


def agent_tokens(case: Case, broker: EntityId, mandate_h: Hash) -> Iterator[Item[AccessToken]]:
    """The tokens that the broker gave an agent under a mandate."""
    for item in case.all(AccessToken):
        if (item.claims.iss, item.claims.mandate_h) == (broker, mandate_h):
            yield item


def hops(case: Case, operator: EntityId) -> Iterator[Hop]:
    """The tokens of an operator, each with what was asked for it with. Raises `DOCUMENT_INVALID`."""
    for token in case.all(AccessToken):
        if token.claims.iss != operator:
            continue
        asked = [item for item in case.all(DelegationGrant) if _is_for(item.claims, token.claims)]
        if len(asked) != 1:
            raise unsound(f"{len(asked)} requests for a token of {operator} are shown, expected one")
        yield Hop(token, asked[0])


def _is_for(asked: DelegationGrant, token: AccessToken) -> bool:
    pairs = (asked.aud, asked.sub, asked.txn, asked.mandate_h), (token.iss, token.sub, token.txn, token.mandate_h)
    return pairs[0] == pairs[1] and asked.iat - SKEW_S <= token.iat < asked.exp + SKEW_S


def narrowed(child: Authority, parent: Authority, what: str) -> None:
    """Raises `DOCUMENT_INVALID` naming the axes on which `child` allows more."""
    if axes := tuple(widened(child, parent)):
        raise unsound(f"{what} allows more than it was given: {', '.join(axes)}")


def _check_leg(case: Case, one: Round, leg: Leg, source: Source) -> None:
    """The hops to one operator, and rfq and order within the last of them."""
    assert one.path is not None, "checked by the caller"
    rates, mandate_h = rates_of(case, one.path.claims), one.path.claims.mandate_h
    rfq = leg.rfq.claims
    same(f"rfq to {leg.operator}", {"mandate_h": (rfq.mandate_h, mandate_h)})
    found = [hop for hop in hops(case, leg.operator) if hop.token.claims.mandate_h == mandate_h]
    for hop in found:
        _check_hop(hop, leg, source, rates)
    asked: list[tuple[str, Rfq | Order]] = [("rfq", rfq)]
    if leg.order is not None:
        asked.append(("order", leg.order.claims))
    for what, document in asked:
        usable = [hop.token.claims for hop in found if _covers(hop.token.claims, document)]
        if not usable:
            raise unsound(f"no token of {leg.operator} is shown for the {what}")
        for token in usable:
            _check_use(token, leg, document)


def _covers(token: AccessToken, document: Rfq | Order) -> bool:
    return token.sub == document.sub and token.iat - SKEW_S <= document.iat < token.exp + SKEW_S


def _check_hop(hop: Hop, leg: Leg, source: Source, rates: RateTable) -> None:
    token, asked = hop.token.claims, hop.asked.claims
    pairs = {
        "aud": (token.aud, leg.operator),
        "client_id": (token.client_id, leg.rfq.claims.iss),
        "iss": (asked.iss, leg.rfq.claims.iss),
        "act": (asked.act.sub, leg.rfq.claims.iss),
        "sub": (asked.sub, leg.rfq.claims.sub),
    }
    same(f"token of {leg.operator}", pairs)
    narrowed(token.authorization_details[0], asked.authorization_details[0], f"the token of {leg.operator}")
    slices = [_slice(parent, leg.operator, asked.authorization_details[0].spend.ccy, rates) for parent in source.passed]
    if all(_more(asked.authorization_details[0], one) for one in slices):
        raise unsound(f"the broker asked {leg.operator} for more than it was given")


def _slice(parent: Authority, operator: EntityId, currency: str, rates: RateTable) -> Authority:
    try:
        return slice_for(parent, operator, currency, rates)
    except Problem as problem:
        raise unsound(f"nothing may be passed on to {operator}: {problem.detail}") from problem


def _more(child: Authority, slice_: Authority) -> bool:
    """Whether more was asked for than a broker may pass on: `slice_` has the depth that the child may have."""
    return any(True for _ in widened(child, structs.replace(slice_, depth=slice_.depth + 1)))


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
    for authority in (source.authority, *source.passed):
        try:
            check_path(authority, quoted.bandwidth_bps, stretches, classes)
        except Problem as problem:
            raise unsound(f"beyond the mandate: {problem.detail}") from problem
        _check_spent(authority, one, found, rates_of(case, quoted))


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
        "sub": (grant.sub in {rfq.iss, rfq.sub}, True),
        "bandwidth": (segment.bandwidth_bps <= grant.bandwidth_bps, True),
        "window": (grant.window.start <= segment.window.start and segment.window.end <= grant.window.end, True),
        "time": (grant.iat - SKEW_S <= rfq.iat < grant.exp, True),
    }
    same(f"endpoint grant for {grant.uni}", pairs)

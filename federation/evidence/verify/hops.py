"""The tokens of a purchase: for each rfq and order the operator's token that it came with, what the broker asked for it
with, and the agent's token behind that. Of several that fit the latest counts, so that everybody finds the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import structs

from federation.evidence.verify.amounts import rates_of
from federation.evidence.verify.purchase import Leg, Purchase
from federation.evidence.verify.reading import Case, Item, unsound
from federation.tokens.narrows import slice_for, widened
from schemas.access import AccessToken, DelegationGrant
from schemas.authority import Authority
from schemas.order import Order
from schemas.price import RateTable
from schemas.problem import Problem
from schemas.quote import Rfq
from schemas.segment import EntityId, Hash
from schemas.token import SKEW_S


class Hop(NamedTuple):
    """An operator's token, and what the broker asked for it with."""

    token: Item[AccessToken]
    asked: Item[DelegationGrant]


def asked_of(leg: Leg) -> Iterator[Rfq | Order]:
    """What an operator was asked under a token."""
    yield leg.rfq.claims
    if leg.order is not None:
        yield leg.order.claims


def hop_for(case: Case, operator: EntityId, document: Rfq | Order) -> Hop:
    """The token that an rfq or order came with. Raises `DOCUMENT_INVALID` where none is shown that could be."""
    found = [
        item
        for item in case.all(AccessToken)
        if item.claims.iss == operator
        and (item.claims.sub, item.claims.mandate_h) == (document.sub, document.mandate_h)
        and item.claims.iat - SKEW_S <= document.iat < item.claims.exp + SKEW_S
    ]
    if not found:
        raise unsound(f"no token of {operator} is shown for its {type(document).__name__.lower()}")
    token = max(found, key=_age)
    asked = [item for item in case.all(DelegationGrant) if _is_for(item.claims, token.claims)]
    if not asked:
        raise unsound(f"what the broker asked {operator} for a token with is missing")
    return Hop(token, max(asked, key=_age))


def _is_for(asked: DelegationGrant, token: AccessToken) -> bool:
    pairs = (asked.aud, asked.sub, asked.txn, asked.mandate_h), (token.iss, token.sub, token.txn, token.mandate_h)
    return pairs[0] == pairs[1] and asked.iat - SKEW_S <= token.iat < asked.exp + SKEW_S


def agent_token(case: Case, hop: Hop, rates: RateTable) -> Item[AccessToken]:
    """The agent's token under which the broker asked, which gave it as much. Raises `DOCUMENT_INVALID`."""
    asked = hop.asked.claims
    theirs = [
        item
        for item in case.all(AccessToken)
        if (item.claims.iss, item.claims.mandate_h) == (asked.iss, asked.mandate_h)
        and item.claims.iat <= asked.iat + SKEW_S
    ]
    if not theirs:
        raise unsound("no token of the agent is shown")
    found = [item for item in theirs if not more(asked, item.claims.authorization_details[0], rates)]
    if not found:
        raise unsound(f"the broker asked {asked.aud} for more than it was given")
    return max(found, key=_age)


def more(asked: DelegationGrant, given: Authority, rates: RateTable) -> bool:
    """Whether a broker asked an operator for more than the slice that it may pass on."""
    child = asked.authorization_details[0]
    try:
        slice_ = slice_for(given, asked.aud, child.spend.ccy, rates)
    except Problem:
        return True
    return next(widened(child, structs.replace(slice_, depth=slice_.depth + 1)), None) is not None


def tokens_used(case: Case, found: Purchase) -> frozenset[Hash]:
    """The tokens, and the requests for them, that a purchase rests on. Raises `DOCUMENT_INVALID`."""
    used: set[Hash] = set()
    for one in found.rounds:
        if one.path is None or one.path.claims.mandate_h is None:
            continue
        for leg in one.legs:
            for document in asked_of(leg):
                hop = hop_for(case, leg.operator, document)
                used |= {hop.token.hash, hop.asked.hash}
                if one.path.claims.mandate_h in case.items:
                    used.add(agent_token(case, hop, rates_of(case, one.path.claims)).hash)
    return frozenset(used)


def _age(item: Item[AccessToken] | Item[DelegationGrant]) -> tuple[int, Hash]:
    return item.claims.iat, item.hash

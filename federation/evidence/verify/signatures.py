"""Checks `chains` and `signatures`: whoever signed was a member with the right role and that very key at the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from federation.evidence.verify.reading import Case, Item, unsound
from federation.evidence.verify.standing import Spell
from federation.trust.jose import claimed_kid, verify_jws
from federation.trust.keys import PublicKey, public_keys
from schemas.access import AccessToken, DelegationGrant
from schemas.decision import Decision, Policy
from schemas.entity import Metadata
from schemas.grant import EndpointGrant
from schemas.mandate import Mandate
from schemas.order import Confirm, Order, Receipt
from schemas.problem import Problem
from schemas.quote import PathQuote, Rfq, SegmentQuote
from schemas.segment import EntityId
from schemas.statement import BillingStatement
from schemas.token import SKEW_S, TYP_OF, TYPES

BY_BROKERS: Final = (Decision, PathQuote, Rfq, Order, Confirm, DelegationGrant, BillingStatement)
BY_OPERATORS: Final = (SegmentQuote, Receipt)
# Signed by buyers and owners of UNIs, who may be no members: their keys may be handed in beside the anchors.
BY_BUYERS: Final = (Mandate, EndpointGrant, Policy)
# What authorises counts when it is used; everything else when it is signed.
AUTHORISING: Final = (*BY_BUYERS, AccessToken, DelegationGrant)


def chains(case: Case) -> str:
    """Every chain verifies, and every signer has one that held at its time. Raises `DOCUMENT_INVALID`."""
    for entity, why in case.standing.refused.items():
        raise unsound(f"chain of {entity}: {why}")
    latest = max((spell.since for spells in case.standing.spells.values() for spell in spells), default=0)
    if latest > case.now + SKEW_S:
        raise unsound("a statement is from the future")
    for item in signed(case):
        if not handed_in(case, item):
            case.standing.at(item.claims.iss, moment_of(case, item))
    anchors = sorted({spell.chain.anchor for spells in case.standing.spells.values() for spell in spells})
    return f"{len(case.standing.spells)} entities below {', '.join(anchors)}"


def signatures(case: Case) -> str:
    """Every document was signed by whom it says, with a key of that time. Raises `DOCUMENT_INVALID`."""
    count = 0
    for item in signed(case):
        at, typ = item.claims.iat, TYP_OF[type(item.claims)]
        if at > case.now + SKEW_S:
            raise unsound(f"the {typ} {item.hash[:8]} is from the future")
        aud = item.claims.aud if TYPES[typ].addressed else None
        try:
            verify_jws(item.token, type(item.claims), keys_of(case, item), now=at, iss=item.claims.iss, aud=aud)
        except Problem as problem:
            raise unsound(f"{typ} {item.hash[:8]} of {item.claims.iss}: {problem.detail}") from problem
        count += 1
    return f"{count} documents, each by a key of its signer at that time"


def signed(case: Case) -> Iterator[Item[Any]]:
    """Every document but marks and status lists, which are judged with the decisions that rest on them."""
    yield from case.items.values()
    yield from case.signed_policies.values()


def moment_of(case: Case, item: Item[Any]) -> int:
    """The Unix second at which the signer's keys count. What authorises and is younger than every decision, as a token
    may be that an order came with, counts from when it was made."""
    if isinstance(item.claims, BillingStatement):
        return _written_at(case, item)
    made: int = item.claims.iat
    if not isinstance(item.claims, AUTHORISING):
        return made
    return next((one.claims.at for one in case.decisions if made - SKEW_S <= one.claims.at), made)


def _written_at(case: Case, item: Item[Any]) -> int:
    """A statement is of the second when its order ended, and written when somebody first asks for it: its broker may
    have another key by then. It counts from when that key did."""
    ended: int = item.claims.iat
    kid, spells = claimed_kid(item.token), case.standing.spells.get(item.claims.iss, ())
    times = [max(ended, spell.since) for spell in spells if kid in spell.member.keys and spell.until > ended]
    return min(times, default=ended)


def keys_of(case: Case, item: Item[Any]) -> Mapping[str, PublicKey]:
    """The keys that may have signed a document. Raises `DOCUMENT_INVALID`."""
    issuer: EntityId = item.claims.iss
    if handed_in(case, item):
        return public_keys(case.known[issuer])
    spell = case.standing.at(issuer, moment_of(case, item))
    _check_role(spell, item)
    return spell.member.keys


def handed_in(case: Case, item: Item[Any]) -> bool:
    """Whether the signer's keys came beside the anchors."""
    return isinstance(item.claims, BY_BUYERS) and item.claims.iss in case.known


def _check_role(spell: Spell, item: Item[Any]) -> None:
    found: Metadata = spell.member.metadata
    if isinstance(item.claims, BY_BROKERS) and found.connectivity_broker is None:
        raise unsound(f"{spell.chain.entity} is no broker")
    if isinstance(item.claims, BY_OPERATORS) and found.connectivity_operator is None:
        raise unsound(f"{spell.chain.entity} is no operator")

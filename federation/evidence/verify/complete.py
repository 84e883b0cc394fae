"""Check `complete`: everything that the profile needs is there, and nothing beside it.

What is named is looked up by the other checks; here it is counted. What nobody asks for is refused, so that nothing in
a bundle goes unjudged, and so that one that was cut short shows by what is left over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from federation.evidence.verify.attested import lists_at
from federation.evidence.verify.documents import strays
from federation.evidence.verify.hops import tokens_used
from federation.evidence.verify.logs import logged, seen
from federation.evidence.verify.purchase import Lease, Purchase, purchase, releases_of
from federation.evidence.verify.reading import Case, Item, name_of, unsound
from federation.evidence.verify.signatures import handed_in, moment_of, signed
from federation.evidence.verify.statement import check_there
from schemas.access import AccessToken, DelegationGrant
from schemas.evidence import Profile
from schemas.grant import EndpointGrant
from schemas.lease import TERMINAL, State
from schemas.mandate import Mandate
from schemas.quote import PathQuote, Rfq, SegmentQuote
from schemas.segment import EntityId, Hash


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    found = purchase(case)
    for lease in found.leases:
        _check_lease(case, lease)
    if len({lease.receipts[-1].claims.state in TERMINAL for lease in found.leases}) > 1:
        raise unsound("some segments have ended and others have not")
    if case.bundle.profile is Profile.BUYER:
        _check_answered(case, found)
        _check_purchase(case, found)
        check_there(case, found)
        _check_authority(case, found)
    _check_beside(case, found)
    _check_logs(case, found)
    _check_chains(case, found)
    return "nothing is missing, and nothing is there that was not judged"


def _check_lease(case: Case, lease: Lease) -> None:
    """In force once, after a confirm; a regulator sees it until then."""
    states = [item.claims.state for item in lease.receipts]
    if State.ACTIVE not in states:
        raise unsound(f"no receipt of {lease.operator} says that its segment was ACTIVE")
    if case.bundle.profile is Profile.REGULATOR and states[-1] is not State.ACTIVE:
        raise unsound(f"the receipts of {lease.operator} go on after ACTIVE")


def _check_answered(case: Case, found: Purchase) -> None:
    answered = {item.claims.order_h for lease in found.leases for item in lease.receipts}
    for one in found.rounds:
        for leg in one.legs:
            if leg.order is not None and leg.order.hash not in answered:
                raise unsound(f"the receipt of {leg.operator} for its order is missing")
    for lease in found.leases:
        for item in releases_of(case, lease):
            if item.hash not in answered:
                raise unsound(f"the receipt of {lease.operator} for its release is missing")
    for item in strays(case, found):
        raise unsound(f"the order {item.hash[:8]} is of no segment of the purchase")


def _check_purchase(case: Case, found: Purchase) -> None:
    """Every rfq, quote and path quote belongs to a round."""
    legs = [leg for one in found.rounds for leg in one.legs]
    used = {leg.rfq.hash for leg in legs} | {leg.quote.hash for leg in legs}
    used |= {one.path.hash for one in found.rounds if one.path is not None}
    _only((Rfq, SegmentQuote, PathQuote), used, case)
    quotes = [one.path.claims for one in found.rounds if one.path is not None]
    if set(case.bundle.rates) != {quoted.rates_h for quoted in quotes}:
        raise unsound("rates are missing, or some are shown that no quote names")


def _check_authority(case: Case, found: Purchase) -> None:
    """Mandates, tokens, requests for them and endpoint grants: those that the documents stand on."""
    mandates = {one.path.claims.mandate_h for one in found.rounds if one.path is not None}
    _only((Mandate,), mandates, case)
    house = case.bundle.house is not None
    if house != bool(mandates - {None} - {item.hash for item in case.all(Mandate)}):
        raise unsound("limits that the broker set are missing, or shown beside a mandate")
    _only((AccessToken, DelegationGrant), tokens_used(case, found), case)
    named = [leg.rfq.claims for one in found.rounds for leg in one.legs if leg.rfq.claims.grant_h is not None]
    for item in case.all(EndpointGrant):
        ends = [{rfq.segment.a.interface, rfq.segment.z.interface} for rfq in named if rfq.aud == item.claims.aud]
        if not any(item.claims.uni in pair for pair in ends):
            raise unsound(f"an endpoint grant for {item.claims.uni} is shown that no rfq names")


def _only(kinds: tuple[type[Any], ...], used: Iterable[Hash | None], case: Case) -> None:
    known = set(used)
    for kind in kinds:
        for item in case.all(kind):
            if item.hash not in known:
                raise unsound(f"the {kind.__name__} {item.hash[:8]} of {item.claims.iss} belongs to nothing")


def _check_beside(case: Case, found: Purchase) -> None:
    """Marks, status lists and policies: those that the decisions name."""
    used = {name for item in case.decisions for judged in item.claims.judged for name in judged.marks}
    if used != set(case.marks):
        raise unsound("marks are missing, or some are shown that no decision names")
    lists = {one.hash for item in case.decisions for mark in _marks(case, item) for one in _lists(case, mark, item)}
    if lists != {one.hash for one in case.lists}:
        raise unsound("a status list is shown that no mark names at that time")
    policies = {(ref.name, ref.policy_h) for item in case.decisions for ref in item.claims.policies}
    if policies != {name_of(text) for text in case.bundle.policies}:
        raise unsound("policies are missing, or some are shown that no decision names")
    buyers = case.bundle.profile is Profile.BUYER
    if not buyers and (case.bundle.intent is not None or case.bundle.rates or case.bundle.house is not None):
        raise unsound("an intent, rates or limits have no place in this profile")


def _marks(case: Case, decision: Item[Any]) -> Iterator[Item[Any]]:
    for judged in decision.claims.judged:
        for name in judged.marks:
            if name not in case.marks:
                raise unsound(f"a mark of {judged.entity} is missing")
            yield case.marks[name]


def _lists(case: Case, mark: Item[Any], decision: Item[Any]) -> Iterable[Item[Any]]:
    return lists_at(case, mark, decision.claims.at)


def _check_logs(case: Case, found: Purchase) -> None:
    if set(case.bundle.logs) != {found.broker}:
        raise unsound("the log of the broker is missing, or another one is shown")
    if set(case.bundle.logs[found.broker].inclusions) != set(logged(case)):
        raise unsound("the log shows documents that are missing here, or the other way round")


def _check_chains(case: Case, found: Purchase) -> None:
    """One chain for every signer at every time, and no other."""
    used = {case.standing.at(entity, at).chain.tokens for entity, at in needed(case, found)}
    for entity, rows in case.bundle.chains.items():
        for tokens in rows:
            if tokens not in used:
                raise unsound(f"a chain of {entity} is shown that nothing rests on")


def needed(case: Case, found: Purchase) -> Iterator[tuple[EntityId, int]]:
    """Who has to be vouched for, and at which Unix second."""
    for item in signed(case):
        if not handed_in(case, item):
            yield item.claims.iss, moment_of(case, item)
    for decision in case.decisions:
        for mark in _marks(case, decision):
            yield mark.claims.iss, decision.claims.at
    shown = seen(case, found.broker)
    yield shown.log, shown.at
    yield from shown.witnesses.items()

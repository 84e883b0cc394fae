"""Check `documents`: every document answers the one that it names, between the same parties, and changes nothing in it.

rfq -> quote -> order -> receipt -> confirm -> receipt, and so on to the release: each names the hash of the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import structs

from federation.evidence.verify.purchase import (
    Lease,
    Leg,
    Purchase,
    Round,
    confirms_of,
    purchase,
    releases_of,
)
from federation.evidence.verify.reading import Case, Item, unsound
from schemas.evidence import Profile
from schemas.lease import IN_FORCE, TRANSITIONS, State
from schemas.order import Confirm, Order, Receipt
from schemas.quote import Action
from schemas.segment import Hash, Segment
from schemas.token import SKEW_S


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID` at the first document that does not fit."""
    found = purchase(case)
    for number, one in enumerate(found.rounds):
        _check_round(found, one, Action.MODIFY if number else Action.ADD)
    for lease in found.leases:
        _check_lease(case, found, lease)
    placed = {item.hash for lease in found.leases for item in lease.receipts}
    placed |= {item.hash for lease in found.leases for item in confirms_of(case, lease)}
    every: list[Item[Any]] = [*case.all(Receipt), *case.all(Confirm)]
    for item in every:
        if item.hash not in placed:
            raise unsound(f"the receipt or confirm {item.hash[:8]} of {item.claims.iss} belongs to no segment")
    return f"{len(case.items)} documents, each names the one before it"


def _check_round(found: Purchase, one: Round, action: Action) -> None:
    decided = one.decision.claims
    same("decision", {"sub": (decided.sub, found.broker), "aud": (decided.aud, found.broker)})
    if one.path is None:
        return
    quoted = one.path.claims
    pairs: dict[str, tuple[object, object]] = {
        "iss": (quoted.iss, found.broker),
        "sub": (quoted.sub, quoted.aud),
        "action": (quoted.action, action),
        "decision_h": (quoted.decision_h, one.decision.hash),
    }
    if action is Action.ADD:
        pairs |= {"order": (quoted.order, None)}
    same("path quote", pairs)
    for leg, row in zip(one.legs, quoted.path, strict=True):
        _check_leg(found, one, leg)
        same(f"path quote about {leg.operator}", {"quote": (row.quote in {None, leg.quote.token}, True)})


def _check_leg(found: Purchase, one: Round, leg: Leg) -> None:
    rfq, quote = leg.rfq.claims, leg.quote.claims
    asked = {
        "iss": (quote.iss, rfq.aud),
        "operator": (quote.iss, leg.operator),
        "aud": (quote.aud, rfq.iss),
        "broker": (rfq.iss, found.broker),
        "sub": (quote.sub, rfq.sub),
        "action": (quote.action, rfq.action),
        "product": (quote.product, rfq.product),
        "segment": (quote.segment, _as_given(rfq.segment, quote.segment)),
        "data_class": (rfq.data_class, one.decision.claims.data_class),
    }
    same(f"quote of {leg.operator}", asked)
    if leg.order is None:
        return
    order = leg.order.claims
    ordered = {
        "iss": (order.iss, found.broker),
        "aud": (order.aud, quote.iss),
        "sub": (order.sub, quote.sub),
        "action": (order.action, quote.action),
        "product": (order.product, quote.product),
        "path_root": (order.path_root, one.decision.claims.path_root),
        "decision_h": (order.decision_h, one.decision.hash),
        "mandate_h": (order.mandate_h, rfq.mandate_h),
        "grant_h": (order.grant_h, rfq.grant_h),
        "in time": (order.iat <= quote.exp + SKEW_S, True),
    }
    same(f"order to {leg.operator}", ordered)


def _as_given(asked: Segment, given: Segment) -> Segment:
    """What was asked, with the labels given where the operator was free to pick."""
    a = structs.replace(asked.a, label=asked.a.label or given.a.label)
    z = structs.replace(asked.z, label=asked.z.label or given.z.label)
    return structs.replace(asked, a=a, z=z)


def _check_lease(case: Case, found: Purchase, lease: Lease) -> None:
    position = found.leases.index(lease)
    quotes = [one.carried[position].quote_h for one in found.rounds if position < len(one.carried)]
    first = lease.receipts[0].claims
    for item in lease.receipts:
        receipt = item.claims
        pairs = {
            "iss": (receipt.iss, lease.operator),
            "aud": (receipt.aud, found.broker),
            "sub": (receipt.sub, first.sub),
            "product": (receipt.product, lease.product),
            "quote_h": (receipt.quote_h in quotes, True),
            "segment": (_beside(receipt.segment, first.segment), first.segment),
        }
        same(f"receipt of {lease.operator}", pairs)
    _check_states(case, lease)
    for confirm in confirms_of(case, lease):
        _check_confirm(found, lease, confirm)
    if case.bundle.profile is Profile.BUYER:
        _check_answers(case, found, lease, position)


def _beside(segment: Segment, first: Segment) -> Segment:
    """A segment with the bandwidth, and the end of the window, of the first one: changes are of these and no others."""
    segment = structs.replace(segment, bandwidth_bps=first.bandwidth_bps)
    return structs.replace(segment, window=first.window) if segment.window.start == first.window.start else segment


def _check_states(case: Case, lease: Lease) -> None:
    """Each receipt's state follows from the one before, in time; into force only by a confirm."""
    for before, after in zip(lease.receipts, lease.receipts[1:], strict=False):
        states = before.claims.state, after.claims.state
        if states[1] not in FOLLOW[states[0]] or after.claims.iat < before.claims.iat:
            raise unsound(f"the receipts of {lease.operator} go from {states[0]} to {states[1]}")
        if states[0] is State.UP and states[1] in IN_FORCE - {State.UP}:
            case.find(after.claims.prev_h, Confirm, f"the confirm before the {states[1]} receipt of {lease.operator}")
    if lease.receipts[0].claims.state not in {State.COMMITTED, State.UP, State.FAILED}:
        raise unsound(f"the first receipt of {lease.operator} says {lease.receipts[0].claims.state}")


def _reachable() -> Mapping[State, frozenset[State]]:
    """The states that may come later than each: a receipt is given for some of them only."""
    found = {state: {state, *after} for state, after in TRANSITIONS.items()}
    for _ in TRANSITIONS:
        found = {state: {later for one in after for later in found[one]} for state, after in found.items()}
    return {state: frozenset(after) for state, after in found.items()}


FOLLOW: Final = _reachable()


def _check_confirm(found: Purchase, lease: Lease, item: Item[Confirm]) -> None:
    confirm = item.claims
    named = {receipt.hash: receipt.claims for receipt in lease.receipts}
    if confirm.prev_h not in named:
        raise unsound(f"the receipt that the confirm to {lease.operator} follows is missing")
    pairs = {
        "iss": (confirm.iss, found.broker),
        "aud": (confirm.aud, lease.operator),
        "sub": (confirm.sub, named[confirm.prev_h].sub),
        "order_h": (confirm.order_h, named[confirm.prev_h].order_h),
        "path_root": (confirm.path_root in {one.decision.claims.path_root for one in found.rounds}, True),
    }
    same(f"confirm to {lease.operator}", pairs)


def _check_answers(case: Case, found: Purchase, lease: Lease, position: int) -> None:
    """Every receipt and confirm names an order that is shown, and its quote and root are those of that order."""
    there = [one for one in found.rounds if position < len(one.legs)]
    bandwidths = {one.legs[position].quote.claims.segment.bandwidth_bps for one in there}
    legs = {order.hash: one for one in there if (order := one.legs[position].order) is not None}
    releases = {item.hash: item.claims for item in releases_of(case, lease)}
    for item in lease.receipts:
        receipt, one = item.claims, legs.get(item.claims.order_h)
        if one is not None:
            quoted, bps = one.legs[position].quote.claims.segment, receipt.segment.bandwidth_bps
            beside = _beside(receipt.segment, quoted)
            pairs = {
                "segment": (beside if one is found.first else structs.replace(beside, window=quoted.window), quoted),
                "window": (_is_end(receipt.segment, found, position), True),
                "bandwidth": (bps in ({quoted.bandwidth_bps} if one is found.first else bandwidths), True),
            }
            same(f"receipt of {lease.operator}", pairs)
        elif receipt.order_h not in releases:
            raise unsound(f"the order that a receipt of {lease.operator} answers is missing")
    for released in releases.values():
        _check_release(released, found, lease)
    for confirm in confirms_of(case, lease):
        ordered = legs.get(confirm.claims.order_h)
        root = None if ordered is None else ordered.decision.claims.path_root
        same(f"confirm to {lease.operator}", {"path_root": (confirm.claims.path_root, root)})


def _is_end(segment: Segment, found: Purchase, position: int) -> bool:
    return any(segment.window.end == one.legs[position].quote.claims.segment.window.end for one in found.rounds)


def _check_release(order: Order, found: Purchase, lease: Lease) -> None:
    hashes: set[Hash | None] = {item.hash for item in lease.receipts}
    pairs = {
        "iss": (order.iss, found.broker),
        "sub": (order.sub, lease.receipts[0].claims.sub),
        "prev_h": (order.prev_h in hashes, True),
    }
    same(f"release at {lease.operator}", pairs)


def same(what: str, pairs: Mapping[str, tuple[object, object]]) -> None:
    """Raises `DOCUMENT_INVALID` naming the first member whose two values differ."""
    for name, (given, expected) in pairs.items():
        if given != expected:
            raise unsound(f"{what}: {name} does not fit what it answers")


def strays(case: Case, found: Purchase) -> Iterable[Item[Order]]:
    """Orders that belong to no segment of the purchase."""
    known = {leg.order.hash for one in found.rounds for leg in one.legs if leg.order is not None}
    known |= {item.hash for lease in found.leases for item in releases_of(case, lease)}
    return [item for item in case.all(Order) if item.hash not in known]

"""The documents of a bundle in the order of the purchase: what was decided, quoted and ordered, and what came of it.

Only what is named is looked up; whether it also says what it should, the checks ask. A purchase has one round, and one
more for each extension.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from federation.evidence.verify.reading import Case, Item, unsound
from schemas.decision import Decision, Judged, Part
from schemas.evidence import Profile
from schemas.order import Confirm, Order, Receipt
from schemas.quote import Action, PathQuote, Rfq, SegmentQuote
from schemas.segment import EntityId, Hash, Id


class Leg(NamedTuple):
    """One segment of a round: whose, its quote by hash, and the documents. An extension may have come to nothing before
    its order was answered."""

    operator: EntityId
    quote_h: Hash
    rfq: Item[Rfq]
    quote: Item[SegmentQuote]
    order: Item[Order] | None


class Round(NamedTuple):
    """A purchase, or an extension of one: the decision and, where they are shown, the quote and the segments."""

    decision: Item[Decision]
    carried: tuple[Judged, ...]
    path: Item[PathQuote] | None
    legs: tuple[Leg, ...]


class Lease(NamedTuple):
    """What came of one segment: its receipts in order, from the first."""

    operator: EntityId
    product: Id
    receipts: tuple[Item[Receipt], ...]


class Purchase(NamedTuple):
    """Rounds in time; leases in path order."""

    broker: EntityId
    rounds: tuple[Round, ...]
    leases: tuple[Lease, ...]

    @property
    def first(self) -> Round:
        """What was bought, before any extension."""
        return self.rounds[0]


def purchase(case: Case) -> Purchase:
    """Put the documents together. Raises `DOCUMENT_INVALID` where one that is named is missing."""
    return case.once("purchase", lambda: _purchase(case))


def _purchase(case: Case) -> Purchase:
    if not case.decisions:
        raise unsound("a decision is missing")
    brokers = {item.claims.iss for item in case.decisions}
    if len(brokers) != 1:
        raise unsound("the decisions are of several brokers")
    rounds = tuple(_round(case, item) for item in case.decisions)
    if len({len(one.carried) for one in rounds}) != 1:
        raise unsound("the decisions are about paths of different length")
    if case.bundle.profile is Profile.COUNTRIES:
        return Purchase(brokers.pop(), rounds, ())
    return Purchase(brokers.pop(), rounds, tuple(_leases(case, rounds[0])))


def _round(case: Case, decision: Item[Decision]) -> Round:
    carried = tuple(one for one in decision.claims.judged if one.part is Part.CARRY)
    if not carried:
        raise unsound("a decision is about no segment")
    if case.bundle.profile is not Profile.BUYER:
        return Round(decision, carried, None, ())
    found = [item for item in case.all(PathQuote) if item.claims.decision_h == decision.hash]
    if len(found) != 1:
        raise unsound(f"{len(found)} path quotes name the decision {decision.hash[:8]}, expected one")
    if len(found[0].claims.path) != len(carried):
        raise unsound("the path quote has other segments than were decided")
    legs = tuple(_leg(case, row.operator, row.quote_h) for row in found[0].claims.path)
    return Round(decision, carried, found[0], legs)


def _leg(case: Case, operator: EntityId, quote_h: Hash) -> Leg:
    quote = case.find(quote_h, SegmentQuote, f"the quote {quote_h[:8]} of {operator}")
    rfq = case.find(quote.claims.rfq_h, Rfq, f"the rfq to {operator}")
    orders = [item for item in case.all(Order) if item.claims.quote_h == quote_h]
    if len(orders) > 1 or (not orders and quote.claims.action is Action.ADD):
        raise unsound(f"{len(orders)} orders of the quote {quote_h[:8]} of {operator}, expected one")
    return Leg(operator, quote_h, rfq, quote, orders[0] if orders else None)


def _leases(case: Case, first: Round) -> Iterator[Lease]:
    """The lease of each segment: the receipts that begin with one for its quote, each following the one before."""
    receipts = case.all(Receipt)
    beginnings = [item for item in receipts if item.claims.prev_h is None]
    for judged in first.carried:
        found = [item for item in beginnings if item.claims.quote_h == judged.quote_h]
        if len(found) != 1:
            raise unsound(f"{len(found)} first receipts of {judged.entity} for its quote, expected one")
        yield Lease(found[0].claims.iss, found[0].claims.product, tuple(_followed(case, found[0])))


def _followed(case: Case, first: Item[Receipt]) -> Iterator[Item[Receipt]]:
    after: dict[Hash, list[Item[Receipt]]] = {}
    for item in case.all(Receipt):
        if item.claims.prev_h is not None:
            after.setdefault(previous(case, item), []).append(item)
    present = [first]
    for _ in case.items:  # no receipt comes twice, whatever they name
        if len(present) > 1:
            raise unsound(f"two receipts of {first.claims.iss} follow the same one")
        if not present:
            return
        yield present[0]
        present = after.get(present[0].hash, [])


def previous(case: Case, receipt: Item[Receipt]) -> Hash:
    """The receipt before this one: named by it, or by the confirm that it answers. Raises `DOCUMENT_INVALID`."""
    named = case.items.get(receipt.claims.prev_h or "")
    if named is not None and isinstance(named.claims, Confirm):
        return named.claims.prev_h
    if named is None or not isinstance(named.claims, Receipt):
        raise unsound(f"what the receipt {receipt.hash[:8]} of {receipt.claims.iss} follows is missing")
    return named.hash


def confirms_of(case: Case, lease: Lease) -> tuple[Item[Confirm], ...]:
    """The confirms of a lease."""
    return tuple(c for c in case.all(Confirm) if (c.claims.aud, c.claims.product) == (lease.operator, lease.product))


def releases_of(case: Case, lease: Lease) -> tuple[Item[Order], ...]:
    """The orders that released a lease."""
    of_lease = [o for o in case.all(Order) if (o.claims.aud, o.claims.product) == (lease.operator, lease.product)]
    return tuple(order for order in of_lease if order.claims.action is Action.RELEASE)

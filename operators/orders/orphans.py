"""What of an operator's books, memory and network does not belong together (pure): each a thing without its owner.

A claim without a row keeps capacity from everybody; a row without a claim has sold what is not kept for it; a row that
time has forgotten, or that memory has, will never end; a segment that the network carries for no lease is free, and one
that it does not carry is billed. Sound books have none of these, whatever has crashed: this is for what nobody foresaw.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from operators.inventory.ledger import Claim
from operators.orders import fsm
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Live
from schemas.lease import IN_FORCE, State
from schemas.quote import Action
from schemas.segment import EntityId, Id

LATE_S: Final = 60  # a step that time makes may be so late: the network or the disk takes its time


class Kind(StrEnum):
    """What is wrong."""

    CLAIM = "claim"
    UNCLAIMED = "unclaimed"
    OVERDUE = "overdue"
    FORGOTTEN = "forgotten"
    NETWORK = "network"
    DARK = "dark"


class Orphan(NamedTuple):
    """One finding: a claim, a row or a segment by its id, since when as far as the books say, why, and whose."""

    kind: Kind
    what: Id
    since: int
    why: str
    row: str = ""
    broker: EntityId | None = None
    buyer: str | None = None


class Books(NamedTuple):
    """Everything there is at second `now`: on disk, the claims that are admitted, the rows in memory, and the products
    that the network carries, where it can tell. Memory was looked at after the disk."""

    now: int
    live: Live
    admitted: tuple[Claim, ...]
    quotes: frozenset[Id]
    leases: frozenset[Id]
    carried: frozenset[Id] | None = None


def orphans(books: Books) -> Iterator[Orphan]:
    """Everything that is wrong."""
    yield from _claims(books)
    yield from _unclaimed(books)
    yield from _late(books)
    yield from _network(books)


def _claims(books: Books) -> Iterator[Orphan]:
    owned = {quote.id for quote in books.live.quotes if quote.state is State.HELD}
    owned |= {lease.claim for lease in books.live.leases}
    on_disk = {claim.id for claim in books.live.claims}
    for claim in books.live.claims:
        if claim.id not in owned:
            yield _kept(books, claim, "a claim on disk that no quote and no lease has")
    for claim in books.admitted:
        if claim.id not in on_disk:
            yield _kept(books, claim, "a claim in memory that is not on disk")


def _kept(books: Books, claim: Claim, why: str) -> Orphan:
    return Orphan(Kind.CLAIM, claim.id, min(books.now, claim.start_s), why)


def _unclaimed(books: Books) -> Iterator[Orphan]:
    there = {claim.id for claim in books.live.claims} & {claim.id for claim in books.admitted}
    for quote in books.live.quotes:
        if quote.state is State.HELD and quote.action is Action.ADD and quote.id not in there:
            yield _of(Kind.UNCLAIMED, quote, "a hold without a claim")
    for lease in books.live.leases:
        if lease.claim not in there:
            yield _of(Kind.UNCLAIMED, lease, "a lease without a claim")


def _late(books: Books) -> Iterator[Orphan]:
    then = books.now - LATE_S
    for quote in books.live.quotes:
        if quote.id not in books.quotes:
            yield _of(Kind.FORGOTTEN, quote, "a quote that waits on disk and not in memory")
        elif quote.exp <= then:
            yield _of(Kind.OVERDUE, quote, f"a quote that expired at {quote.exp}")
    for lease in books.live.leases:
        step = fsm.due(lease, then)
        if lease.id not in books.leases:
            yield _of(Kind.FORGOTTEN, lease, "a lease that is not over on disk and not in memory")
        elif step is not None and lease.history[-1].at <= then:
            yield _of(Kind.OVERDUE, lease, f"a lease that is {lease.state}, and for its step '{step}' it is time")


def _network(books: Books) -> Iterator[Orphan]:
    if books.carried is None:
        return
    known = {lease.id: lease for lease in books.live.leases}
    for product in sorted(books.carried - known.keys()):
        yield Orphan(Kind.NETWORK, product, books.now, "the network carries it for no lease", "lease")
    for lease in known.values():
        if lease.state in IN_FORCE and lease.id not in books.carried:
            yield _of(Kind.DARK, lease, f"a lease that is {lease.state}, and the network does not carry it")


def _of(kind: Kind, row: Quote | Lease, why: str) -> Orphan:
    name = "quote" if isinstance(row, Quote) else "lease"
    since = row.history[-1].at if row.history else row.created_at
    return Orphan(kind, row.id, since, why, name, row.broker, row.buyer)

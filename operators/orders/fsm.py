"""Quotes and leases of one operator, and every step they may take. Pure: rows in, rows out.

Each step goes through `schemas.lease.move`, so nothing happens that the table does not allow, and leaves an entry in
the row's history. `due` says which step time itself makes next: it serves the timers and the recovery alike.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from msgspec import Struct, structs

from operators.pricing.billing import Period, bill, nothing
from schemas.lease import BILLABLE, State, move
from schemas.order import VOID_WITHIN_S, Bill
from schemas.price import Tariff
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import EntityId, Hash, Id, Segment, window
from schemas.sonata.refusal import Refusal


class Entry(Struct, frozen=True, omit_defaults=True):
    """One line of a history: the state entered, the Unix second, why."""

    state: State
    at: int
    why: str = ""


class Quote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A firm quote (or a refusal to give one) as kept. Times are Unix seconds.

    `buyer` is the pseudonym the broker uses, `route` what it runs over inside. A HELD quote has a claim of its own id.
    `mandate_h` and `grant_h` are those of its rfq.
    """

    id: Id
    broker: EntityId
    buyer: str
    created_at: int
    exp: int
    state: State
    history: tuple[Entry, ...]
    segment: Segment
    route: tuple[Id, ...] = ()
    tariff: Tariff | None = None
    action: Action = Action.ADD
    firm: bool = True
    product: Id | None = None
    external_id: str | None = None
    project_id: str | None = None
    rfq_h: Hash | None = None
    hash: Hash | None = None
    document: str | None = None
    refusal: Refusal | None = None
    mandate_h: Hash | None = None
    grant_h: Hash | None = None


class Extension(Struct, frozen=True, kw_only=True):
    """An extension that was ordered and waits for its confirm until `confirm_by`, Unix seconds."""

    quote_id: Id
    order_id: Id
    order_h: Hash | None
    quote_h: Hash | None
    path_root: Hash | None
    tariff: Tariff
    end_s: int
    since: int
    confirm_by: int


class Lease(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A segment ordered, from COMMITTED until RELEASED or FAILED. Times are Unix seconds.

    `claim` is the id of its claim in the inventory; `order_h` the latest order that is in force; `active_at` when the
    confirm was accepted; `released_at` when use ended; `void` whose missing confirmation makes it free of charge;
    `release_id` and `release_h` the order that releases it, where one did, and its document.
    """

    id: Id
    broker: EntityId
    buyer: str
    state: State
    history: tuple[Entry, ...]
    claim: Id
    order_id: Id
    segment: Segment
    route: tuple[Id, ...]
    periods: tuple[Period, ...]
    created_at: int
    order_h: Hash | None = None
    quote_h: Hash | None = None
    path_root: Hash | None = None
    confirm_by: int | None = None
    active_at: int | None = None
    released_at: int | None = None
    void: EntityId | None = None
    release_id: Id | None = None
    release_h: Hash | None = None
    extension: Extension | None = None
    extending: tuple[tuple[int, int], ...] = ()
    bill: Bill | None = None
    receipt: str | None = None
    receipt_h: Hash | None = None

    @property
    def start_s(self) -> int:
        """When the window begins."""
        return self.segment.window.start_s

    @property
    def end_s(self) -> int:
        """When the window ends, confirmed extensions included."""
        return self.segment.window.end_s


class Due(StrEnum):
    """A step that time makes."""

    START = "start"
    LAPSE = "lapse"
    LAPSE_EXTENSION = "lapse-extension"
    END = "end"
    FINISH = "finish"


Row = TypeVar("Row", Quote, Lease)


def stepped(row: Row, to: State, at: int, why: str = "") -> Row:
    """The row in its next state. Raises `INCOMPATIBLE_STATE`."""
    entry = Entry(move(row.state, to), at, why)
    return structs.replace(row, state=to, history=(*row.history, entry))


def accept(quote: Quote, now: int) -> Quote:
    """An order takes the quote, once: `QUOTE_USED`, `QUOTE_EXPIRED` or `HOLD_LOST` otherwise."""
    if quote.state is State.COMMITTED:
        raise Problem("QUOTE_USED", "this quote was already ordered; ask for a new one", field="quote_id")
    if quote.state is State.EXPIRED or (quote.state is not State.DECLINED and quote.exp <= now):
        raise Problem("QUOTE_EXPIRED", "this quote has expired; ask for a new one", field="quote_id")
    if quote.state is State.DECLINED:
        raise Problem("HOLD_LOST", "this quote was declined or replaced; ask for a new one", field="quote_id")
    return stepped(quote, State.COMMITTED, now)


def commit(quote: Quote, product: Id, order_id: Id, now: int) -> Lease:
    """The lease that an accepted quote becomes."""
    assert quote.tariff is not None, "what was refused cannot be accepted"
    frame = quote.segment.window
    return Lease(
        id=product,
        broker=quote.broker,
        buyer=quote.buyer,
        state=State.COMMITTED,
        history=(Entry(State.COMMITTED, now),),
        claim=quote.id,
        order_id=order_id,
        quote_h=quote.hash,
        segment=quote.segment,
        route=quote.route,
        periods=(Period(quote.tariff, frame.start_s, frame.end_s),),
        created_at=now,
    )


def confirm(lease: Lease, now: int) -> Lease:
    """UP becomes ACTIVE, and billable from now on. Raises `INCOMPATIBLE_STATE`, also once `confirm_by` has passed."""
    if lease.confirm_by is not None and now >= lease.confirm_by:
        raise Problem(
            "INCOMPATIBLE_STATE", f"the confirm came after confirm_by ({lease.confirm_by})", field="confirm_by"
        )
    return structs.replace(stepped(lease, State.ACTIVE, now), active_at=now)


def ask_extension(lease: Lease, extension: Extension) -> Lease:
    """Remember an ordered extension until it is confirmed or lapses."""
    check_extensible(lease)
    return structs.replace(lease, extension=extension)


def check_extensible(lease: Lease) -> None:
    """Only an ACTIVE lease is extended, one extension at a time. Raises `INCOMPATIBLE_STATE`."""
    if lease.state not in BILLABLE:
        raise Problem("INCOMPATIBLE_STATE", f"the lease is {lease.state}; it is extended while ACTIVE", field="product")
    if lease.extension is not None:
        raise Problem("INCOMPATIBLE_STATE", "another extension of this lease waits for its confirm", field="product")


def extend(lease: Lease, now: int) -> Lease:
    """The confirmed extension moves the end; the added window has its own tariff."""
    added = lease.extension
    assert added is not None, "only an extension that was asked for is confirmed"
    if now >= added.confirm_by:
        raise Problem(
            "INCOMPATIBLE_STATE", f"the confirm came after confirm_by ({added.confirm_by})", field="confirm_by"
        )
    longer = structs.replace(lease.segment, window=window(lease.start_s, added.end_s))
    return structs.replace(
        drop_extension(lease, now),
        segment=longer,
        periods=(*lease.periods, Period(added.tariff, lease.end_s, added.end_s)),
        order_h=added.order_h,
        quote_h=added.quote_h,
        path_root=added.path_root,
    )


def drop_extension(lease: Lease, now: int) -> Lease:
    """Without the extension that waited; the span in which it did stays in the history of the product."""
    if lease.extension is None:
        return lease
    span = (lease.extension.since, now)
    return structs.replace(lease, extension=None, extending=(*lease.extending, span))


def release(lease: Lease, now: int, why: str, void: EntityId | None = None) -> Lease:
    """On the way down: use ends now, or at the end of the window if that was earlier."""
    ending = stepped(drop_extension(lease, now), State.RELEASING, now, why)
    return structs.replace(ending, released_at=min(now, lease.end_s), void=void)


def close(lease: Lease, now: int) -> Lease:
    """Down: RELEASED with its bill, or FAILED, which bills nothing."""
    to = State.FAILED if lease.state is State.COMPENSATING else State.RELEASED
    return structs.replace(stepped(lease, to, now), bill=owed(lease))


def owed(lease: Lease) -> Bill:
    """Nothing for a lease that was never ACTIVE; otherwise its use to the second, without what was voided in time.

    A void frees the whole lease until `VOID_WITHIN_S` after `confirm_by`; of a lease that was extended, it frees the
    added window alone, until as long after the end before. A later void frees nothing: the segment was in use.
    """
    bps, since, until = lease.segment.bandwidth_bps, lease.active_at, lease.released_at
    if since is None or until is None:
        return nothing(lease.periods[0].tariff.currency)
    if lease.void is None:
        return _whole(lease, since, until)
    *agreed, last = lease.periods
    if agreed:
        in_time = until <= agreed[-1].end_s + VOID_WITHIN_S
        return bill(tuple(agreed), bps, since, min(until, agreed[-1].end_s)) if in_time else _whole(lease, since, until)
    in_time = lease.confirm_by is None or until <= lease.confirm_by + VOID_WITHIN_S
    return nothing(last.tariff.currency) if in_time else _whole(lease, since, until)


def _whole(lease: Lease, since: int, until: int) -> Bill:
    return bill(lease.periods, lease.segment.bandwidth_bps, since, until)


def due(lease: Lease, now: int) -> Due | None:
    """The step that time makes at `now`, the most final one first."""
    if lease.state in {State.RELEASING, State.COMPENSATING}:
        return Due.FINISH
    if lease.state in {State.COMMITTED, State.UP}:
        if lease.confirm_by is not None and now >= lease.confirm_by:
            return Due.LAPSE
        if now >= lease.end_s:
            return Due.END
        return Due.START if lease.state is State.COMMITTED and now >= lease.start_s else None
    if lease.state in BILLABLE:
        if now >= lease.end_s:
            return Due.END
        return Due.LAPSE_EXTENSION if lease.extension and now >= lease.extension.confirm_by else None
    return None


def wake_at(lease: Lease) -> int | None:
    """The next second at which `due` may name a step; None for a lease that is over."""
    times = [lease.end_s]
    if lease.state in {State.RELEASED, State.FAILED}:
        return None
    if lease.state in {State.RELEASING, State.COMPENSATING}:
        return lease.history[-1].at
    if lease.state is State.COMMITTED:
        times.append(lease.start_s)
    if lease.state in {State.COMMITTED, State.UP} and lease.confirm_by is not None:
        times.append(lease.confirm_by)
    if lease.extension is not None:
        times.append(lease.extension.confirm_by)
    return min(times)

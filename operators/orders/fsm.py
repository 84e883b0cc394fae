"""Quotes and leases of one operator, and every step they may take. Pure: rows in, rows out.

Each step goes through `schemas.lease.move`, so nothing happens that the table does not allow, and leaves an entry in
the row's history. `due` says which step time itself makes next: it serves the timers and the recovery alike.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from msgspec import Struct, structs

from operators.pricing.billing import Period, before, bill, nothing
from schemas.lease import BILLABLE, State, move
from schemas.order import CHANGES_MAX, VOID_WITHIN_S, Bill
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
    `mandate_h` and `grant_h` are those of its rfq. One that is ASKED waits for a person until `exp`. `held_since` is
    when the first of the holds began that replaced each other; `confirm_within_s` and `up_within_s` are as quoted.
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
    held_since: int | None = None
    confirm_within_s: int | None = None
    up_within_s: int | None = None


class Amendment(Struct, frozen=True, kw_only=True):
    """A change of a lease that was ordered and waits for its confirm until `confirm_by`, Unix seconds.

    `segment` is what was quoted: a window after the lease's end makes it longer, one until its end gives it another
    bandwidth for what is left of it.
    """

    quote_id: Id
    order_id: Id
    order_h: Hash | None
    quote_h: Hash | None
    path_root: Hash | None
    tariff: Tariff
    segment: Segment
    since: int
    confirm_by: int


class Former(Struct, frozen=True, kw_only=True):
    """What a lease was before its bandwidth was changed, until Unix second `until`: so long it may be taken back."""

    bandwidth_bps: int
    periods: tuple[Period, ...]
    order_h: Hash | None
    quote_h: Hash | None
    path_root: Hash | None
    until: int


class Lease(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A segment ordered, from COMMITTED until RELEASED or FAILED. Times are Unix seconds.

    `claim` is the id of its claim in the inventory; `order_h` the latest order that is in force; `active_at` when the
    confirm was accepted; `released_at` when use ended; `void` whose missing confirmation makes it free of charge;
    `release_id` and `release_h` the order that releases it, where one did, and its document. `amending` are the spans
    in which changes waited; `agreed_end` is the end before the last extension, while nothing was changed after it.
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
    up_within_s: int | None = None
    order_h: Hash | None = None
    quote_h: Hash | None = None
    path_root: Hash | None = None
    confirm_by: int | None = None
    active_at: int | None = None
    released_at: int | None = None
    void: EntityId | None = None
    release_id: Id | None = None
    release_h: Hash | None = None
    amendment: Amendment | None = None
    amending: tuple[tuple[int, int], ...] = ()
    former: Former | None = None
    agreed_end: int | None = None
    bill: Bill | None = None
    receipt: str | None = None
    receipt_h: Hash | None = None

    @property
    def start_s(self) -> int:
        """When the window begins."""
        return self.segment.window.start_s

    @property
    def end_s(self) -> int:
        """When the window ends, confirmed changes included."""
        return self.segment.window.end_s


class Due(StrEnum):
    """A step that time makes."""

    START = "start"
    LAPSE = "lapse"
    LAPSE_AMENDMENT = "lapse-amendment"
    SETTLE = "settle"
    END = "end"
    FINISH = "finish"


Row = TypeVar("Row", Quote, Lease)


def stepped(row: Row, to: State, at: int, why: str = "") -> Row:
    """The row in its next state. Raises `INCOMPATIBLE_STATE`."""
    entry = Entry(move(row.state, to), at, why)
    return structs.replace(row, state=to, history=(*row.history, entry))


def accept(quote: Quote, now: int) -> Quote:
    """An order takes the quote, once: `QUOTE_USED`, `QUOTE_EXPIRED` or `HOLD_LOST` otherwise."""
    if quote.state is State.ASKED:
        raise Problem("INCOMPATIBLE_STATE", "this quote is not answered yet; ask for it again", field="quote_id")
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
        periods=(_period(quote.tariff, quote.segment, frame.start_s),),
        created_at=now,
        up_within_s=quote.up_within_s,
    )


def confirm(lease: Lease, now: int) -> Lease:
    """UP becomes ACTIVE, and billable from now on. Raises `INCOMPATIBLE_STATE`, also once `confirm_by` has passed."""
    if lease.confirm_by is not None and now >= lease.confirm_by:
        raise Problem(
            "INCOMPATIBLE_STATE", f"the confirm came after confirm_by ({lease.confirm_by})", field="confirm_by"
        )
    return structs.replace(stepped(lease, State.ACTIVE, now), active_at=now)


def ask_amendment(lease: Lease, amendment: Amendment) -> Lease:
    """Remember an ordered change until it is confirmed or lapses. What was changed before is for good now."""
    check_amendable(lease)
    return structs.replace(lease, amendment=amendment, former=None)


def check_amendable(lease: Lease) -> None:
    """Only an ACTIVE lease is changed, one change at a time, and not without end: each stays in its row, and in its
    bill. Raises `INCOMPATIBLE_STATE`."""
    if lease.state not in BILLABLE:
        raise Problem("INCOMPATIBLE_STATE", f"the lease is {lease.state}; it is changed while ACTIVE", field="product")
    if lease.amendment is not None:
        raise Problem("INCOMPATIBLE_STATE", "another change of this lease waits for its confirm", field="product")
    if len(lease.amending) >= CHANGES_MAX:
        why = f"{CHANGES_MAX} changes of this lease were ordered, no more are taken; order another lease"
        raise Problem("INCOMPATIBLE_STATE", why, field="product")


def amend(lease: Lease, now: int) -> Lease:
    """The confirmed change: a later end, or another bandwidth from now on; what changes has its own tariff."""
    added = lease.amendment
    assert added is not None, "only a change that was asked for is confirmed"
    if now >= added.confirm_by:
        raise Problem(
            "INCOMPATIBLE_STATE", f"the confirm came after confirm_by ({added.confirm_by})", field="confirm_by"
        )
    longer = added.segment.window.start_s == lease.end_s
    from_s = lease.end_s if longer else now
    frame = window(lease.start_s, added.segment.window.end_s)
    return structs.replace(
        drop_amendment(lease, now),
        segment=structs.replace(lease.segment, bandwidth_bps=added.segment.bandwidth_bps, window=frame),
        periods=(*before(lease.periods, from_s), _period(added.tariff, added.segment, from_s)),
        order_h=added.order_h,
        quote_h=added.quote_h,
        path_root=added.path_root,
        agreed_end=lease.end_s if longer else None,
        former=None if longer else _former(lease, added.confirm_by + VOID_WITHIN_S),
    )


def drop_amendment(lease: Lease, now: int) -> Lease:
    """Without the change that waited; the span in which it did stays in the history of the product."""
    if lease.amendment is None:
        return lease
    span = (lease.amendment.since, now)
    return structs.replace(lease, amendment=None, amending=(*lease.amending, span))


def take_back(lease: Lease, now: int) -> Lease:
    """As if the last change of bandwidth had never been: somebody else's confirm of it is missing. Free of charge.

    Raises `INCOMPATIBLE_STATE` once that is final: then it was in use, and is billed.
    """
    former = lease.former
    if former is None or lease.state not in BILLABLE or now >= former.until:
        raise Problem("INCOMPATIBLE_STATE", "this change can no longer be taken back", field="order_h")
    return structs.replace(
        lease,
        segment=structs.replace(lease.segment, bandwidth_bps=former.bandwidth_bps),
        periods=former.periods,
        order_h=former.order_h,
        quote_h=former.quote_h,
        path_root=former.path_root,
        former=None,
    )


def settle(lease: Lease) -> Lease:
    """With its last change for good."""
    return structs.replace(lease, former=None)


def kept_bps(lease: Lease) -> int:
    """The bandwidth that a lease keeps: what it has, may get by a confirm, or may get back."""
    waiting = lease.amendment.segment.bandwidth_bps if lease.amendment else 0
    return max(lease.segment.bandwidth_bps, waiting, lease.former.bandwidth_bps if lease.former else 0)


def kept_end_s(lease: Lease) -> int:
    """Until when a lease keeps what it has: its end, or a later one that waits for its confirm."""
    return max(lease.end_s, lease.amendment.segment.window.end_s if lease.amendment else 0)


def carried(lease: Lease) -> Segment:
    """The segment as the network carries it: with more bandwidth from when that is ordered, so that a confirm finds it
    there, and with less only once that is confirmed."""
    waiting = lease.amendment.segment.bandwidth_bps if lease.amendment else 0
    return structs.replace(lease.segment, bandwidth_bps=max(lease.segment.bandwidth_bps, waiting))


def touched(lease: Lease) -> bool:
    """Whether the network may know of a change that waits: of more since it was ordered, of less since a confirm came
    that was not written down, because the network was too slow or did only half of it."""
    return lease.amendment is not None and lease.amendment.segment.bandwidth_bps != lease.segment.bandwidth_bps


def release(lease: Lease, now: int, why: str, void: EntityId | None = None) -> Lease:
    """On the way down: use ends now, or at the end of the window if that was earlier."""
    ending = stepped(drop_amendment(lease, now), State.RELEASING, now, why)
    return structs.replace(ending, released_at=min(now, lease.end_s), void=void)


def close(lease: Lease, now: int) -> Lease:
    """Down: RELEASED with its bill, or FAILED, which bills nothing."""
    to = State.FAILED if lease.state is State.COMPENSATING else State.RELEASED
    return structs.replace(stepped(lease, to, now), bill=owed(lease))


def owed(lease: Lease) -> Bill:
    """Nothing for a lease that was never ACTIVE; otherwise its use to the second, without what was voided in time.

    A void frees the whole lease until `VOID_WITHIN_S` after `confirm_by`; of a lease that was extended, it frees the
    added window alone, until as long after the end before. A later void frees nothing, nor does one of a lease whose
    bandwidth was changed since: the segment was in use.
    """
    since, until, periods = lease.active_at, lease.released_at, lease.periods
    if since is None or until is None:
        return nothing(periods[0].tariff.currency)
    if lease.void is None:
        return bill(periods, since, until)
    if lease.agreed_end is not None:
        in_time = until <= lease.agreed_end + VOID_WITHIN_S
        return bill(before(periods, lease.agreed_end), since, until) if in_time else bill(periods, since, until)
    in_time = lease.confirm_by is None or until <= lease.confirm_by + VOID_WITHIN_S
    return nothing(periods[0].tariff.currency) if in_time and len(periods) == 1 else bill(periods, since, until)


def used_free(lease: Lease) -> bool:
    """Whether a void makes use free of charge that would be billed without it."""
    return lease.void is not None and owed(lease) != owed(structs.replace(lease, void=None))


def freed(lease: Lease, now: int, void: EntityId | None) -> Lease | None:
    """A lease that is over, billed anew because a void came after it had ended by itself; None where nothing changes.

    As long after `confirm_by`, or after the end before the last extension, as any void.
    """
    since = lease.confirm_by if lease.agreed_end is None else lease.agreed_end
    if void is None or lease.state is not State.RELEASED or since is None or now > since + VOID_WITHIN_S:
        return None
    voided = structs.replace(lease, void=void)
    billed = owed(voided)
    return None if billed == lease.bill else structs.replace(voided, bill=billed)


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
        if lease.amendment and now >= lease.amendment.confirm_by:
            return Due.LAPSE_AMENDMENT
        return Due.SETTLE if lease.former and now >= lease.former.until else None
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
    if lease.amendment is not None:
        times.append(lease.amendment.confirm_by)
    if lease.former is not None:
        times.append(lease.former.until)
    return min(times)


def _period(tariff: Tariff, sold: Segment, from_s: int) -> Period:
    """What was sold as a period of its lease, from a Unix second on."""
    frame = sold.window
    return Period(
        tariff=tariff,
        bandwidth_bps=sold.bandwidth_bps,
        start_s=from_s,
        end_s=frame.end_s,
        term_s=frame.duration_s,
    )


def _former(lease: Lease, until: int) -> Former:
    return Former(
        bandwidth_bps=lease.segment.bandwidth_bps,
        periods=lease.periods,
        order_h=lease.order_h,
        quote_h=lease.quote_h,
        path_root=lease.path_root,
        until=until,
    )

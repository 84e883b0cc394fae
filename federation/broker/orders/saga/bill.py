"""What a path cost: the sum of its segments, each converted at the quote's rates and rounded up.

An operator's bill is a claim. It counts as far as the tariffs it quoted bear it, for use between our confirm and the
end of what it sold; a buyer never pays more than that, and the order's history says what was claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import structs

from federation.broker.orders.saga.state import Leg, OrderState, Pledge, Standing
from schemas.order import Bill
from schemas.price import Line, Money, total, usage
from schemas.token import SKEW_S

ROUNDED_UP: Final = 2  # micro-units at most, of the two lines of use
Owed = tuple[tuple[int, Bill, Money], ...]  # position in the path, what an operator bills, and what that comes to


def owed(state: OrderState) -> Owed:
    """The bills of a path that was ACTIVE, each with its segment's position and what it comes to for the buyer."""
    bills = [(index, bill) for index, leg in enumerate(state.legs) if (bill := leg.bill)]
    return tuple((index, bill, due(state, index, bill)) for index, bill in bills) if state.was_active else ()


def path_bill(state: OrderState, claimed: Owed) -> Bill:
    """The buyer's bill once every segment is settled: one line per segment, named by its operator.

    A path that never was ACTIVE costs nothing, whatever an operator claims.
    """
    currency = state.total.currency
    if not claimed:
        return Bill(start=None, end=None, lines=(), total=Money(currency, 0))
    named = [(state.terms.parts[index].operator, money) for index, _, money in claimed]
    lines = tuple(Line(name, state.terms.rates.convert(money, currency).micro) for name, money in named)
    starts = [bill.start for _, bill, _ in claimed if bill.start]
    ends = [bill.end for _, bill, _ in claimed if bill.end]
    return Bill(
        start=min(starts, default=None),
        end=max(ends, default=None),
        lines=lines,
        total=Money(currency, total(lines)),
    )


def disputes(state: OrderState, claimed: Owed) -> Iterator[str]:
    """A sentence for every operator that bills more than it sold."""
    for index, bill, money in claimed:
        if money != bill.total:
            yield f"{state.terms.parts[index].name} bills {bill.total}; by its quote it is at most {money}"


def due(state: OrderState, index: int, bill: Bill) -> Money:
    """What a bill comes to for the buyer: what it says, and at most what the quotes say for that use."""
    return _due(bill.total, reckoned(state, index, bill).most)


def _due(claim: Money, most: Money) -> Money:
    return claim if claim.currency == most.currency and claim.micro <= most.micro else most


class Used(NamedTuple):
    """Use of what one quote sold, Unix [from_s, until_s), and its lines."""

    pledge: Pledge
    from_s: int
    until_s: int
    lines: tuple[Line, ...]


class Reckoning(NamedTuple):
    """The most that a bill may come to, and why: use of each quote that was sold, and the other lines. Orders placed
    before tariffs were kept have amounts alone."""

    used: tuple[Used, ...]
    lines: tuple[Line, ...]
    most: Money


def reckoned(state: OrderState, index: int, bill: Bill) -> Reckoning:
    """Set-up, usage, minimum and exit by the tariffs of what was sold, for the use that a bill names, where that can
    be: after our confirm (clocks may differ), before now and within what was sold. The exit is due where we released it
    early. Without a tariff, no more than the amounts.
    """
    found = (_reckoned(state, index, bill, some) for some in _sold(state, index))
    return max(found, key=lambda one: one.most.micro)


def _reckoned(state: OrderState, index: int, bill: Bill, sold: tuple[Pledge, ...]) -> Reckoning:
    leg, first, end_s = state.legs[index], sold[0].tariff, sold[-1].quoted.window.end_s
    if first is None:
        amounts = sum(pledge.amount.micro for pledge in sold)
        return Reckoning((), (), Money(sold[0].amount.currency, amounts))
    from_s, until_s = _use(state, leg, bill, end_s)
    used = tuple(_used(pledge, max(from_s, start_s), min(until_s, stop_s)) for pledge, start_s, stop_s in spans(sold))
    usage_micro = sum(total(one.lines) for one in used)
    early = leg.release is not None and until_s < end_s
    exit_micro = sold[-1].tariff.exit_micro if early and sold[-1].tariff else 0
    lines = (
        Line("set_up", sum(pledge.tariff.set_up_micro for pledge in sold if pledge.tariff)),
        Line("minimum", max(0, first.minimum_micro - usage_micro)),
        Line("exit", exit_micro),
    )
    return Reckoning(used, lines, Money(first.currency, usage_micro + total(lines)))


def _sold(state: OrderState, index: int) -> tuple[tuple[Pledge, ...], ...]:
    """What an operator sold for certain; and that with the extension whose confirm is out, if there is one."""
    sold, extension = _agreed(state, index), state.extension
    if extension is None or extension.steps[index].confirm is None or extension.pledges[index] in sold:
        return (sold,)
    if extension.bandwidth_bps is None:
        return sold, (*sold, extension.pledges[index])
    if any(step.standing is Standing.LAPSED for step in extension.steps):
        return (sold,)  # the path never had it, so whoever keeps it does so at its own cost
    step = extension.steps[index]
    assert step.confirm is not None, "only what was confirmed is in doubt"
    return sold, (*sold, structs.replace(extension.pledges[index], from_s=step.at_s or step.confirm.iat - SKEW_S))


def _agreed(state: OrderState, index: int) -> tuple[Pledge, ...]:
    """What the path has; more time that one operator gave and another did not is nobody's to pay."""
    sold = (state.terms.parts[index].pledge, *state.legs[index].longer)
    return tuple(pledge for pledge in sold if pledge.quoted.window.start_s < state.end_s)


def spans(sold: Sequence[Pledge]) -> Iterator[tuple[Pledge, int, int]]:
    """From when until when each counts, Unix seconds: until its window ends, or another bandwidth takes its place."""
    for place, pledge in enumerate(sold):
        later = (_start_s(other) for other in sold[place + 1 :])
        yield pledge, _start_s(pledge), min((pledge.quoted.window.end_s, *later))


def _start_s(pledge: Pledge) -> int:
    return pledge.quoted.window.start_s if pledge.from_s is None else pledge.from_s


def unused(state: OrderState, from_s: int) -> Money:
    """What of the price sold so far is for use after a Unix second, rounded down: so much another bandwidth frees.

    What is due as the least charge anyway is not freed.
    """
    rates, currency, micro = state.terms.rates, state.total.currency, 0
    for index, part in enumerate(state.terms.parts):
        if part.pledge.tariff is None:
            continue
        found = [_spared(one, from_s) for one in spans(_agreed(state, index))]
        above = sum(whole for whole, _ in found) - part.pledge.tariff.minimum_micro
        left = max(0, min(above, sum(later for _, later in found)))
        micro += rates.ceiling(Money(part.pledge.tariff.currency, left), currency).micro
    return Money(currency, micro)


def _spared(one: tuple[Pledge, int, int], from_s: int) -> tuple[int, int]:
    """Use of what was sold, and that part of it after a Unix second, in micro-units, rounded down."""
    pledge, start_s, stop_s = one
    both = (_used(pledge, since, stop_s).lines for since in (start_s, max(start_s, from_s)))
    whole, later = (max(0, total(lines) - ROUNDED_UP) for lines in both)
    return whole, later


def _use(state: OrderState, leg: Leg, bill: Bill, end_s: int) -> tuple[int, int]:
    """From when until when, Unix seconds: as billed, but not before our confirm, not after now, not beyond the end."""
    if leg.confirm is None:
        return end_s, end_s
    earliest, latest = leg.confirm.iat - SKEW_S, min(end_s, state.now_s + SKEW_S)
    from_s = earliest if bill.start is None else max(earliest, int(bill.start.timestamp()))
    until_s = latest if bill.end is None else min(latest, int(bill.end.timestamp()))
    return from_s, max(from_s, until_s)


def _used(pledge: Pledge, from_s: int, until_s: int) -> Used:
    frame = pledge.quoted.window
    start_s = min(max(frame.start_s, from_s), frame.end_s)
    end_s = max(start_s, min(frame.end_s, until_s))
    if pledge.tariff is None or start_s == end_s:
        return Used(pledge, start_s, end_s, ())
    lines = usage(pledge.tariff, pledge.quoted.bandwidth_bps, start_s, end_s, frame.duration_s)
    return Used(pledge, start_s, end_s, lines)

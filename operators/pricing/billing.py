"""The bill of a lease: whole seconds from the accepted confirm until the release, each period at its own tariff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, structs

from schemas.order import Bill
from schemas.price import Line, Money, Tariff, total, usage
from schemas.segment import moment

PERIODS_TOLD_MAX: Final = 64  # a bill with lines for each of more would not fit into a receipt


class Period(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stretch of a lease at one tariff and bandwidth, Unix [start_s, end_s): as ordered, then with each change.

    `term_s` is the length that was sold, by which its term factor counts even where a later change cut it short.
    """

    tariff: Tariff
    bandwidth_bps: int
    start_s: int
    end_s: int
    term_s: int


def before(periods: Sequence[Period], at_s: int) -> tuple[Period, ...]:
    """What there is of periods before a Unix second. The first, which bears set-up and minimum, always stays."""
    first, *others = periods
    kept = (first, *(period for period in others if period.start_s < at_s))
    return tuple(structs.replace(period, end_s=max(period.start_s, min(period.end_s, at_s))) for period in kept)


def nothing(currency: str) -> Bill:
    """The bill of a lease that was voided or never confirmed: no lines."""
    return Bill(start=None, end=None, lines=(), total=Money(currency, 0))


def bill(periods: Sequence[Period], from_s: int, until_s: int) -> Bill:
    """What use from `from_s` (the confirm) until `until_s` (the release, or the end of the window) costs.

    Set-up of every period sold, usage per period, or of all of them together where they are many, the minimum of the
    first, and the exit of the last when the lease ended before its end. `periods` follow each other without a gap and
    are at least one.
    """
    assert periods, "a lease was sold for at least one period"
    first, last = periods[0].tariff, periods[-1].tariff
    until_s = max(from_s, min(until_s, periods[-1].end_s))
    used = _told([_used(period, from_s, until_s) for period in periods])
    set_up = sum(period.tariff.set_up_micro for period in periods)
    lines = [Line("set_up", set_up), *used, Line("minimum", max(0, first.minimum_micro - total(used)))]
    if until_s < periods[-1].end_s:
        lines.append(Line("exit", last.exit_micro))
    owed = Money(first.currency, total(tuple(lines)))
    return Bill(start=moment(from_s), end=moment(until_s), lines=tuple(lines), total=owed)


def _told(used: Sequence[tuple[Line, ...]]) -> tuple[Line, ...]:
    """The lines of every period that was used, or their sums by name."""
    lines = [line for of_period in used for line in of_period]
    if sum(map(bool, used)) <= PERIODS_TOLD_MAX:
        return tuple(lines)
    names = dict.fromkeys(line.name for line in lines)
    return tuple(Line(name, sum(line.micro for line in lines if line.name == name)) for name in names)


def _used(period: Period, from_s: int, until_s: int) -> tuple[Line, ...]:
    start_s, end_s = max(period.start_s, from_s), min(period.end_s, until_s)
    if start_s >= end_s:
        return ()
    return usage(period.tariff, period.bandwidth_bps, start_s, end_s, period.term_s)

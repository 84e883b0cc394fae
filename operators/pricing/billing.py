"""The bill of a lease: whole seconds from the accepted confirm until the release, each period at its own tariff."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from schemas.order import Bill
from schemas.price import Line, Money, Tariff, total, usage
from schemas.segment import moment


class Period(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of a lease sold at one tariff, Unix [start_s, end_s): the first order, then each extension."""

    tariff: Tariff
    start_s: int
    end_s: int


def nothing(currency: str) -> Bill:
    """The bill of a lease that was voided or never confirmed: no lines."""
    return Bill(start=None, end=None, lines=(), total=Money(currency, 0))


def bill(periods: Sequence[Period], bandwidth_bps: int, from_s: int, until_s: int) -> Bill:
    """What use from `from_s` (the confirm) until `until_s` (the release, or the end of the window) costs.

    Set-up of every period sold, usage per period, the minimum of the first, and the exit of the last when the
    lease ended before its end. `periods` follow each other without a gap and are at least one.
    """
    assert periods, "a lease was sold for at least one period"
    first, last = periods[0].tariff, periods[-1].tariff
    until_s = max(from_s, min(until_s, periods[-1].end_s))
    used = [line for period in periods for line in _used(period, bandwidth_bps, from_s, until_s)]
    set_up = sum(period.tariff.set_up_micro for period in periods)
    lines = [Line("set_up", set_up), *used, Line("minimum", max(0, first.minimum_micro - total(tuple(used))))]
    if until_s < periods[-1].end_s:
        lines.append(Line("exit", last.exit_micro))
    owed = Money(first.currency, total(tuple(lines)))
    return Bill(start=moment(from_s), end=moment(until_s), lines=tuple(lines), total=owed)


def _used(period: Period, bandwidth_bps: int, from_s: int, until_s: int) -> tuple[Line, ...]:
    start_s, end_s = max(period.start_s, from_s), min(period.end_s, until_s)
    if start_s >= end_s:
        return ()
    return usage(period.tariff, bandwidth_bps, start_s, end_s, period.end_s - period.start_s)

"""Money and tariffs: integers in micro-units of an ISO 4217 currency, rounded up once per line.

A tariff line is rate x bit/s x seconds / (10^9 x 3600), weighted by the time bands it crosses and by the term
sold. Both sides of a quote compute it with `charge`, so a price can be checked by anyone who holds the quote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from schemas.problem import invalid

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
MICRO_MAX: Final = 10**18
Micro = Annotated[int, Meta(ge=0, le=MICRO_MAX)]
Ppm = Annotated[int, Meta(ge=1, le=10**9)]

PPM: Final = 1_000_000
GBPS: Final = 10**9
HOUR_S: Final = 3600
MINUTES_A_DAY: Final = 1440


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount: `micro` millionths of one unit of `currency`."""

    currency: Currency
    micro: Micro

    def __str__(self) -> str:
        """Exact, for a sentence: `EUR 12.50`, `CHF 0.000001`."""
        units, rest = divmod(self.micro, PPM)
        digits = f"{rest:06d}".rstrip("0")
        return f"{self.currency} {units:,}.{digits:0<2}"


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a price or bill: `set_up`, `port`, `bandwidth`, `minimum` or `exit`, in micro-units."""

    name: str
    micro: Micro


class TimeBand(Struct, frozen=True, forbid_unknown_fields=True):
    """Rates times `factor_ppm`/10^6 from `from_minute` until `to_minute` of the local day, on ISO weekdays `days`."""

    from_minute: Annotated[int, Meta(ge=0, le=1439)]
    to_minute: Annotated[int, Meta(ge=1, le=1440)]
    factor_ppm: Ppm
    days: tuple[Annotated[int, Meta(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)


class TermFactor(Struct, frozen=True, forbid_unknown_fields=True):
    """Rates times `factor_ppm`/10^6 for a lease sold for at least `min_s` seconds; the longest that fits counts."""

    min_s: Annotated[int, Meta(ge=0)]
    factor_ppm: Ppm


class Tariff(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a segment costs.

    `minimum_micro` is the least usage charge of a lease; `exit_micro` is due once, only when a lease is released
    before its end; `minimum_term_s` is the least duration sold. Bands are read in the IANA `zone`.
    """

    currency: Currency
    set_up_micro: Micro = 0
    hourly_micro: Micro = 0
    gbps_hourly_micro: Micro = 0
    minimum_micro: Micro = 0
    exit_micro: Micro = 0
    minimum_term_s: Annotated[int, Meta(ge=0)] = 0
    zone: str = "UTC"
    bands: tuple[TimeBand, ...] = ()
    terms: tuple[TermFactor, ...] = ()

    def __post_init__(self) -> None:
        check_bands(self.zone, self.bands)


def check_bands(zone: str, bands: tuple[TimeBand, ...]) -> None:
    """Refuse an unknown zone and bands that overlap: two factors for one second would be ambiguous."""
    _zone(zone)
    if not bands:
        return
    for day in range(1, 8):
        spans = sorted((b.from_minute, b.to_minute) for b in bands if day in b.days)
        edges = [minute for span in spans for minute in span]
        if edges != sorted(edges) or any(low == high for low, high in spans):
            raise ValueError("bands must not be empty, cross midnight or overlap")


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"zone '{name}' is no IANA time zone, write for example Europe/Amsterdam") from error


def term_ppm(terms: tuple[TermFactor, ...], term_s: int) -> int:
    """The factor of the longest term reached by `term_s`; one when there is none."""
    fitting = [t for t in terms if t.min_s <= term_s]
    return max(fitting, key=lambda t: t.min_s).factor_ppm if fitting else PPM


@lru_cache(maxsize=4096)
def weighted_seconds(zone: str, bands: tuple[TimeBand, ...], start_s: int, end_s: int) -> int:
    """Seconds of the window times their band factor in ppm: 10^6 per second outside every band."""
    plain = (end_s - start_s) * PPM
    if not bands:
        return plain
    return plain + sum(_of_days(zone, bands, start_s, end_s))


def _of_days(zone: str, bands: tuple[TimeBand, ...], start_s: int, end_s: int) -> Iterator[int]:
    """What the bands add to the window, by local day. A whole day without a clock change adds what its weekday does:
    five years of a hundred bands are a matter of milliseconds, whoever published them."""
    by_weekday = [_of_weekday(bands, weekday) for weekday in range(1, 8)]
    day = datetime.fromtimestamp(start_s, UTC).astimezone(_zone(zone)).date()
    low = _at(day, 0, zone)
    while low < end_s:
        high = _at(day, MINUTES_A_DAY, zone)
        whole = start_s <= low and high <= end_s and high - low == MINUTES_A_DAY * 60
        yield by_weekday[day.weekday()] if whole else _of_day(zone, bands, day, (start_s, end_s))
        day, low = day + timedelta(days=1), high


def _of_weekday(bands: tuple[TimeBand, ...], weekday: int) -> int:
    return sum((b.to_minute - b.from_minute) * 60 * (b.factor_ppm - PPM) for b in bands if weekday in b.days)


def _of_day(zone: str, bands: tuple[TimeBand, ...], day: date, frame: tuple[int, int]) -> int:
    there = [band for band in bands if day.isoweekday() in band.days]
    spans = [(max(frame[0], _at(day, b.from_minute, zone)), min(frame[1], _at(day, b.to_minute, zone))) for b in there]
    return sum(max(0, high - low) * (b.factor_ppm - PPM) for (low, high), b in zip(spans, there, strict=True))


@lru_cache(maxsize=65536)
def _at(day: date, minute: int, zone: str) -> int:
    """Unix second of a local wall-clock minute; a time skipped or repeated by a clock change reads as its first."""
    if minute == MINUTES_A_DAY:
        day, minute = day + timedelta(days=1), 0
    return int(datetime.combine(day, time(minute // 60, minute % 60), _zone(zone)).timestamp())


def usage(tariff: Tariff, bandwidth_bps: int, start_s: int, end_s: int, term_s: int) -> tuple[Line, ...]:
    """`port` and `bandwidth` lines for use from `start_s` until `end_s` of a lease sold for `term_s` seconds."""
    factor = weighted_seconds(tariff.zone, tariff.bands, start_s, end_s) * term_ppm(tariff.terms, term_s)
    port = ceil_div(tariff.hourly_micro * factor, HOUR_S * PPM * PPM)
    bandwidth = ceil_div(tariff.gbps_hourly_micro * bandwidth_bps * factor, GBPS * HOUR_S * PPM * PPM)
    return (Line("port", port), Line("bandwidth", bandwidth))


def charge(
    tariff: Tariff, bandwidth_bps: int, start_s: int, end_s: int, term_s: int, *, early: bool = False
) -> tuple[Line, ...]:
    """Every line of a lease used from `start_s` until `end_s`; with the exit cost when it ends `early`."""
    used = usage(tariff, bandwidth_bps, start_s, end_s, term_s)
    top_up = max(0, tariff.minimum_micro - total(used))
    lines = (Line("set_up", tariff.set_up_micro), *used, Line("minimum", top_up))
    return (*lines, Line("exit", tariff.exit_micro)) if early else lines


def total(lines: tuple[Line, ...]) -> int:
    """Sum of the lines in micro-units."""
    return sum(line.micro for line in lines)


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up, exactly."""
    return -(-a // b)


class RateTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Dated exchange rates: what one unit of each currency is worth, in millionths of one common unit."""

    date: str
    worth_ppm: Mapping[Currency, Ppm]

    def convert(self, money: Money, currency: str) -> Money:
        """The amount in `currency`, rounded up. Raises `Problem` where a rate is missing."""
        if money.currency == currency:
            return money
        self._check(money.currency, currency)
        return Money(currency, ceil_div(money.micro * self.worth_ppm[money.currency], self.worth_ppm[currency]))

    def ceiling(self, most: Money, currency: str) -> Money:
        """The most that may be spent, in `currency`: rounded down, against the spender. Raises like `convert`."""
        if most.currency == currency:
            return most
        self._check(most.currency, currency)
        return Money(currency, most.micro * self.worth_ppm[most.currency] // self.worth_ppm[currency])

    def _check(self, *currencies: str) -> None:
        for name in currencies:
            if name not in self.worth_ppm:
                raise invalid("currency", f"no rate for {name}; rates exist for {', '.join(sorted(self.worth_ppm))}")

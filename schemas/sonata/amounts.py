"""Integer money as Sonata's decimals: exact, by `Decimal`, never through a binary float."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache
from typing import Final, Literal

from schemas.price import GBPS, PPM, Tariff, TimeBand, ceil_div, term_ppm
from schemas.segment import Segment
from schemas.sonata.parts import Duration, EndOfTerm, ItemPrice, ItemTerm, Price, SonataMoney, TimeUnit

# Enough digits for 10^18 micro-units per Gb/s and hour times 10^14 bit/s times a factor of 1000.
_EXACT: Final = Context(prec=60)
_CENT: Final = Decimal("0.01")
HOUR: Final = Duration(amount=1, units=TimeUnit.CALENDAR_HOURS)


@lru_cache(maxsize=1024)  # rates come again with every quote
def decimal(micro: int) -> Decimal:
    """So many micro-units as whole units: with two places, or with six where two are not enough."""
    value = Decimal(micro).scaleb(-6, _EXACT)
    return value.quantize(_CENT, context=_EXACT) if micro % 10_000 == 0 else value


def price_of(currency: str, micro: int) -> Price:
    """An amount before taxes."""
    return Price(duty_free_amount=SonataMoney(unit=currency, value=decimal(micro)))


def item_prices(tariff: Tariff, segment: Segment) -> tuple[ItemPrice, ...]:
    """What `segment` costs by `tariff`; the hourly rates stand even when they are zero, since Sonata needs a price.

    `minimum` and `exit` are usage-based: they are due only in the case that their unit names.
    """
    own = (_once("set_up", tariff, tariff.set_up_micro),) if tariff.set_up_micro else ()
    hourly = (_hourly("port", tariff, port_micro(tariff, segment)), _hourly("bandwidth", tariff, rate(tariff, segment)))
    cases = (
        ("minimum", tariff.minimum_micro, "lease whose port and bandwidth charges come to less"),
        ("exit", tariff.exit_micro, "lease released before its end"),
    )
    return (*own, *hourly, *(_in_case(name, tariff, micro, unit) for name, micro, unit in cases if micro))


def port_micro(tariff: Tariff, segment: Segment) -> int:
    """Micro-units per hour for the port, outside every time band, rounded up."""
    return ceil_div(tariff.hourly_micro * term_ppm(tariff.terms, segment.window.duration_s), PPM)


def rate(tariff: Tariff, segment: Segment) -> int:
    """Micro-units per hour for the bandwidth, outside every time band, rounded up."""
    factor = segment.bandwidth_bps * term_ppm(tariff.terms, segment.window.duration_s)
    return ceil_div(tariff.gbps_hourly_micro * factor, GBPS * PPM)


def item_term(segment: Segment) -> ItemTerm:
    """The term of a segment: its window, after which it is disconnected."""
    seconds = segment.window.duration_s
    duration = Duration(amount=seconds, units=TimeUnit.SECONDS)
    return ItemTerm(name=f"{seconds} s", duration=duration, end_of_term_action=EndOfTerm.AUTO_DISCONNECT)


def _hourly(name: str, tariff: Tariff, micro: int) -> ItemPrice:
    return ItemPrice(
        name=name,
        price_type="recurring",
        price=price_of(tariff.currency, micro),
        recurring_charge_period=HOUR,
        description="; ".join(["billed to the second", *(_band(b, tariff.zone) for b in tariff.bands)]),
    )


def _once(name: Literal["set_up"], tariff: Tariff, micro: int) -> ItemPrice:
    return ItemPrice(name=name, price_type="nonRecurring", price=price_of(tariff.currency, micro))


def _in_case(name: str, tariff: Tariff, micro: int, unit: str) -> ItemPrice:
    price = price_of(tariff.currency, micro)
    return ItemPrice(name=name, price_type="usageBased", price=price, unit_of_measure=unit)


def _band(band: TimeBand, zone: str) -> str:
    days = ",".join(str(day) for day in band.days)
    span = f"{_clock(band.from_minute)} to {_clock(band.to_minute)} {zone} on weekdays {days}"
    return f"times {decimal(band.factor_ppm)} from {span}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"

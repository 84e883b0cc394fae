"""Prices checked by hand, and parts that add up to the whole."""

from __future__ import annotations

from operators.pricing.card import RateCard
from operators.pricing.quote import Rates, class_terms, distance_rates, end_rates, price, segment_rates, tariff
from schemas.interface import InterfaceKind
from schemas.price import Line, Money, TermFactor, TimeBand
from schemas.quote import Action
from schemas.segment import window

UNI, ENNI = InterfaceKind.UNI, InterfaceKind.ENNI
MONDAY = 1_794_787_200  # 2026-11-16T00:00:00Z
HOUR = 3600
GBPS = 10**9

CARD = RateCard(
    port_hourly_micro={UNI: 450_000, ENNI: 300_000},
    gbps_hourly_micro=20_000,
    gbps_km_hourly_micro=400,
    set_up_micro=2_000_000,
    minimum_micro=1_000_000,
    exit_micro=5_000_000,
    minimum_term_s=60,
)


def quoted(card: RateCard, hours: int, bandwidth_bps: int, start_s: int = MONDAY) -> tuple[tuple[Line, ...], Money]:
    of = tariff(class_terms("any", card, "UTC"), segment_rates(card, UNI, ENNI, 100), "EUR")
    return price(of, bandwidth_bps, window(start_s, start_s + hours * HOUR))


def test_rates_are_both_ports_both_ends_and_the_distance() -> None:
    # ports 0.45 + 0.30; per Gb/s 2 x 0.02 at the ends and 100 km x 0.0004
    assert segment_rates(CARD, UNI, ENNI, 100) == Rates(750_000, 40_000 + 40_000)


def test_a_segment_costs_its_parts() -> None:
    parts = (
        end_rates(CARD, UNI).plus(distance_rates(CARD, 37)).plus(distance_rates(CARD, 63)).plus(end_rates(CARD, ENNI))
    )
    assert parts == segment_rates(CARD, UNI, ENNI, 100)


def test_ten_gbps_for_two_hours() -> None:
    lines, total = quoted(CARD, 2, 10 * GBPS)
    # port 2 h x 0.75 = 1.50; bandwidth 10 x 2 h x 0.08 = 1.60; above the minimum of 1.00
    assert lines == (
        Line("set_up", 2_000_000),
        Line("port", 1_500_000),
        Line("bandwidth", 1_600_000),
        Line("minimum", 0),
    )
    assert total == Money("EUR", 5_100_000)


def test_a_line_is_rounded_up_once() -> None:
    lines, _ = quoted(CARD, 1, 1)
    # 80,000 micro-units per Gb/s and hour for one bit/s: 0.00008, rounded up to 1
    assert Line("bandwidth", 1) in lines


def test_the_minimum_tops_up_usage() -> None:
    lines, total = quoted(CARD, 1, GBPS)
    # usage 0.75 + 0.08 = 0.83; 0.17 is missing to 1.00
    assert Line("minimum", 170_000) in lines
    assert total == Money("EUR", 3_000_000)


def test_bands_and_terms_multiply() -> None:
    night = TimeBand(0, 360, 500_000)
    card = RateCard(
        port_hourly_micro={UNI: 1_000_000, ENNI: 1_000_000}, bands=(night,), terms=(TermFactor(12 * HOUR, 900_000),)
    )
    lines, total = quoted(card, 12, GBPS)
    # 2.00 an hour: six night hours at half and six at full make 18.00, less 10 % for twelve hours or more
    assert total == Money("EUR", 16_200_000)
    assert lines[1] == Line("port", 16_200_000)


def test_an_extension_pays_no_set_up_and_has_no_minimum() -> None:
    of = tariff(class_terms("any", CARD, "UTC"), segment_rates(CARD, UNI, UNI, 0), "EUR", Action.MODIFY)
    assert (of.set_up_micro, of.minimum_micro, of.minimum_term_s) == (0, 0, 0)
    assert (of.exit_micro, of.hourly_micro, of.gbps_hourly_micro) == (5_000_000, 900_000, 40_000)

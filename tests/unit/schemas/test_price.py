"""Tariff arithmetic: golden numbers worked out by hand, and what holds for every tariff."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.price import (
    PPM,
    Line,
    Money,
    RateTable,
    Tariff,
    TermFactor,
    TimeBand,
    _at,
    charge,
    total,
    usage,
    weighted_seconds,
)
from schemas.problem import Problem

GBPS = 10**9
WORK_HOURS = TimeBand(from_minute=480, to_minute=1080, factor_ppm=1_500_000, days=(1, 2, 3, 4, 5))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def by_the_second_of_every_band(zone: str, bands: tuple[TimeBand, ...], start_s: int, end_s: int) -> int:
    """The rule itself, band by band and day by day."""
    there, found = ZoneInfo(zone), (end_s - start_s) * PPM

    def wall(day: date, minute: int) -> int:
        past = day + timedelta(days=minute // 1440)
        return int(datetime.combine(past, time(minute % 1440 // 60, minute % 60), there).timestamp())

    day = datetime.fromtimestamp(start_s, UTC).astimezone(there).date()
    while wall(day, 0) < end_s:
        for band in (band for band in bands if day.isoweekday() in band.days):
            low, high = wall(day, band.from_minute), wall(day, band.to_minute)
            found += max(0, min(end_s, high) - max(start_s, low)) * (band.factor_ppm - PPM)
        day += timedelta(days=1)
    return found


ZONES = (
    "Europe/Amsterdam",
    "Atlantic/Azores",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "America/Havana",
    "Asia/Kathmandu",
)


@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(0, 1440), min_size=4, max_size=4, unique=True).map(sorted),
    st.sets(st.integers(1, 7), min_size=1),
    st.integers(1_795_000_000, 1_830_000_000),
    st.integers(1, 200 * 86_400),
)
def test_days_counted_at_once_come_to_what_their_bands_say(
    zone: str, cuts: list[int], days: set[int], start_s: int, lasts_s: int
) -> None:
    bands = (TimeBand(cuts[0], cuts[1], 500_000, tuple(sorted(days))), TimeBand(cuts[2], cuts[3], 2_000_001))
    end_s = start_s + lasts_s
    assert weighted_seconds(zone, bands, start_s, end_s) == by_the_second_of_every_band(zone, bands, start_s, end_s)


def test_five_years_of_many_bands_are_not_counted_one_by_one() -> None:
    bands = tuple(TimeBand(minute, minute + 1, 1_000_001) for minute in range(0, 1200, 2))
    start_s, counted = 1_795_000_000, _at.cache_info().misses
    assert weighted_seconds("Europe/Amsterdam", bands, start_s, start_s + 5 * 366 * 86_400) > 0
    assert _at.cache_info().misses - counted < 40 * len(bands)


def test_an_hour_of_ten_gigabits_by_hand() -> None:
    tariff = Tariff(currency="EUR", set_up_micro=5_000_000, hourly_micro=250_000, gbps_hourly_micro=40_000)
    lines = charge(tariff, 10 * GBPS, 0, 3600, 3600)
    assert lines == (
        Line("set_up", 5_000_000),
        Line("port", 250_000),
        Line("bandwidth", 400_000),
        Line("minimum", 0),
    )


def test_each_line_is_rounded_up_once() -> None:
    tariff = Tariff(currency="EUR", hourly_micro=1, gbps_hourly_micro=1)
    assert usage(tariff, 1, 0, 1, 1) == (Line("port", 1), Line("bandwidth", 1))
    assert total(usage(tariff, GBPS, 0, 7200, 7200)) == 4


def test_the_minimum_tops_up_usage_and_the_exit_is_due_only_when_early() -> None:
    tariff = Tariff(currency="EUR", hourly_micro=100, minimum_micro=1000, exit_micro=77)
    assert dict(map(msgspec.structs.astuple, charge(tariff, GBPS, 0, 3600, 3600))) == {
        "set_up": 0,
        "port": 100,
        "bandwidth": 0,
        "minimum": 900,
    }
    assert charge(tariff, GBPS, 0, 3600, 7200, early=True)[-1] == Line("exit", 77)


def test_the_longest_term_reached_counts() -> None:
    terms = (TermFactor(min_s=0, factor_ppm=2 * PPM), TermFactor(min_s=86400, factor_ppm=PPM // 2))
    tariff = Tariff(currency="EUR", hourly_micro=1000, terms=terms)
    assert total(usage(tariff, 1, 0, 3600, 3600)) == 2000
    assert total(usage(tariff, 1, 0, 3600, 86400)) == 500


def test_bands_follow_the_wall_clock_of_their_zone() -> None:
    # Wednesday 2026-11-18: 08:00-18:00 in Amsterdam is 07:00-17:00 UTC.
    whole_day = weighted_seconds("Europe/Amsterdam", (WORK_HOURS,), at("2026-11-18"), at("2026-11-19"))
    assert whole_day == (86400 + 5 * 3600) * PPM
    before = weighted_seconds("Europe/Amsterdam", (WORK_HOURS,), at("2026-11-18T06:00"), at("2026-11-18T07:00"))
    assert before == 3600 * PPM
    saturday = weighted_seconds("Europe/Amsterdam", (WORK_HOURS,), at("2026-11-21"), at("2026-11-22T00:00"))
    assert saturday == 86400 * PPM


def test_a_day_of_25_hours_is_billed_as_25_hours() -> None:
    night = (TimeBand(from_minute=0, to_minute=1440, factor_ppm=2 * PPM, days=(7,)),)
    # In Amsterdam Sunday 2026-10-25 runs from 22:00 UTC on Saturday until 23:00 UTC on Sunday.
    assert (
        weighted_seconds("Europe/Amsterdam", night, at("2026-10-24T22:00"), at("2026-10-25T23:00")) == 25 * 7200 * PPM
    )


@pytest.mark.parametrize(
    ("zone", "bands"),
    [
        ("Mars/Olympus", ()),
        ("UTC", (TimeBand(0, 60, PPM), TimeBand(59, 120, PPM))),
        ("UTC", (TimeBand(120, 60, PPM),)),
    ],
)
def test_ambiguous_bands_and_unknown_zones_are_refused(zone: str, bands: tuple[TimeBand, ...]) -> None:
    with pytest.raises(ValueError, match=r"zone|bands"):
        Tariff(currency="EUR", zone=zone, bands=bands)


seconds = st.integers(min_value=at("2026-10-01"), max_value=at("2026-12-01"))


@given(times=st.tuples(seconds, seconds, seconds).map(sorted), bps=st.integers(1, 4 * 10**11))
def test_usage_split_in_two_never_costs_less_and_at_most_one_unit_a_line_more(times: list[int], bps: int) -> None:
    start, middle, end = times
    tariff = Tariff(
        currency="EUR", hourly_micro=12_345, gbps_hourly_micro=6_789, zone="Europe/Amsterdam", bands=(WORK_HOURS,)
    )
    whole = total(usage(tariff, bps, start, end, 1))
    parts = total(usage(tariff, bps, start, middle, 1)) + total(usage(tariff, bps, middle, end, 1))
    assert whole <= parts <= whole + 2


@given(start=seconds, length=st.integers(0, 10**6))
def test_weighted_seconds_agree_with_counting_minute_by_minute(start: int, length: int) -> None:
    start -= start % 60
    minutes = min(length // 60, 3000)
    by_minute = sum(
        weighted_seconds("Europe/Amsterdam", (WORK_HOURS,), start + 60 * m, start + 60 * (m + 1))
        for m in range(minutes)
    )
    assert weighted_seconds("Europe/Amsterdam", (WORK_HOURS,), start, start + 60 * minutes) == by_minute


@given(micro=st.integers(0, 10**15))
def test_conversion_rounds_up_and_by_less_than_one(micro: int) -> None:
    rates = RateTable(date="2026-11-20", worth_ppm={"EUR": 1_000_000, "CHF": 1_043_000})
    converted = rates.convert(Money("CHF", micro), "EUR").micro
    assert 0 <= converted - Fraction(micro * 1_043_000, 1_000_000) < 1


def test_a_missing_rate_is_named() -> None:
    with pytest.raises(Problem, match="no rate for USD"):
        RateTable(date="2026-11-20", worth_ppm={"EUR": 1_000_000}).convert(Money("USD", 1), "EUR")

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.cli import units
from schemas.price import Money


@pytest.mark.parametrize(
    ("text", "bps"),
    [("10G", 10**10), ("2.5G", 25 * 10**8), ("500M", 5 * 10**8), ("500m", 5 * 10**8), ("64k", 64_000), ("1bps", 1),
     ("10 Gb/s", 10**10), ("100Gbps", 10**11)],
)  # fmt: skip
def test_bandwidth_reads_as_people_write_it(text: str, bps: int) -> None:
    assert units.parse_bandwidth(text) == bps


@pytest.mark.parametrize("text", ["", "0", "0G", "10", "-1G", "ten", "10X", "101T", "1e9", "0.3", "10G;", "٣G٣x"])
def test_what_is_no_bandwidth_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 10G"):
        units.parse_bandwidth(text)


@given(st.integers(min_value=1, max_value=10**14))
def test_bandwidth_printed_reads_back(bps: int) -> None:
    assert units.parse_bandwidth(units.bandwidth(bps)) == bps


@pytest.mark.parametrize(
    ("text", "us"), [("12ms", 12_000), ("1.5 ms", 1_500), ("800us", 800), ("1s", 10**6), ("0ms", 0)]
)
def test_latency_reads(text: str, us: int) -> None:
    assert units.parse_latency(text) == us


@pytest.mark.parametrize("text", ["12", "12m", "-1ms", "1.0005us", "fast", "20000s"])
def test_latency_without_a_unit_or_below_a_microsecond_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 12ms"):
        units.parse_latency(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2h", 7200), ("30m", 1800), ("90s", 90), ("1d12h", 129_600), ("1w", 604_800)]
)
def test_duration_reads(text: str, seconds: int) -> None:
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "2", "h2", "2h-1m", "12m2h", "two hours", "1831d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 2h"):
        units.parse_duration(text)


@given(st.integers(min_value=1, max_value=10**8))
def test_duration_printed_reads_back(seconds: int) -> None:
    text = units.duration(seconds).replace("min", "m").replace(" ", "")
    assert units.parse_duration(text) == seconds


def test_shares_are_parts_per_billion() -> None:
    assert units.parse_share("99.95%") == 999_500_000
    assert units.share(999_500_000) == "99.95 %"
    for text in ("101%", "-1%", "0.5", "99.12345678901%"):
        with pytest.raises(ValueError, match=r"write for example 99\.95%"):
            units.parse_share(text)


def test_money_is_exact_and_shown_rounded_against_the_spender() -> None:
    assert units.parse_money("12.50 chf") == Money("CHF", 12_500_000)
    assert units.money(Money("EUR", 1_234_567_001)) == "EUR 1,234.57"
    assert units.money(Money("EUR", 42)) == "EUR 0.000042"
    assert units.money(Money("EUR", 0)) == "EUR 0.00"
    assert units.exact_money(Money("EUR", 1_234_567_001)) == "EUR 1,234.567001"
    for text in ("12", "EUR", "1.1234567EUR", "-3EUR"):
        with pytest.raises(ValueError, match="write for example 250EUR"):
            units.parse_money(text)


def test_a_time_needs_a_zone() -> None:
    assert units.parse_time("2026-12-01T08:00Z") == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert units.parse_time("2026-12-01T09:00+01:00") == datetime(2026, 12, 1, 8, tzinfo=UTC)
    for text in ("2026-12-01T08:00", "tomorrow", "2026-13-01T00:00Z"):
        with pytest.raises(ValueError, match="write for example 2026-12-01T08:00Z"):
            units.parse_time(text)

"""Bills by hand: whole seconds from confirm to release, each period at its own tariff."""

from __future__ import annotations

from msgspec import structs

from federation.trust.jose import sign_jws
from federation.trust.keys import generate
from operators.pricing.billing import PERIODS_TOLD_MAX, Period, bill, nothing
from schemas.lease import State
from schemas.order import CHANGES_MAX
from schemas.price import Line, Money, Tariff, TermFactor
from schemas.segment import moment
from schemas.token import TYPES
from tests.support.sagas import Saga

KEY = generate()
START = 1_794_787_200
HOUR = 3600
GBPS = 10**9
TARIFF = Tariff(
    currency="EUR",
    set_up_micro=2_000_000,
    hourly_micro=720_000,
    gbps_hourly_micro=360_000,
    minimum_micro=500_000,
    exit_micro=5_000_000,
)


def period(tariff: Tariff, start: int, end: int, bandwidth: int = GBPS, term: int | None = None) -> Period:
    return Period(tariff=tariff, bandwidth_bps=bandwidth, start_s=start, end_s=end, term_s=term or end - start)


FIRST = period(TARIFF, START, START + 2 * HOUR)


def amounts(lines: tuple[Line, ...]) -> list[tuple[str, int]]:
    return [(line.name, line.micro) for line in lines]


def test_a_lease_used_until_its_end_pays_no_exit() -> None:
    paid = bill([FIRST], START + 10, START + 2 * HOUR)
    # 7,190 s at 200 micro-units a second for the ports and 100 for one Gb/s
    assert amounts(paid.lines) == [("set_up", 2_000_000), ("port", 1_438_000), ("bandwidth", 719_000), ("minimum", 0)]
    assert paid.total == Money("EUR", 4_157_000)
    assert (paid.start, paid.end) == (moment(START + 10), moment(START + 2 * HOUR))


def test_an_early_release_pays_to_the_second_and_the_exit() -> None:
    paid = bill([FIRST], START, START + 3_001)
    assert amounts(paid.lines) == [
        ("set_up", 2_000_000),
        ("port", 600_200),
        ("bandwidth", 300_100),
        ("minimum", 0),
        ("exit", 5_000_000),
    ]


def test_the_minimum_is_the_least_usage() -> None:
    paid = bill([FIRST], START, START + 1)
    assert ("minimum", 500_000 - 300) in amounts(paid.lines)
    assert paid.total == Money("EUR", 2_000_000 + 500_000 + 5_000_000)


def test_an_extension_is_billed_at_its_own_tariff() -> None:
    cheaper = Tariff(currency="EUR", hourly_micro=360_000, exit_micro=7_000_000)
    paid = bill([FIRST, period(cheaper, FIRST.end_s, FIRST.end_s + HOUR)], START, FIRST.end_s + 100)
    assert amounts(paid.lines) == [
        ("set_up", 2_000_000),
        ("port", 1_440_000),
        ("bandwidth", 720_000),
        ("port", 10_000),
        ("bandwidth", 0),
        ("minimum", 0),
        ("exit", 7_000_000),
    ]


def test_an_extension_not_reached_is_not_charged() -> None:
    extended = [FIRST, period(TARIFF, FIRST.end_s, FIRST.end_s + HOUR)]
    names = [line.name for line in bill(extended, START, START + 100).lines]
    assert names == ["set_up", "port", "bandwidth", "minimum", "exit"]


def test_the_term_sold_counts_not_the_time_used() -> None:
    tariff = Tariff(currency="EUR", hourly_micro=720_000, terms=(TermFactor(2 * HOUR, 500_000),))
    paid = bill([period(tariff, START, START + 2 * HOUR)], START, START + 100)
    assert amounts(paid.lines)[1] == ("port", 10_000)


def test_use_after_the_end_is_not_charged() -> None:
    assert bill([FIRST], START, START + 99 * HOUR) == bill([FIRST], START, FIRST.end_s)


def test_what_was_never_confirmed_has_no_lines() -> None:
    free = nothing("EUR")
    assert (free.lines, free.total, free.start, free.end) == ((), Money("EUR", 0), None, None)


def test_a_bill_of_many_changes_fits_into_a_receipt() -> None:
    """One that does not is believed by nobody, and the lease could never be released."""
    rates = {"hourly_micro": 10**13, "gbps_hourly_micro": 10**13}
    tariff = Tariff(currency="EUR", minimum_micro=10**15, exit_micro=10**15, set_up_micro=10**15, **rates)
    for count in (PERIODS_TOLD_MAX, CHANGES_MAX + 1):
        periods = [period(tariff, START + 60 * i, START + 60 * (i + 1), term=86_400) for i in range(count)]
        paid = bill(periods, START, START + 60 * count)
        assert sum(line.micro for line in paid.lines if line.name == "port") == count * -(-(10**13) // 60)
        assert paid.total.micro == sum(line.micro for line in paid.lines)
        ended = structs.replace(Saga(1).receipt(0, State.RELEASED), bill=paid)
        assert len(sign_jws(KEY, ended)) < TYPES["receipt+jwt"].bytes_max

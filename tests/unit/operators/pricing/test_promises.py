"""Promises along a route: sums by hand, products exact, never worse than the published parts in a row."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from operators.pricing.along import along
from operators.pricing.card import PromiseCard, Quality
from schemas.segment import PPB, Promise

CARD = PromiseCard(
    end=Quality(jitter_ns=20_000, loss_ppb=100, unavailability_ppb=1_000, carbon_mg_gb=300),
    hop=Quality(jitter_ns=30_000, loss_ppb=200, unavailability_ppb=2_000, carbon_mg_gb=200),
    km=Quality(jitter_ns=25, loss_ppb=1, unavailability_ppb=10, carbon_mg_gb=2),
)

promises = st.builds(
    Promise,
    st.integers(0, 10**5),
    st.integers(0, 10**4),
    st.integers(0, 10**7),
    st.integers(PPB - 10**7, PPB),
    st.integers(0, 10**5),
)


def test_one_stretch_of_101_km() -> None:
    # jitter 30,000 + 101 x 25 = 32,525 ns, rounded up to 33 us
    assert CARD.of_link(101, 657) == Promise(657, 33, 301, PPB - 3_010, 402)


def test_a_route_of_two_ends_and_one_stretch() -> None:
    whole = along([CARD.of_end(), CARD.of_link(100, 650), CARD.of_end()])
    assert (whole.latency_us, whole.jitter_us, whole.carbon_mg_gb) == (650, 20 + 33 + 20, 300 + 400 + 300)
    # 100 + 300 + 100 ppb lost one after the other: a little under 500, rounded up
    assert whole.loss_ppb == 500
    assert whole.availability_ppb == PPB - 1_000 - 3_000 - 1_000


def test_what_would_be_more_than_all_is_all() -> None:
    hopeless = PromiseCard(hop=Quality(loss_ppb=PPB, unavailability_ppb=PPB), km=Quality(loss_ppb=5))
    assert hopeless.of_link(10, 1) == Promise(1, 0, PPB, 0, 0)


def test_nothing_in_a_row_promises_everything() -> None:
    assert along([]) == Promise()


@given(st.lists(promises, max_size=20))
def test_never_worse_than_the_parts_in_a_row(parts: list[Promise]) -> None:
    whole = along(parts)
    for row in (parts, parts[::-1]):
        folded = reduce(Promise.then, row, Promise())
        assert whole.loss_ppb <= folded.loss_ppb
        assert whole.availability_ppb >= folded.availability_ppb
        assert (whole.latency_us, whole.jitter_us) == (folded.latency_us, folded.jitter_us)


@given(st.lists(promises, max_size=12))
def test_the_order_of_parts_does_not_matter(parts: list[Promise]) -> None:
    mixed = sorted(parts, key=lambda p: p.loss_ppb)
    assert along(parts) == along(mixed)

"""Token buckets: pure, fair, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.node.limits import AtOnce, Buckets, Rate
from schemas.problem import Outcome, Problem

SECOND_US = 1_000_000
T0 = 1_795_000_000 * SECOND_US


def test_a_burst_and_then_the_rate() -> None:
    buckets = Buckets(Rate(per_second=2, burst=3))
    assert [buckets.take("a", T0) for _ in range(5)] == [0, 0, 0, 1, 1]
    assert [buckets.take("a", T0 + SECOND_US // 2) for _ in range(2)] == [0, 1]
    assert [buckets.take("a", T0 + 10 * SECOND_US) for _ in range(4)] == [0, 0, 0, 1]


def test_a_caller_that_waits_as_told_goes_on() -> None:
    buckets = Buckets(Rate(per_second=1, burst=1))
    now = T0
    for _ in range(10):
        assert buckets.take("a", now) == 0
        wait_s = buckets.take("a", now)
        assert wait_s == 1
        now += wait_s * SECOND_US


def test_one_callers_flood_costs_another_nothing() -> None:
    buckets = Buckets(Rate(per_second=10, burst=10))
    refused = sum(buckets.take("flood", T0 + i) > 0 for i in range(10_000))
    assert refused == 9_990
    assert [buckets.take("calm", T0 + 10_000 + i) for i in range(10)] == [0] * 10


def test_a_clock_that_goes_back_gives_nothing() -> None:
    buckets = Buckets(Rate(per_second=1, burst=1))
    assert buckets.take("a", T0) == 0
    assert buckets.take("a", T0 - 100 * SECOND_US) == 1
    assert buckets.take("a", T0) == 1
    assert buckets.take("a", T0 + SECOND_US) == 0


def test_invented_names_share_one_bucket_once_there_are_too_many() -> None:
    buckets = Buckets(Rate(per_second=1, burst=5), callers_max=100)
    answers = [buckets.take(f"caller {i}", T0) for i in range(100_000)]
    assert answers.count(0) == 105
    assert len(buckets) == 101
    assert buckets.take("caller 7", T0) == 0, "who came in time keeps what is left"


def test_a_full_bucket_is_forgotten() -> None:
    buckets = Buckets(Rate(per_second=1, burst=2), callers_max=10)
    for i in range(10):
        buckets.take(f"old {i}", T0)
    later = T0 + 3 * SECOND_US
    assert [buckets.take(f"new {i}", later) for i in range(10)] == [0] * 10
    assert len(buckets) <= 11


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3 * SECOND_US)), max_size=80))
def test_nobody_ever_gets_more_than_burst_and_rate_allow(asked: list[tuple[str, int]]) -> None:
    rate, now, given_us = Rate(per_second=3, burst=4), T0, dict[str, int]()
    buckets = Buckets(rate, callers_max=2)
    for caller, pause_us in asked:
        now += pause_us
        given_us[caller] = given_us.get(caller, 0) + (buckets.take(caller, now) == 0)
    for count in given_us.values():
        assert count <= rate.burst + (now - T0) * rate.per_second // SECOND_US + 1


def test_a_look_takes_nothing_and_says_what_taking_would() -> None:
    buckets = Buckets(Rate(per_second=1, burst=2))
    assert [buckets.look("a", T0) for _ in range(10)] == [0] * 10
    assert [buckets.take("a", T0) for _ in range(2)] == [0, 0]
    assert buckets.look("a", T0) == buckets.take("a", T0) == 1
    assert buckets.look("a", T0 + SECOND_US) == 0


def test_one_caller_has_so_many_under_way_and_others_theirs() -> None:
    turns = AtOnce(2, "quotes")
    with turns.one("ann"), turns.one("ann"):
        with pytest.raises(Problem, match="2 quotes of yours are under way") as caught, turns.one("ann"):
            pass
        assert (caught.value.code, caught.value.outcome) == ("TOO_MANY_REQUESTS", Outcome.NONE)
        assert caught.value.retry_after_s == 1
        with turns.one("bob"):
            pass
    with pytest.raises(ValueError, match="lost"), turns.one("ann"):
        raise ValueError("lost")
    with turns.one("ann"), turns.one("ann"):
        pass

"""Published capacity is never more than what is free, at any second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from operators.catalog.steps import STEPS_MAX, Steps, least, near, published
from schemas.offer import steps_least

HORIZON = 1_000


@st.composite
def step_functions(draw: st.DrawFn, first: int = 100) -> Steps:
    times = draw(st.lists(st.integers(first + 1, HORIZON + 200), unique=True, max_size=120).map(sorted))
    return tuple((at, draw(st.integers(0, 5_000))) for at in [first, *times])


def level(steps: Steps, at: int) -> int:
    return [bps for since, bps in steps if since <= at][-1]


def test_from_the_first_second_and_nothing_after_the_horizon() -> None:
    assert published(((100, 900), (200, 400), (300, 400)), 50, 1_000) == ((50, 900), (200, 400), (1_000, 0))


def test_before_the_first_step_nothing_is_for_sale() -> None:
    assert steps_least(published(((100, 900),), 50, 1_000), 49, 60) == 0


@given(st.lists(step_functions(), min_size=1, max_size=5), st.integers(100, HORIZON))
def test_least_is_the_least_at_every_second(functions: list[Steps], at: int) -> None:
    assert level(least(functions), at) == min(level(steps, at) for steps in functions)


@given(step_functions(), st.integers(100, HORIZON + 100))
def test_never_more_than_free_and_short(steps: Steps, at: int) -> None:
    shown = published(steps, 100, HORIZON)
    assert len(shown) <= STEPS_MAX
    assert level(shown, at) <= level(steps, at)
    if at >= HORIZON:
        assert level(shown, at) == 0


@given(step_functions(), step_functions(first=103), st.integers(1, 64))
def test_near_is_near_at_every_second_of_both(was: Steps, now: Steps, share: int) -> None:
    pairs = [(level(was, at), level(now, at)) for at in range(103, HORIZON + 201)]
    assert near(was, now, share) == all(abs(a - b) * share <= a for a, b in pairs)
    lower = tuple((at, bps - bps // share) for at, bps in was)
    assert near(was, lower, share)
    assert near(lower, was, share) == all((bps // share) * share <= bps - bps // share for _, bps in was)

from __future__ import annotations

import pytest

from operators.inventory.calendar import Calendar, LabelCalendar, Refusal, StepLevel


def level(*uses: tuple[int, int, int]) -> StepLevel:
    made = StepLevel()
    for use in uses:
        made.add(*use)
    return made


def steps(made: StepLevel, from_s: int, to_s: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(*made.steps(from_s, to_s), strict=True))


def test_an_empty_level_is_zero() -> None:
    assert level().peak(0, 10) == 0
    assert steps(level(), 3, 10) == ((3, 0),)


def test_the_peak_is_of_what_overlaps_not_of_what_adds_up() -> None:
    made = level((0, 10, 5), (10, 20, 7), (8, 12, 1))
    assert made.peak(0, 8) == 5
    assert made.peak(0, 10) == 6
    assert made.peak(10, 11) == 8
    assert made.peak(12, 30) == 7
    assert made.peak(20, 30) == 0


def test_windows_are_half_open() -> None:
    assert level((5, 10, 3)).peak(0, 5) == 0
    assert level((5, 10, 3)).peak(9, 10) == 3
    assert level((5, 10, 3)).peak(10, 11) == 0


def test_steps_begin_where_asked_and_hold_until_the_next() -> None:
    made = level((0, 10, 5), (10, 20, 7))
    assert steps(made, 0, 30) == ((0, 5), (10, 7), (20, 0))
    assert steps(made, 4, 20) == ((4, 5), (10, 7))
    assert steps(made, 10, 11) == ((10, 7),)
    assert steps(made, 25, 30) == ((25, 0),)


def test_steps_that_change_nothing_are_dropped() -> None:
    made = level((0, 10, 5), (10, 20, 5))
    assert len(made) == 2
    made.add(0, 20, -5)
    assert len(made) == 0


def test_the_past_can_be_forgotten_and_does_not_come_back() -> None:
    made = level((0, 10, 5), (5, 20, 7))
    made.forget_before(8)
    assert steps(made, 8, 30) == ((8, 12), (10, 7), (20, 0))
    made.add(0, 10, -5)  # what began before is still given back
    assert steps(made, 8, 30) == ((8, 7), (20, 0))
    made.add(0, 8, 100)
    assert made.peak(0, 30) == 7
    made.forget_before(20)
    assert len(made) == 0


def test_forgetting_never_goes_backwards() -> None:
    made = level((0, 10, 5))
    made.forget_before(8)
    made.forget_before(2)
    made.add(0, 10, -5)
    assert len(made) == 0


@pytest.fixture
def calendar() -> Calendar:
    return Calendar({"near": 100, "far": 40})


def test_a_claim_gets_all_its_resources_or_none(calendar: Calendar) -> None:
    assert calendar.admit("a", {"near": 30, "far": 30}, 0, 10) is None
    assert calendar.admit("b", {"near": 20, "far": 20}, 5, 15) == Refusal("far", 10)
    assert calendar.free("near", 0, 20) == 70
    assert "b" not in calendar


def test_claims_one_after_another_do_not_meet(calendar: Calendar) -> None:
    assert calendar.admit("a", {"far": 40}, 0, 10) is None
    assert calendar.admit("b", {"far": 40}, 10, 20) is None
    assert calendar.admit("c", {"far": 1}, 9, 10) == Refusal("far", 0)


def test_withdrawing_twice_gives_back_once(calendar: Calendar) -> None:
    calendar.admit("a", {"near": 10}, 0, 10)
    calendar.withdraw("a")
    calendar.withdraw("a")
    assert calendar.free("near", 0, 10) == 100


def test_free_steps_are_what_is_left(calendar: Calendar) -> None:
    calendar.admit("a", {"far": 30}, 10, 20)
    assert calendar.free_steps("far", 0, 100) == ((0, 40), (10, 10), (20, 40))
    calendar.admit("b", {"far": 1}, 5, 20)
    assert calendar.free_steps("far", 0, 100, 10) == ((0, 40), (5, 30), (10, 0), (20, 40))
    assert calendar.free_steps("far", 0, 100, 40) == ((0, 40), (5, 0), (20, 40)), "what rounds to the same is one step"


def test_a_claim_outlives_the_capacity_it_was_admitted_on() -> None:
    calendar = Calendar({"near": 10})
    calendar.restore("a", {"near": 30, "gone": 30}, 0, 10)
    assert calendar.free("near", 0, 10) == 0
    assert calendar.free("gone", 0, 10) == 0
    assert calendar.admit("b", {"near": 1}, 9, 11) == Refusal("near", 0)
    calendar.withdraw("a")
    assert calendar.free("near", 0, 10) == 10


def test_a_programmer_error_stops_at_once(calendar: Calendar) -> None:
    calendar.admit("a", {"near": 1}, 0, 1)
    with pytest.raises(AssertionError, match="already admitted"):
        calendar.admit("a", {"near": 1}, 0, 1)
    with pytest.raises(AssertionError, match="start before its end"):
        calendar.admit("b", {"near": 1}, 5, 5)
    with pytest.raises(AssertionError, match="positive"):
        calendar.admit("b", {"near": 0}, 0, 5)


@pytest.fixture
def label_calendar() -> LabelCalendar:
    return LabelCalendar({"uni": 0b1110})


def test_a_label_is_taken_once_at_a_time(label_calendar: LabelCalendar) -> None:
    assert label_calendar.take("a", "uni", 2, 0, 10)
    assert not label_calendar.take("b", "uni", 2, 9, 20)
    assert label_calendar.take("b", "uni", 2, 10, 20)
    assert label_calendar.free_labels("uni", 0, 10) == 0b1010
    assert label_calendar.free_labels("uni", 20, 30) == 0b1110


def test_a_label_outside_the_range_is_not_there(label_calendar: LabelCalendar) -> None:
    assert not label_calendar.take("a", "uni", 4, 0, 10)
    assert not label_calendar.take("a", "uni", 0, 0, 10)


def test_released_labels_are_free_again(label_calendar: LabelCalendar) -> None:
    label_calendar.take("a", "uni", 1, 0, 10)
    label_calendar.take("a", "uni", 3, 5, 10)
    label_calendar.release("a")
    label_calendar.release("a")
    assert label_calendar.free_labels("uni", 0, 10) == 0b1110


def test_a_restored_label_is_taken_even_if_it_is_offered_no_more(label_calendar: LabelCalendar) -> None:
    label_calendar.restore("a", "gone", 9, 0, 10)
    label_calendar.restore("a", "uni", 9, 0, 10)
    assert label_calendar.free_labels("gone", 0, 10) == 0
    assert label_calendar.free_labels("uni", 0, 10) == 0b1110
    label_calendar.release("a")
    assert not label_calendar.take("b", "uni", 9, 0, 10)

"""Labels, windows, promises, steps, states, intents and problems: the small rules inside the agreement."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import labels
from schemas.intent import Intent
from schemas.jurisdiction import expand
from schemas.lease import RELEASE_LEADS_TO, TERMINAL, TRANSITIONS, State, move
from schemas.offer import steps_least
from schemas.problem import CATALOGUE, Outcome, Problem, from_dict, invalid
from schemas.segment import PPB, Limits, Promise, Window, moment, window

label_sets = st.sets(st.integers(labels.LABEL_MIN, labels.LABEL_MAX), max_size=60)


@given(label_sets)
def test_label_ranges_survive_the_wire(values: set[int]) -> None:
    mask = sum(1 << value for value in values)
    assert labels.parse(labels.ranges(mask)) == mask


@pytest.mark.parametrize("text", ["0", "4095", "9-3", "a", "1,,2", "1-", "-5", "1-2-3"])
def test_label_ranges_that_mean_nothing_are_refused_by_name(text: str) -> None:
    with pytest.raises(Problem, match=r"^labels: '.*' is no label range; write for example"):
        labels.parse(text)


def test_runs_are_written_as_ranges() -> None:
    assert labels.ranges(labels.parse("7,5,6,1,4094")) == "1,5-7,4094"


@pytest.mark.parametrize(("start", "end"), [(10, 10), (10, 9), (0, 6 * 366 * 86400)])
def test_windows_end_after_they_start_and_within_five_years(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"later|five years"):
        window(start, end)


def test_windows_refuse_fractions_and_naive_times_on_the_wire() -> None:
    for start in ("2026-11-18T08:00:00.5Z", "2026-11-18T08:00:00"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(f'{{"start":"{start}","end":"2026-11-19T08:00:00Z"}}', type=Window)


promises = st.builds(
    Promise,
    latency_us=st.integers(0, 10**6),
    jitter_us=st.integers(0, 10**5),
    loss_ppb=st.integers(0, PPB),
    availability_ppb=st.integers(0, PPB),
)


@given(promises, promises)
def test_promises_joined_are_never_better_than_the_exact_product(one: Promise, two: Promise) -> None:
    both = one.then(two)
    assert both.latency_us == one.latency_us + two.latency_us
    assert (PPB - both.loss_ppb) * PPB <= (PPB - one.loss_ppb) * (PPB - two.loss_ppb)
    assert both.availability_ppb * PPB <= one.availability_ppb * two.availability_ppb
    assert both.availability_ppb * PPB > one.availability_ppb * two.availability_ppb - PPB


def test_limits_name_what_is_broken() -> None:
    limits = Limits(latency_us=10, availability_ppb=999)
    assert limits.broken_by(Promise(latency_us=11, availability_ppb=998)) == ("latency_us", "availability_ppb")
    assert limits.broken_by(Promise(latency_us=10, availability_ppb=999)) == ()


steps = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=6, unique_by=lambda s: s[0])


@given(steps, st.integers(0, 60), st.integers(1, 20))
def test_least_capacity_agrees_with_looking_at_every_second(
    points: list[tuple[int, int]], start: int, length: int
) -> None:
    ordered = tuple(sorted(points))

    def level(second: int) -> int:
        return next((bps for at, bps in reversed(ordered) if at <= second), 0)

    assert steps_least(ordered, start, start + length) == min(level(s) for s in range(start, start + length))


def test_every_state_is_in_the_table_and_final_ones_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {State.RELEASED, State.FAILED, State.EXPIRED, State.DECLINED} == TERMINAL
    for state, to in RELEASE_LEADS_TO.items():
        assert move(state, to) == to


def test_an_impossible_move_says_what_would_be_possible() -> None:
    with pytest.raises(Problem, match="RELEASED cannot become ACTIVE; it can become nothing, it is final"):
        move(State.RELEASED, State.ACTIVE)


def test_an_intent_needs_exactly_one_end() -> None:
    intent = {"a": "Utrecht@SURF", "z": "Milan@GARR", "bandwidth_bps": 10}
    for extra in ({}, {"duration_s": 60, "end": "2026-12-01T00:00:00Z"}):
        with pytest.raises(msgspec.ValidationError, match="either duration_s or end"):
            msgspec.convert(intent | extra, Intent)
    assert msgspec.convert(intent | {"duration_s": 60}, Intent).currency == "EUR"


def test_country_groups_expand_and_others_are_refused() -> None:
    assert {"NO", "DE", "CH"} <= expand(("EEA", "CH"), "sovereignty.countries")
    with pytest.raises(Problem, match=r"sovereignty.countries: 'Europe' is neither"):
        expand(("Europe",), "sovereignty.countries")


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_problems_survive_the_wire(code: str) -> None:
    problem = Problem(code, "why", field="a.b", outcome=Outcome.PENDING, retry_after_s=3, extra={"operator": "x"})
    back = from_dict(problem.as_dict())
    assert (back.code, back.detail, back.field, back.outcome, back.retry_after_s, back.extra) == (
        code,
        "why",
        "a.b",
        Outcome.PENDING,
        3,
        {"operator": "x"},
    )


def test_a_problem_names_its_field_first() -> None:
    assert str(invalid("bandwidth_bps", "must be at least 1")) == "bandwidth_bps: must be at least 1"
    assert moment(0).isoformat() == "1970-01-01T00:00:00+00:00"

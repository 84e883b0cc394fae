"""Labels of a path: always free, equal where a segment cannot swap, kept when they may be, spread otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.broker.quotes.labels import nth, pick, repick, runs
from schemas.labels import LABEL_MAX, parse
from schemas.problem import Problem

MASKS = st.sets(st.integers(1, 24), max_size=12).map(lambda labels: sum(1 << n for n in labels))


@st.composite
def paths(draw: st.DrawFn) -> tuple[list[int], list[bool], str]:
    count = draw(st.integers(1, 6))
    masks = draw(st.lists(MASKS, min_size=count + 1, max_size=count + 1))
    keeps = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return masks, keeps, draw(st.text("abc", max_size=3))


def feasible(masks: list[int], keeps: list[bool]) -> bool:
    """Brute force: is there a value for every run that holds an interconnect?"""
    return all(
        any(all(masks[place] >> value & 1 for place in range(first, last + 1)) for value in range(1, 25))
        for first, last in runs(keeps)
        if last > 0 and first < len(keeps) and len(keeps) > 1
    )


@given(paths())
def test_every_label_is_free_and_kept_where_it_must_be(path: tuple[list[int], list[bool], str]) -> None:
    masks, keeps, token = path
    if not feasible(masks, keeps):
        with pytest.raises(Problem) as caught:
            pick(masks, keeps, token)
        assert caught.value.code == "LABEL_TAKEN"
        return
    labels = pick(masks, keeps, token)
    assert labels == pick(masks, keeps, token)
    for place, label in enumerate(labels):
        assert label is None or masks[place] >> label & 1
        assert label is not None or place in {0, len(keeps)}
    for place, kept in enumerate(keeps):
        assert not kept or len(keeps) == 1 or labels[place] == labels[place + 1]


@given(paths(), st.integers(0, 6), MASKS)
def test_a_new_choice_changes_only_the_run_that_lost_its_value(
    path: tuple[list[int], list[bool], str], place: int, free: int
) -> None:
    masks, keeps, token = path
    place %= len(masks)
    narrowed = [mask & free if i == place else mask for i, mask in enumerate(masks)]
    if not (feasible(masks, keeps) and feasible(narrowed, keeps)):
        return
    before = pick(masks, keeps, token)
    after = repick(narrowed, keeps, "another", before)
    run = next((first, last) for first, last in runs(keeps) if first <= place <= last)
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        assert old == new or run[0] <= i <= run[1]
        assert new is None or narrowed[i] >> new & 1


@given(st.sets(st.integers(1, LABEL_MAX), min_size=1, max_size=60))
def test_nth_counts_the_labels_of_a_mask(labels: set[int]) -> None:
    mask = sum(1 << n for n in labels)
    assert [nth(mask, rank) for rank in range(len(labels))] == sorted(labels)


def test_choices_spread_over_everything_free() -> None:
    masks = [parse("1-4094")] * 3
    chosen = {pick(masks, [False, False], str(i))[1] for i in range(200)}
    assert len(chosen) > 150


def test_the_operator_picks_at_a_uni_unless_its_segment_keeps_labels() -> None:
    masks = [parse("7,9"), parse("5-9"), parse("1-4094")]
    assert pick(masks, [False, False], "t")[0] is None
    first, second, last = pick(masks, [True, False], "t")
    assert first == second
    assert first in {7, 9}
    assert last is None
    assert pick([0, 0], [True], "t") == (None, None)

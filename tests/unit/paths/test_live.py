"""Rows of prices: written in one go with what they lack, and told what became cheaper or higher than ever."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

import numpy as np

from federation.broker.paths.kernel.live import Lot, Versions, write

HIGHEST = np.array([[100], [100]], dtype=np.int64)


class Holder:
    """What holds a version."""


def lot(*rows: tuple[int, int, int]) -> Lot:
    """A lot of (arc, price per hour, price per Gb/s)."""
    arcs = np.array([arc for arc, _, _ in rows], dtype=np.int64)
    return Lot(0, arcs, np.array([(hourly, gbps, 0, 0) for _, hourly, gbps in rows], dtype=np.int64), arcs)


def test_rows_that_serve_again_have_every_lot_in_between() -> None:
    versions, first = Versions(), np.full((4, 3), 50, dtype=np.int64)
    now: Any = first
    held = []
    for step in range(3):  # nobody holds the rows of the first two any more when the last one is written
        holder = Holder()
        now, above = versions.written(now, lot((step, 10 + step, 60)), HIGHEST, write)
        versions.hold(holder, now)
        held = [holder]
        assert not above
    assert held
    last, _ = versions.written(now, lot((3, 1, 1)), HIGHEST, write)
    assert last.tolist() == [[10, 60, 0], [11, 60, 0], [12, 60, 0], [1, 1, 0]]
    assert first.tolist() == [[50] * 3] * 4


def test_what_became_cheaper_is_told() -> None:
    versions, first = Versions(), np.full((4, 3), 50, dtype=np.int64)
    _, above = versions.written(first, lot((0, 51, 50), (1, 49, 70), (2, 70, 49), (3, 50, 50)), HIGHEST, write)
    (better,) = versions.better_since(0, 1) or [np.zeros(0, np.int64)]
    assert (better.tolist(), above) == ([1, 2], False)


@pytest.mark.parametrize(("hourly", "gbps", "above"), [(100, 100, False), (101, 0, True), (0, 101, True)])
def test_a_price_above_the_highest_is_told(hourly: int, gbps: int, above: bool) -> None:
    first = np.full((4, 3), 50, dtype=np.int64)
    assert Versions().written(first, lot((2, hourly, gbps)), HIGHEST, write)[1] is above

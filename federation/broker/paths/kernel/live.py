"""Versions of what changes while the network stays: each epoch reads its own rows, and writing costs only what changed.

A search holds its arrays, so the rows of an epoch stay as they are until nobody holds it. Then they are brought up to
date by what was written since, and serve the next epoch: nothing is copied while changes are few.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from federation.broker.paths.kernel.block import Floats, Ints

LOTS_KEPT: Final = 64
SPARE_MAX: Final = 3
HOURLY, GBPS, STEPS = range(3)  # columns of `arrays.Net.live`
NOTHING: Final[Ints] = np.zeros(0, np.int64)
Write = Callable[..., int]
Sizes = tuple[Ints, Floats]


class Lot(NamedTuple):
    """What one change wrote: rows of arcs. `better` are those that now cost less; None if more can be had anywhere."""

    number: int
    arcs: Ints
    rows: Ints
    better: Ints | None


class Versions:
    """The versions of one network's rows, in a line; `number` is the newest."""

    def __init__(self) -> None:
        self.number = 0
        self._lots: deque[Lot] = deque(maxlen=LOTS_KEPT)
        self._spare: list[tuple[int, Ints]] = []
        self._held: dict[int, weakref.ref[object]] = {}

    def written(self, now: Ints, lot: Lot, tops: Floats, write: Write, sizes: Sizes) -> Ints:
        """The next version: like the newest, `now`, but for some rows; `tops` rise to what no segment exceeds then."""
        made, less = self._caught_up(now, tops, write, sizes), np.empty(len(lot.arcs), np.int64)
        many = write(made, lot.arcs, lot.rows, less, tops, *sizes)
        self.number += 1
        self._lots.append(Lot(self.number, lot.arcs, lot.rows, None if lot.better is None else less[:many]))
        return made

    def hold(self, holder: object, rows: Ints) -> None:
        """Let rows serve again when their holder is gone."""
        number = self.number
        self._held[number] = weakref.ref(holder, lambda _: self._release(number, rows))

    def better_since(self, number: int, until: int) -> list[Ints] | None:
        """The arcs that cost less after one version, up to another; None where that is not known or more can be had."""
        lots = [lot for lot in tuple(self._lots) if number < lot.number <= until]
        if len(lots) != until - number or any(lot.better is None for lot in lots):
            return None
        return [lot.better for lot in lots if lot.better is not None]

    def _caught_up(self, now: Ints, tops: Floats, write: Write, sizes: Sizes) -> Ints:
        """Rows like the newest that nobody holds."""
        oldest = self._lots[0].number if self._lots else self.number + 1
        while self._spare:
            number, made = self._spare.pop()
            if number >= oldest - 1:
                for lot in self._lots:
                    if lot.number > number:
                        write(made, lot.arcs, lot.rows, NOTHING, tops, *sizes)
                return made
        return now.copy()

    def _release(self, number: int, rows: Ints) -> None:
        del self._held[number]
        if len(self._spare) < SPARE_MAX:
            self._spare.append((number, rows))


def write(live: Any, arcs: Any, rows: Any, less: Any, tops: Any, classes: Any, stretch: Any) -> int:
    """Put rows in the place of others; the arcs that cost less than before into `less`, and how many these are.

    Plain Python that numba compiles as it stands. `classes` is per arc, `stretch` the most arcs a segment of a class
    may have. An empty `less` says that all this was told before.
    """
    many, told = 0, less.size == 0
    for place in range(len(arcs)):
        arc, hourly, gbps = arcs[place], rows[place, HOURLY], rows[place, GBPS]
        if not told:  # without branches, as there is no guessing which prices fall
            cls = classes[arc]
            less[many] = arc
            many += int((hourly < live[arc, HOURLY]) | (gbps < live[arc, GBPS]))
            tops[HOURLY, cls] = max(tops[HOURLY, cls], hourly * stretch[cls])
            tops[GBPS, cls] = max(tops[GBPS, cls], gbps * stretch[cls])
        live[arc, HOURLY], live[arc, GBPS], live[arc, STEPS] = hourly, gbps, rows[place, STEPS]
    return many

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

from federation.broker.paths.kernel.block import Ints

LOTS_KEPT: Final = 64
SPARE_MAX: Final = 3
HOURLY, GBPS, STEPS, OF_CLASS = range(4)  # columns of `arrays.Net.live`, and one more of a lot's rows
NOTHING: Final[Ints] = np.zeros(0, np.int64)
NO_ROWS: Final[Ints] = np.zeros((0, 4), np.int64)
Write = Callable[..., None]


class Lot(NamedTuple):
    """What one change wrote: arcs, and rows as in `Net.live` with the class of the arc behind.

    `better` are the arcs that now cost less; None if more can be had anywhere.
    """

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

    def written(self, now: Ints, lot: Lot, highest: Ints, write: Write) -> tuple[Ints, bool]:
        """The next version: like the newest, `now`, but for some rows; and whether a price is above the `highest`."""
        made, lacks = self._spared(now)
        less, cells = np.empty(len(lot.arcs), np.int64), np.empty(2, np.int64)
        write(made, lacks.arcs, lacks.rows, lot.arcs, lot.rows, highest, less, cells)
        many, above = cells.tolist()
        self.number += 1
        self._lots.append(Lot(self.number, lot.arcs, lot.rows, None if lot.better is None else less[:many]))
        return made, above == 1

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

    def _spared(self, now: Ints) -> tuple[Ints, Lot]:
        """Rows that nobody holds, and what they lack to be like the newest."""
        oldest = self._lots[0].number if self._lots else self.number + 1
        while self._spare:
            number, made = self._spare.pop()
            if number >= oldest - 1:
                lacking = [lot for lot in self._lots if lot.number > number]
                return made, lacking[0] if len(lacking) == 1 else _joined(lacking)
        return now.copy(), NO_LOT

    def _release(self, number: int, rows: Ints) -> None:
        del self._held[number]
        if len(self._spare) < SPARE_MAX:
            self._spare.append((number, rows))


def _joined(lots: list[Lot]) -> Lot:
    """Lots one behind the other."""
    arcs, rows = [NOTHING, *(lot.arcs for lot in lots)], [NO_ROWS, *(lot.rows for lot in lots)]
    return Lot(0, np.concatenate(arcs), np.concatenate(rows), None)


def write(
    live: Any, lacked: Any, lacked_rows: Any, arcs: Any, rows: Any, highest: Any, less: Any, cells: Any
) -> None:  # fmt: skip
    """Put rows in the place of others: those that were `lacked`, then new ones.

    Plain Python that numba compiles as it stands. Tells the arcs that cost less than before in `less`, and in `cells`
    how many these are, and whether a price is above the `highest` of its class.
    """
    for place in range(len(lacked)):
        arc = lacked[place]
        live[arc, HOURLY], live[arc, GBPS] = lacked_rows[place, HOURLY], lacked_rows[place, GBPS]
        live[arc, STEPS] = lacked_rows[place, STEPS]
    many, above = 0, 0
    for place in range(len(arcs)):  # without branches, as there is no guessing which prices fall
        arc, hourly, gbps, cls = arcs[place], rows[place, HOURLY], rows[place, GBPS], rows[place, OF_CLASS]
        less[many] = arc
        many += int((hourly < live[arc, HOURLY]) | (gbps < live[arc, GBPS]))
        above |= int((hourly > highest[HOURLY, cls]) | (gbps > highest[GBPS, cls]))
        live[arc, HOURLY], live[arc, GBPS], live[arc, STEPS] = hourly, gbps, rows[place, STEPS]
    cells[0], cells[1] = many, above


NO_LOT: Final = Lot(0, NOTHING, NO_ROWS, None)

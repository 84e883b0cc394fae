"""Versions of what changes while the network stays: each epoch reads its own rows, and writing costs only what changed.

A search holds its arrays, so the rows of an epoch stay as they are until nobody holds it. Then they are brought up to
date by what was written since, and serve the next epoch: nothing is copied while changes are few.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Final, NamedTuple

import numpy as np

from federation.broker.paths.kernel.block import Ints

LOTS_KEPT: Final = 64
SPARE_MAX: Final = 3


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

    def written(self, now: Ints, arcs: Ints, rows: Ints, better: Ints | None) -> Ints:
        """The next version: like the newest, `now`, but for some rows."""
        self._lots.append(Lot(self.number + 1, arcs, rows, better))
        made = self._caught_up(now)
        self.number += 1
        return made

    def hold(self, holder: object, rows: Ints) -> None:
        """Let rows serve again when their holder is gone."""
        weakref.finalize(holder, self._release, self.number, rows).atexit = False

    def better_since(self, number: int, until: int) -> list[Ints] | None:
        """The arcs that cost less after one version, up to another; None where that is not known or more can be had."""
        lots = [lot for lot in tuple(self._lots) if number < lot.number <= until]
        if len(lots) != until - number or any(lot.better is None for lot in lots):
            return None
        return [lot.better for lot in lots if lot.better is not None]

    def _caught_up(self, now: Ints) -> Ints:
        oldest = self._lots[0].number
        while self._spare:
            number, made = self._spare.pop()
            if number >= oldest - 1:
                for lot in self._lots:
                    if lot.number > number:
                        made[lot.arcs] = lot.rows
                return made
        made = now.copy()
        made[self._lots[-1].arcs] = self._lots[-1].rows
        return made

    def _release(self, number: int, rows: Ints) -> None:
        if len(self._spare) < SPARE_MAX:
            self._spare.append((number, rows))


def better(now: Ints, then: Ints) -> Ints:
    """Which rows have a lower price than others."""
    found: Ints = np.flatnonzero((now[:, :2] < then[:, :2]).any(axis=1))
    return found

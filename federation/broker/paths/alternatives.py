"""The next best paths, exactly: Lawler's partition over the search for the best one.

Two paths are different when their sequence of interfaces is. Once a path is taken, all others are split by the place
where they first leave it; the best of each part is the next candidate. No path is in two parts, none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import Final

from federation.broker.paths.assembly import sequence
from federation.broker.paths.bounds import NEVER
from federation.broker.paths.labels import Label
from federation.broker.paths.query import Ask
from federation.broker.paths.solver import path_figures
from federation.broker.paths.solving import Prepared
from federation.broker.paths.work import Fixed, Work

GROWTH: Final = 8
Candidate = tuple[int, int, tuple[int, ...], int, int, Fixed, Label | None]


class Ranking:
    """Paths of an ask, best first. `complete` turns False when the work ran out before the order was certain.

    The best of a part is searched for only as far as other candidates and a growing step allow: most parts hold
    nothing that is among the next paths, and to prove what their best is would cost more than everything else. Until
    then a part stands in the queue by what its paths come to at least.
    """

    def __init__(self, prepared: Prepared, ask: Ask, work: Work) -> None:
        self._prepared, self._ask, self._work = prepared, ask, work
        self._candidates: list[Candidate] = []
        self._ticks = count()
        self.complete = True

    def after(self, best: Label) -> Iterator[Label]:
        """Everything after the best path, which the caller has found already."""
        self._split(best, Fixed())
        while self._candidates and self.complete:
            first, _, _, step, _, part, label = heappop(self._candidates)
            if label is None:
                self._solve(part, first, step)
            else:
                yield label
                self._split(label, part)

    def _split(self, taken: Label, part: Fixed) -> None:
        """Queue every part that is left of `part` once the path `taken` is out of it: none holds a better one."""
        path, (first, second) = sequence(taken), path_figures(self._ask, taken)
        start = len(part.prefix)
        for place in range(start, len(path)):
            banned = part.banned if place == start else frozenset[int]()
            rest = Fixed(path[:place], banned | {path[place]})
            self._queue((first, second), (), max(1, first // GROWTH), rest, None)

    def _solve(self, part: Fixed, least: int, step: int) -> None:
        """The best path of a part, if it comes to less than the next candidate or one step more than the least."""
        below = max(least + step, self._candidates[0][0]) if self._candidates else least + step
        solved = self._prepared.solve(self._ask, self._work, replace(part, below=below))
        self.complete = solved.complete
        if not solved.complete:
            return
        if solved.label is not None:
            figures = path_figures(self._ask, solved.label)
            self._queue(figures, sequence(solved.label), 0, part, solved.label)
        elif solved.least < NEVER:
            self._queue((solved.least, 0), (), 2 * step, part, None)

    def _queue(
        self, figures: tuple[int, int], path: tuple[int, ...], step: int, part: Fixed, label: Label | None
    ) -> None:
        heappush(self._candidates, (*figures, path, step, next(self._ticks), part, label))

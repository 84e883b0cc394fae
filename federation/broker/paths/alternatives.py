"""The next best paths, exactly: Lawler's partition over the search for the best one.

Two paths are different when their sequence of interfaces is. Once a path is taken, all others are split by the place
where they first leave it; the best of each part is the next candidate. No path is in two parts, none is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from federation.broker.paths.assembly import sequence
from federation.broker.paths.labels import Label
from federation.broker.paths.query import Ask
from federation.broker.paths.solver import path_figures
from federation.broker.paths.solving import Prepared
from federation.broker.paths.work import Fixed, Work

Candidate = tuple[int, int, tuple[int, ...], int, Fixed, Label]


class Ranking:
    """Paths of an ask, best first. `complete` turns False when the work ran out before the order was certain."""

    def __init__(self, prepared: Prepared, ask: Ask, work: Work) -> None:
        self._prepared, self._ask, self._work = prepared, ask, work
        self._candidates: list[Candidate] = []
        self.complete = True

    def after(self, best: Label) -> Iterator[Label]:
        """Everything after the best path, which the caller has found already."""
        self._split(best, Fixed())
        while self._candidates and self.complete:
            *_, part, label = heappop(self._candidates)
            yield label
            self._split(label, part)

    def _split(self, taken: Label, part: Fixed) -> None:
        """Solve every part that is left of `part` once the path `taken` is out of it."""
        path = sequence(taken)
        start = len(part.prefix)
        for place in range(start, len(path)):
            banned = part.banned if place == start else frozenset[int]()
            self._solve(Fixed(path[:place], banned | {path[place]}))

    def _solve(self, part: Fixed) -> None:
        if not self.complete:
            return
        solved = self._prepared.solve(self._ask, self._work, part)
        self.complete = solved.complete
        if solved.label is not None and solved.complete:
            label = solved.label
            first, second = path_figures(self._ask, label)
            path = sequence(label)
            heappush(self._candidates, (first, second, path, len(part.prefix), part, label))

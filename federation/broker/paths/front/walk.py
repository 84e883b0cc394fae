"""A front of two objectives, path after path: each is the best on the first with less of the second than the last.

Every step is one search under one limit more, which grows stricter: a kernel answers it with the bounds it has.
"""

from __future__ import annotations

from federation.broker.paths.bounds import NEVER
from federation.broker.paths.front.objective import ask_of, within
from federation.broker.paths.front.point import Point, point_of
from federation.broker.paths.query import Query
from federation.broker.paths.solving import Prepared
from federation.broker.paths.work import Work
from schemas.intent import Objective


class Walk:
    """One walk, from the first of the `ends` to the last.

    `points` are those found, `least` bounds what is not among them, NEVER once nothing is left; `full` says that there
    are more than were asked for.
    """

    def __init__(
        self, prepared: Prepared, query: Query, objectives: tuple[Objective, ...], work: Work, ends: tuple[Point, Point]
    ) -> None:
        self._prepared, self._query, self._work = prepared, query, work
        self._objectives, (self._start, self._end) = objectives, ends
        self.points: list[Point] = []
        self.least, self.full = 0, False

    def run(self, most: int) -> None:
        """Go on until nothing is left, `most` paths are found, or the work is spent."""
        point: Point | None = self._start
        while point is not None:
            self.least = point.values[0]
            if self.points and self.points[-1].values[0] == point.values[0]:
                self.points.pop()  # as good on the first, and worse on the second
            # The last end is listed in any case, so it has its place from the beginning.
            if self.points and point.values != self._end.values and len(self.points) + 2 > most:
                self.full = True
                return
            self.points.append(point)
            point = self._next(point)

    def _next(self, point: Point) -> Point | None:
        """The best path with less of the second objective than a path has."""
        second = point.values[1]
        if second == self._end.values[1]:
            self.least = NEVER
            return None
        ask = ask_of(within(self._query, self._objectives[1], second - 1), self._objectives[0])
        solved = self._prepared.solve(ask, self._work)
        if not solved.complete:
            self.least = max(self.least, solved.least)
            return None
        assert solved.label is not None, "the end of the front has less"
        return point_of(solved.label, self._objectives)

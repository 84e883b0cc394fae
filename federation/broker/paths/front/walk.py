"""The walk along a front, from its least on the first objective on: every next path by one exact search.

The best path in all regions that are left is on the front, for whatever would beat it lies in the same region or was
found before. So what has been found is always everything below some value of the first objective: a walk that ends
early still says what it has settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from federation.broker.paths.bounds import NEVER
from federation.broker.paths.front.objective import SUMS, ask_of, within
from federation.broker.paths.front.point import Point, beats, point_of
from federation.broker.paths.front.region import Region, inside, maximal, without
from federation.broker.paths.query import Query
from federation.broker.paths.solving import Prepared
from federation.broker.paths.work import Work
from schemas.intent import Objective


class Open(NamedTuple):
    """What is known of a region: nothing in it has less of the first objective than `least`; its best, once solved."""

    least: int
    best: Point | None


class Walk:
    """One walk. `points` are those found, `least` bounds what is not among them, NEVER once nothing is left.

    `full` says that it ended because there are more than were asked for.
    """

    def __init__(self, prepared: Prepared, query: Query, objectives: Sequence[Objective], work: Work) -> None:
        self._prepared, self._query, self._work = prepared, query, work
        self._objectives = tuple(objectives)
        self._first, *self._others = self._objectives
        self._floor = [0] * len(self._others)
        self._open: dict[Region, Open] = {tuple(self._asked(name) for name in self._others): Open(0, None)}
        self.points: list[Point] = []
        self.full = False

    @property
    def least(self) -> int:
        """No path on the front that has not been found has less of the first objective than this."""
        return min((one.least for one in self._open.values()), default=NEVER)

    def known(self, best: Point, ideal: tuple[int, ...]) -> None:
        """Begin with the best path on the first objective, and with the least that there is of the others."""
        self._open = {region: Open(best.values[0], best) for region in self._open}
        self._floor = list(ideal)

    def run(self, most: int) -> None:
        """Go on until nothing is left, `most` paths are found, or the work is spent."""
        while self._open:
            region = min(self._open, key=lambda one: (self._open[one].least, self._open[one].best is None, one))
            best = self._open[region].best
            if best is None:
                if not self._solve(region):
                    return
            elif len(self.points) >= most:
                self.full = True
                return
            else:
                self._take(best)

    def _asked(self, name: Objective) -> int:
        """The limit that a query has on an objective, as one that values stay below."""
        limit = self._query.limit(SUMS[name].limit)
        return NEVER if limit is None else limit + 1

    def _take(self, point: Point) -> None:
        """A path that is on the front: what it beats is left out from now on, found or not."""
        self.points = [other for other in self.points if not beats(point.values, other.values)] + [point]
        rest = point.values[1:]
        parts: dict[Region, Open] = {}
        for region, one in self._open.items():
            for part in without(region, rest) if inside(region, rest) else (region,):
                if all(limit > floor for limit, floor in zip(part, self._floor, strict=True)):
                    parts[part] = _either(parts.get(part), _kept(part, one))
        self._open = {region: parts[region] for region in maximal(parts)}

    def _solve(self, region: Region) -> bool:
        """Find the best path in a region; False where the work does not suffice."""
        asked = self._query
        for name, limit in zip(self._others, region, strict=True):
            if limit < NEVER:
                asked = within(asked, name, limit - 1)
        solved = self._prepared.solve(ask_of(asked, self._first), self._work)
        least = max(self._open[region].least, solved.least)
        if not solved.complete:
            self._open[region] = Open(least, None)
        elif solved.label is None:
            del self._open[region]
        else:
            best = point_of(solved.label, self._objectives)
            self._open[region] = Open(best.values[0], best)
        return solved.complete


def _kept(part: Region, one: Open) -> Open:
    """What is known of a part of a region: its best, if that lies in the part."""
    return one if one.best is not None and inside(part, one.best.values[1:]) else Open(one.least, None)


def _either(a: Open | None, b: Open) -> Open:
    """What two ways of knowing say of the same region together."""
    return b if a is None or b.best is not None or (a.best is None and b.least > a.least) else a

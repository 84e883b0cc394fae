"""A whole front in one label setting, least of the first objective first: as a search for one path, with more to keep.

Labels are compared on every objective, and dropped once a path that is found already is as good whatever follows. Paths
that enter an operator twice are told from others as in a search for one path: while some are found, these operators
are watched and the sweep begins again, with what it has found so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from federation.broker.paths.bounds import NEVER, Bounds
from federation.broker.paths.front.objective import SUMS, ask_of
from federation.broker.paths.front.point import Point, beats, point_of
from federation.broker.paths.front.staircase import Staircase
from federation.broker.paths.labels import PLACE_OF, Label
from federation.broker.paths.query import Limit, Query
from federation.broker.paths.solver import Key, Solve
from federation.broker.paths.usable import Usable
from federation.broker.paths.work import Work
from schemas.intent import Objective


class Sweep(Solve):
    """One sweep; `known` are paths on the front that were found before.

    `points` are those found, `least` bounds what is not among them, NEVER once nothing is left; `full` says that there
    are more than were asked for. The first objective may be any, one or two others are sums along a path.
    """

    def __init__(
        self,
        usable: Usable,
        bounds: Bounds,
        query: Query,
        objectives: tuple[Objective, ...],
        work: Work,
        *,
        known: Sequence[Point] = (),
    ) -> None:
        super().__init__(usable, bounds, ask_of(query, objectives[0]), work)
        self._objectives = objectives
        others = [Limit(SUMS[name].limit) for name in objectives[1:]]
        self._others = [(PLACE_OF[name], bounds.of(name)) for name in others]
        self._hard = list(dict.fromkeys([*self._hard, *others]))
        self._known = {point.values: point for point in known}
        self.points, self.least, self.full = list(self._known.values()), 0, False

    def sweep(self, most: int) -> None:
        """Go on until nothing is left, `most` paths are found, or the work is spent."""
        while True:
            self._twice, self._hidden, self.full = dict[int, None](), NEVER, False
            left = self._through(most)
            self.least = max(self.least, min(left, self._hidden))
            if not self._twice or (left < NEVER and not self.full):
                return
            if self.full:  # what is hidden comes before some that took its place
                kept = [point for point in self.points if point.values[0] < self._hidden]
                self.points = list({point.values: point for point in (*kept, *self._known.values())}.values())
            for owner in self._twice:
                self._watched.setdefault(owner, 1 << (self._usable.bits + len(self._watched)))

    def _through(self, most: int) -> int:
        """All labels once; the least of the first objective that is left, NEVER at the end.

        Nothing that comes later has less of the first objective than what comes now: so what was found with no more
        than that of it is beaten by nothing, and only the other objectives have to be compared.
        """
        self._reached, waiting = Staircase(), sorted(self.points, reverse=True, key=lambda point: point.values[0])
        self._begin()
        while self._heap:
            first, second, _, label = heappop(self._heap)
            while waiting and waiting[-1].values[0] <= first:
                self._reached.add(waiting.pop().values[1:])
            if label.goal:
                self._settle(label)
                if len(self.points) > most:
                    self.points.pop()
                    self.full = True
                    return first
            elif not label.dead and self._key(label) is not None and not self._sharpened(label, (first, second)):
                if not self._take():
                    return first
                self._expand(label)
        return NEVER

    def _settle(self, done: Label) -> None:
        """A path in its turn is on the front if none is as good; one that enters an operator twice may hide others."""
        point = point_of(done, self._objectives)
        if self._reached.covers(point.values[1:]):
            return
        twice = self._entered_twice(done)
        if twice:
            self._twice |= dict.fromkeys(twice)
            self._hidden = min(self._hidden, point.values[0])
            return
        self._reached.add(point.values[1:])
        self.points = [other for other in self.points if not beats(point.values, other.values)] + [point]

    def _arrive(self, done: Label) -> None:
        heappush(self._heap, (*self._goal_key(done), next(self._ticks), done))

    def _key(self, label: Label) -> Key | None:
        """As in a search for one path; None also where a path found already is as good as any through the label."""
        key = super()._key(label)
        if key is None:
            return None
        rest = tuple(label.sums[place] + bound.at(label.vertex) for place, bound in self._others)
        return None if max(rest) >= NEVER or self._reached.covers(rest) else key

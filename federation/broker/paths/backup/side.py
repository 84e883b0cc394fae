"""One path of a pair: the best one for whatever it may not use, each solved once and kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from federation.broker.paths.backup.barred import Barring
from federation.broker.paths.backup.items import Bars, Items, Used
from federation.broker.paths.bounds import Bounds
from federation.broker.paths.graph import Graph
from federation.broker.paths.labels import Label
from federation.broker.paths.query import Ask, Query, aim_of
from federation.broker.paths.solver import path_figures
from federation.broker.paths.solving import Kernel, Prepared
from federation.broker.paths.usable import Judged, Usable
from federation.broker.paths.work import Work

SOLVE_LABELS: Final = 250  # what a solve costs before it expands a label, in labels
Key = tuple[int, int]
NOTHING: Final[Bars] = frozenset()


class Way(NamedTuple):
    """A path that keeps every limit: its figures, what it uses, and what a route is made from."""

    key: Key
    used: Used
    label: Label
    usable: Usable
    query: Query


class Side:
    """The best paths of one query under bars. `spent` turns True once the work has run out, `least` is a bound then.

    A path that avoids more than it was told to is the best for that, too, and where there is none, barring more
    brings none: only what does not follow from earlier solves is solved.
    """

    def __init__(self, graph: Graph, query: Query, items: Items, barring: Barring, kernel: Kernel | None) -> None:
        self._graph, self._query, self._items, self._barring, self._kernel = graph, query, items, barring, kernel
        self._known: dict[Bars, Way | None] = {}
        self._bounds: Bounds | None = None
        self._judged: Judged | None = None
        self.ways: list[Way] = []  # every path found, whatever it was found for
        self.least, self.spent, self.solves = 0, False, 0

    def best(self, bars: Bars, work: Work) -> Way | None:
        """The best path without `bars`; None where there is none, or where `spent` says that it is not known."""
        if bars not in self._known:
            follows, way = self._following(bars)
            if not follows:
                way = self._solved(bars, work)
                if self.spent:
                    return None
            self._known[bars] = way
        return self._known[bars]

    def most(self, bars: Bars) -> Key | None:
        """What the best path without `bars` comes to at most, as far as paths found so far tell."""
        return min((way.key for way in self.ways if way.used.all.isdisjoint(bars)), default=None)

    def _following(self, bars: Bars) -> tuple[bool, Way | None]:
        for earlier, way in self._known.items():
            if earlier <= bars and (way is None or way.used.all.isdisjoint(bars)):
                return True, way
        return False, None

    def _solved(self, bars: Bars, work: Work) -> Way | None:
        query = self._barring.query(self._query, bars)
        if not query.sources or not query.targets:
            return None
        ask = Ask(query=query, aim=aim_of(query.objective))
        work.left = max(0, work.left - SOLVE_LABELS)
        self.solves += 1
        judged = Judged()
        judged.looser = self._judged
        usable = Usable(self._graph, ask, judged)
        if self._judged is None:  # the first solve bars nothing
            self._judged, self._bounds = judged, Bounds(usable)
        solved = Prepared(usable, self._kernel, self._bounds).solve(ask, work)
        if not solved.complete:
            self.spent, self.least = True, solved.least
        if solved.label is None:
            return None
        way = Way(path_figures(ask, solved.label), self._items.used(usable, solved.label), solved.label, usable, query)
        self.ways.append(way)
        return way

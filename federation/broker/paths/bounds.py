"""How much of one resource is at least still to come, from any vertex to a target: Dijkstra backwards, as far as asked.

The search runs on only when somebody asks for a vertex that lies farther than it has come, and stops where the caller
would turn away anyway. Everything is a sum of whole numbers that never exceeds the exact value.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, NamedTuple

from federation.broker.paths import effort
from federation.broker.paths.query import PRICE, SCORE, Limit
from federation.broker.paths.usable import Stretch, Usable

NEVER: Final = 1 << 100
_COLUMN: Final = {name: place for place, name in enumerate(Stretch._fields)}


class Columns(NamedTuple):
    """Which columns of a stretch count inside a segment, on its first arc, and as a whole segment."""

    inner: int
    first: int
    direct: int


def _same(name: str) -> Columns:
    return Columns(_COLUMN[name], _COLUMN[name], _COLUMN[name])


COLUMNS: Final = {
    PRICE: Columns(_COLUMN["cost"], _COLUMN["first"], _COLUMN["direct"]),
    Limit.LATENCY: _same("latency_us"),
    Limit.JITTER: _same("jitter_us"),
    Limit.LOSS: _same("lost"),
    Limit.AVAILABILITY: _same("down"),
    Limit.CARBON: _same("carbon_mg_gb"),
    SCORE: Columns(_COLUMN["score"], _COLUMN["score_first"], _COLUMN["score_direct"]),
    Limit.HOPS: _same("nothing"),
}


class Bound:
    """The least of one resource from each vertex to a target.

    An interface's vertex stands for entering its operator there; what has been reached by leaving through it lies
    beyond. A segment left counts once for hops, an interconnect's latency for latency.
    """

    def __init__(self, usable: Usable, resource: str) -> None:
        self._usable = usable
        self._columns = COLUMNS[resource]
        self._leave = self._leaving(resource)
        self._settled: list[int | None] = [None] * usable.graph.size
        self._best: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []
        self._frontier = 0
        for target in usable.targets:
            self._relax_exit(target, self._leave(target))

    def at(self, vertex: int, need: int = NEVER) -> int:
        """The least from here to a target; anything above `need` may be answered by a smaller number above `need`."""
        found = self._settled[vertex]
        if found is not None:
            return found
        return self._frontier if self._frontier > need else self._advance(vertex, need)

    def _leaving(self, resource: str) -> Callable[[int], int]:
        """What leaving an operator through an interface adds."""
        if resource == Limit.HOPS:
            return lambda vertex: 1
        if resource not in (Limit.LATENCY, SCORE):
            return lambda vertex: 0
        beyond, each = self._usable.beyond, 1 if resource == Limit.LATENCY else self._usable.weighing.nano_per_us
        return lambda vertex: 0 if (across := beyond(vertex)) is None else across.latency_us * each

    def _advance(self, vertex: int, need: int) -> int:
        heap, settled, best = self._heap, self._settled, self._best
        while heap:
            sum_, here = heap[0]
            if sum_ > need:
                self._frontier = sum_
                return sum_
            heappop(heap)
            if settled[here] is not None or sum_ > best[here]:
                continue
            settled[here] = self._frontier = sum_
            self._relax(here, sum_)
            if here == vertex:
                return sum_
        self._frontier = NEVER
        return NEVER

    def _relax(self, here: int, sum_: int) -> None:
        if self._usable.graph.is_interface[here]:
            across = self._usable.beyond(here)
            if across is not None:
                self._relax_exit(across.vertex, sum_ + self._leave(here))
            return
        self._spread(here, sum_, self._columns.inner, self._columns.first)

    def _relax_exit(self, exit_: int, sum_: int) -> None:
        """`sum_` is to come once the operator of `exit_` has been left through it."""
        self._spread(exit_, sum_, self._columns.inner, self._columns.direct)

    def _spread(self, here: int, sum_: int, inner: int, outer: int) -> None:
        best, heap, is_interface = self._best, self._heap, self._usable.graph.is_interface
        get, around = best.get, self._usable.near(here)
        self._usable.effort += effort.BOUND * len(around)
        for to, stretch in around:
            reached = sum_ + stretch[outer if is_interface[to] else inner]  # type: ignore[operator]
            known = get(to)
            if known is None or reached < known:
                best[to] = reached
                heappush(heap, (reached, to))


class Bounds:
    """The bounds of one question, each made when first needed and good for every solve over the same offers."""

    def __init__(self, usable: Usable) -> None:
        self.usable, self._made = usable, dict[str, Bound]()

    def of(self, resource: str) -> Bound:
        """The bound on one resource."""
        if resource not in self._made:
            self._made[resource] = Bound(self.usable, resource)
        return self._made[resource]

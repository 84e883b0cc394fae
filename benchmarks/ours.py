"""Our side: whatever answers questions over a federation's sheets, behind one Protocol.

`Plain` is the uncompiled search. A compiled kernel is one more class here and a line in `ENGINES`; the benchmark takes
the last of them that can be made, or the one named by `--engine`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from msgspec import structs

from benchmarks.caida.publish import OUT
from federation.broker.discovery.sheet import OperatorSheet, apply
from federation.broker.market.market import advance
from federation.broker.paths.backup.finding import Backup, Paired, Unpaired, find_pair
from federation.broker.paths.front.search import Front, front_of
from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.compiled import available, compiled
from federation.broker.paths.kernel.engine import Engine as KernelEngine
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from schemas.intent import Objective
from schemas.offer import Delta, Offer

Sheets = Mapping[str, OperatorSheet]
Finder = Callable[..., Paired | Unpaired]


class Change(NamedTuple):
    """A new price of one offer: micro-units per hour, and per Gb/s and hour."""

    entity: str
    offer: str
    hourly_micro: int
    gbps_hourly_micro: int


class Repriced(NamedTuple):
    """Seconds of processor time: the whole route, and of it the last step, new rows in what the search reads."""

    whole: float
    applied: float


class Engine(Protocol):
    """A search over one federation, which it is made from."""

    @property
    def name(self) -> str:
        """Its row in the table."""
        ...

    @property
    def compiled(self) -> bool:
        """Whether it runs compiled."""
        ...

    def solve(self, query: Query) -> int | None:
        """The total of the best path in micro-units, proven; None when there is proven to be none."""
        ...

    def front(self, query: Query, objectives: tuple[Objective, ...]) -> Front:
        """Every path that none beats on all of these objectives, as far as the work of the query goes."""
        ...

    def pair(self, query: Query, backup: Backup, finder: Finder = find_pair) -> Paired | Unpaired:
        """Two paths apart, as far as the work of the query goes."""
        ...

    def forget(self) -> None:
        """Drop whatever earlier questions left behind, so that the next one is a cold one."""
        ...

    def reprice(self, deltas: Mapping[str, Delta], clock: Callable[[], float]) -> Repriced:
        """Apply deltas by operator that change prices, and tell how long that took."""
        ...

    @property
    def sheets(self) -> Sheets:
        """What is published now."""
        ...

    def bytes_held(self) -> int | None:
        """Bytes in arrays that a search works on, where that is known."""
        ...


class Plain:
    """The search as it runs uncompiled."""

    name: Final = "ours, uncompiled"
    compiled: Final = False

    def __init__(self, sheets: Sheets) -> None:
        self._graph = Graph.build(sheets)

    def solve(self, query: Query) -> int | None:
        """The total of the best path."""
        found = find(self._graph, query, explain=False)
        assert found.proven, "the work is without end"
        return found.routes[0].total_micro if isinstance(found, Found) else None

    def front(self, query: Query, objectives: tuple[Objective, ...]) -> Front:
        """The front of a question."""
        return front_of(self._graph, query, objectives)

    def pair(self, query: Query, backup: Backup, finder: Finder = find_pair) -> Paired | Unpaired:
        """The pair of a question."""
        return finder(self._graph, query, backup, kernel=None)

    def forget(self) -> None:
        """Nothing is kept between questions."""

    def reprice(self, deltas: Mapping[str, Delta], clock: Callable[[], float]) -> Repriced:
        """New sheets, and the graph of these."""
        began = clock()
        self._graph = advance(self._graph, *_sheets(self._graph, deltas))
        whole = clock() - began
        return Repriced(whole, whole)

    @property
    def sheets(self) -> Sheets:
        """What is published now."""
        return {entity: network.sheet for entity, network in self._graph.by_entity.items()}

    def bytes_held(self) -> int | None:
        """Python objects, not arrays."""
        return None


class Kernel:
    """The search over arrays, compiled: everything is made before the first question, as a broker does."""

    name: Final = "ours"
    compiled: Final = True

    def __init__(self, sheets: Sheets) -> None:
        folder = os.environ.get("NUMBA_CACHE_DIR")
        self._kernel = KernelEngine(compiled(Path(folder) if folder else OUT / "kernel"))
        self._kernel.warm()
        self._graph = Graph.build(sheets)
        self._kernel.prepare(self._graph)

    def solve(self, query: Query) -> int | None:
        """The total of the best path."""
        found = find(self._graph, query, explain=False, kernel=self._kernel)
        assert found.proven, "the work is without end"
        return found.routes[0].total_micro if isinstance(found, Found) else None

    def front(self, query: Query, objectives: tuple[Objective, ...]) -> Front:
        """The front of a question."""
        return front_of(self._graph, query, objectives, kernel=self._kernel)

    def pair(self, query: Query, backup: Backup, finder: Finder = find_pair) -> Paired | Unpaired:
        """The pair of a question."""
        return finder(self._graph, query, backup, kernel=self._kernel)

    def forget(self) -> None:
        """Drop the bounds of earlier questions."""
        self._graph.arrays.forget()

    def reprice(self, deltas: Mapping[str, Delta], clock: Callable[[], float]) -> Repriced:
        """New sheets, the graph of these, and arrays that share all but the rows which differ."""
        began = clock()
        graph = advance(self._graph, *_sheets(self._graph, deltas))
        figures = self._graph.arrays.figures(graph)
        assert figures is not None, "only prices differ"
        resolved = clock()
        graph.arrays = self._graph.arrays.written(graph, figures, self._kernel.write)
        done = clock()
        self._graph = graph
        return Repriced(done - began, done - resolved)

    @property
    def sheets(self) -> Sheets:
        """What is published now."""
        return {entity: network.sheet for entity, network in self._graph.by_entity.items()}

    def bytes_held(self) -> int | None:
        """What the arrays of the graph take."""
        return int(self._graph.arrays.size)


def deltas(sheets: Sheets, changes: Sequence[Change]) -> dict[str, Delta]:
    """Changes as operators publish them, after the versions that some sheets have."""
    puts: dict[str, list[Offer]] = {}
    for change in changes:
        offer = sheets[change.entity].offers[change.offer]
        new = structs.replace(offer, hourly_micro=change.hourly_micro, gbps_hourly_micro=change.gbps_hourly_micro)
        puts.setdefault(change.entity, []).append(new)
    return {
        entity: Delta(
            iss=entity,
            iat=0,
            exp=0,
            jti="",
            from_version=sheets[entity].version,
            to_version=sheets[entity].version + 1,
            put=tuple(put),
        )
        for entity, put in puts.items()
    }


def _sheets(graph: Graph, deltas: Mapping[str, Delta]) -> tuple[Sheets, Sheets]:
    """Sheets before and after some deltas."""
    before = {entity: network.sheet for entity, network in graph.by_entity.items()}
    return before, {**before, **{entity: apply(before[entity], delta) for entity, delta in deltas.items()}}


COMPILED: Final[Mapping[str, Callable[[Sheets], Engine]]] = {"kernel": Kernel} if available() else {}
ENGINES: Final[Mapping[str, Callable[[Sheets], Engine]]] = {"plain": Plain, **COMPILED}
BEST: Final = list(ENGINES)[-1]

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
from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.backup.finding import Backup, Paired, Unpaired, find_pair
from federation.broker.paths.front.search import Front, front_of
from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.compiled import available, compiled
from federation.broker.paths.kernel.engine import Engine as KernelEngine
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from schemas.intent import Objective

Sheets = Mapping[str, OperatorSheet]
Finder = Callable[..., Paired | Unpaired]


class Change(NamedTuple):
    """A new price of one offer: micro-units per hour, and per Gb/s and hour."""

    entity: str
    offer: str
    hourly_micro: int
    gbps_hourly_micro: int


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

    def reprice(self, changes: Sequence[Change]) -> None:
        """Apply changes of price, as they come in deltas."""
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

    def reprice(self, changes: Sequence[Change]) -> None:
        """A new sheet per operator concerned."""
        by_entity: dict[str, list[Change]] = {}
        for change in changes:
            by_entity.setdefault(change.entity, []).append(change)
        for entity, ours in by_entity.items():
            self._graph = self._graph.replace(repriced(self._graph.by_entity[entity].sheet, ours))

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

    def reprice(self, changes: Sequence[Change]) -> None:
        """A new sheet per operator concerned, and arrays that take over what did not change."""
        before, by_entity = self._graph, dict[str, list[Change]]()
        for change in changes:
            by_entity.setdefault(change.entity, []).append(change)
        for entity, ours in by_entity.items():
            self._graph = self._graph.replace(repriced(self._graph.by_entity[entity].sheet, ours))
        self._kernel.prepare(self._graph, before)

    def bytes_held(self) -> int | None:
        """What the arrays of the graph take."""
        return int(self._graph.arrays.size)


def repriced(sheet: OperatorSheet, changes: Sequence[Change]) -> OperatorSheet:
    """The sheet with some prices changed."""
    offers = dict(sheet.offers)
    for change in changes:
        offers[change.offer] = structs.replace(
            offers[change.offer],
            hourly_micro=change.hourly_micro,
            gbps_hourly_micro=change.gbps_hourly_micro,
        )
    return structs.replace(sheet, version=sheet.version + 1, offers=offers)


COMPILED: Final[Mapping[str, Callable[[Sheets], Engine]]] = {"kernel": Kernel} if available() else {}
ENGINES: Final[Mapping[str, Callable[[Sheets], Engine]]] = {"plain": Plain, **COMPILED}
BEST: Final = list(ENGINES)[-1]

"""The graph of everything published, kept current behind the sheets, of which each query takes one snapshot."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from federation.broker.discovery.federation import Federation
from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.graph import Graph

T = TypeVar("T")
REBUILD_EVERY_S: Final = 0.05
REST_SHARE: Final = 4


class Offload(Protocol):
    """Runs a pure function where it does not hold up the loop: a thread, or, in a test, at once."""

    async def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns, or what it raises."""
        ...


async def at_once(work: Callable[[], T]) -> T:
    """Run it here and now: what a simulation needs."""
    return work()


Prepare = Callable[[Graph, Graph | None], None]


def nothing_more(graph: Graph, before: Graph | None) -> None:
    """What there is to do with a new graph where no kernel is used."""


@dataclass(frozen=True)
class Snapshot:
    """The offers of one moment: the sheets, the graph of exactly these, and who is absent."""

    known: Known
    graph: Graph

    @property
    def sheets(self) -> Mapping[str, OperatorSheet]:
        """Sheets by entity id."""
        return self.known.sheets


class Market:
    """Keeps one graph behind the sheets of a federation. `ready` is set with the first graph of all that answered."""

    def __init__(self, federation: Federation, offload: Offload, prepare: Prepare = nothing_more) -> None:
        self._federation, self._offload, self._prepare = federation, offload, prepare
        self.snapshot = Snapshot(federation.known, Graph.build({}))
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Follow the federation until cancelled. Changes within a pause make one graph; pauses grow with its cost."""
        await self._federation.ready.wait()
        loop = asyncio.get_running_loop()
        while True:
            self._federation.changed.clear()
            begun = loop.time()
            await self._rebuild(self._federation.known)
            self.ready.set()
            await asyncio.sleep(max(REBUILD_EVERY_S, REST_SHARE * (loop.time() - begun)))
            await self._federation.changed.wait()

    async def _rebuild(self, known: Known) -> None:
        if known.epoch != self.snapshot.known.epoch:
            work = functools.partial(self._advanced, self.snapshot, known.sheets)
            self.snapshot = Snapshot(known, await self._offload(work))
        else:
            self.snapshot = Snapshot(known, self.snapshot.graph)

    def _advanced(self, before: Snapshot, after: Mapping[str, OperatorSheet]) -> Graph:
        graph = advance(before.graph, before.sheets, after)
        self._prepare(graph, before.graph)
        return graph


def advance(graph: Graph, before: Mapping[str, OperatorSheet], after: Mapping[str, OperatorSheet]) -> Graph:
    """The graph of the sheets `after`, made from that of those `before` where few have changed."""
    gone = [entity for entity in before if entity not in after]
    new = [sheet for entity, sheet in after.items() if before.get(entity) is not sheet]
    renewed = None if gone else graph.renewed(new)
    if renewed is not None:
        return renewed
    if 2 * len(new) > len(after):
        return Graph.build(after, graph.epoch + 1)
    for entity in gone:
        graph = graph.without(entity)
    for sheet in new:
        graph = graph.replace(sheet)
    return graph

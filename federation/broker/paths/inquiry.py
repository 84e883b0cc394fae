"""Everything one query needs while it is being answered: the work left, and what was prepared for its solves."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Final

from msgspec import structs

from federation.broker.paths.changes import Stand
from federation.broker.paths.graph import Graph
from federation.broker.paths.labels import Label
from federation.broker.paths.nearest import settled, wants_nearest
from federation.broker.paths.query import ADDITIONS, Ask, End, Limit, Query
from federation.broker.paths.recall import usable_for
from federation.broker.paths.solving import Kernel, Prepared
from federation.broker.paths.usable import MEASURES
from federation.broker.paths.work import Work
from schemas.interface import Interface
from schemas.place import great_circle_km, light_floor_us

SUMS: Final = frozenset(
    {Limit.LATENCY, Limit.JITTER, Limit.LOSS, Limit.AVAILABILITY, Limit.CARBON, Limit.HOPS, Limit.BUDGET}
)
PREPARED_MAX: Final = 3
UDEG: Final = 1_000_000


class Inquiry:
    """A query over one snapshot. `complete` turns False once a solve runs out of work."""

    def __init__(self, graph: Graph, query: Query, kernel: Kernel | None = None) -> None:
        self.graph, self.query, self._kernel = graph, query, kernel
        self.work = Work(query.work)
        self.complete = True
        self.floor_us = floor_us(graph, query)
        self._prepared: dict[tuple[object, ...], Prepared] = {}

    @property
    def impossible(self) -> bool:
        """Whether less latency is asked than light in vacuum needs."""
        most = self.query.limits.latency_us
        return most is not None and most < self.floor_us

    def prepared(self, ask: Ask) -> Prepared:
        """What serves an ask, with its bounds; kept for the asks that differ in sums and budget only."""
        query, eased = ask.query, ask.eased if ask.aim == ADDITIONS else frozenset[str]()
        size = query.sources, query.targets, query.bandwidth_bps, query.mtu, query.window, query.term_s
        key = (*size, ask.waived - SUMS, eased, ask.granted, ask.aim if ask.aim in MEASURES else "")
        found = self._prepared.pop(key, None)
        if found is None:
            found = Prepared(usable_for(self.graph, ask), self._kernel)
        self._prepared[key] = found
        if len(self._prepared) > PREPARED_MAX:
            del self._prepared[next(iter(self._prepared))]
        return found

    def solve(
        self, stand: Stand, aim: str, waived: frozenset[str] = frozenset(), eased: frozenset[str] = frozenset()
    ) -> Label | None:
        """The best path for an aim, if the work suffices to find it."""
        ask = stand.ask(aim, waived, eased)
        solved = self.prepared(ask).solve(ask, self.work)
        self.complete = self.complete and solved.complete
        return solved.label if solved.complete else None

    def settled(self, stand: Stand) -> Stand:
        """The stand with its nearest ends, where those are wanted and there are any."""
        if not wants_nearest(stand.query):
            return stand
        fastest = self.solve(stand, Limit.LATENCY)
        usable = self.prepared(stand.ask(Limit.LATENCY)).usable
        return stand if fastest is None else structs.replace(stand, query=settled(stand.query, usable, fastest))


def floor_us(graph: Graph, query: Query) -> int:
    """What light in vacuum needs from the nearest source to the nearest target, microseconds one way."""
    pairs = product(_published(graph, query.sources), _published(graph, query.targets))
    return min([_light_us(a.lat_udeg, a.lon_udeg, z.lat_udeg, z.lon_udeg) for a, z in pairs], default=0)


def _published(graph: Graph, ends: tuple[End, ...]) -> list[Interface]:
    sheets = ((graph.by_entity[entity].sheet, name) for entity, name in ends if entity in graph.by_entity)
    return [sheet.interfaces[name] for sheet, name in sheets if name in sheet.interfaces]


@lru_cache(maxsize=4096)
def _light_us(lat1: int, lon1: int, lat2: int, lon2: int) -> int:
    """What light in vacuum needs between two places, in microdegrees."""
    return light_floor_us(great_circle_km(lat1 / UDEG, lon1 / UDEG, lat2 / UDEG, lon2 / UDEG))

"""Routes inside one operator's network: lowest latency, within a route class, over links that are usable now.

Cost is the triple (latency, hops, km), compared in that order and packed into one integer; what is still
equal is told apart by PoP and link id. So the same footprint gives the same route everywhere, and the same
both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple

from operators.inventory.footprint import Footprint

_HOP_BITS: Final = 16  # no route passes 65,536 PoPs
_KM_BITS: Final = 33  # nor is it longer than as many links of 100,000 km

Usable = Callable[[str], bool]


class RouteClass(NamedTuple):
    """A promise about where segments run: only PoPs in `countries`, or anywhere when that is None."""

    name: str
    countries: frozenset[str] | None = None

    def admits(self, country: str) -> bool:
        """Whether a PoP in `country` may be used."""
        return self.countries is None or country in self.countries


class Route(NamedTuple):
    """An internal route: link ids and PoP ids in order, and what they add up to (latency one way)."""

    links: tuple[str, ...]
    pops: tuple[str, ...]
    km: int
    latency_us: int
    hops: int


class Reach(NamedTuple):
    """The best way to a PoP: totals, and its last step `link` from PoP `before` (both None at the start)."""

    latency_us: int
    hops: int
    km: int
    link: str | None
    before: str | None


class _Arc(NamedTuple):
    cost: int
    pop: str
    link: str


class Topology:
    """The graph of a footprint, built once; arcs are sorted out per route class when first asked for."""

    def __init__(self, footprint: Footprint) -> None:
        self._countries = {pop.id: pop.country for pop in footprint.pops}
        self._links = sorted(footprint.links, key=lambda link: link.id)
        self._arcs: dict[frozenset[str] | None, Mapping[str, list[_Arc]]] = {}

    def route(self, a_pop: str, z_pop: str, route_class: RouteClass, usable: Usable | None = None) -> Route | None:
        """The route of lowest latency between two PoPs over `usable` links (by id; default all), or None.

        From a PoP to itself it has no links.
        """
        start, goal = sorted((a_pop, z_pop))
        reached: dict[str, Reach] = {}
        for pop, reach in self._nearest_first(start, route_class, usable):
            reached[pop] = reach
            if pop == goal:
                return _walk(reached, goal, backwards=goal == z_pop)
        return None

    def distances_from(self, pop: str, route_class: RouteClass, usable: Usable | None = None) -> dict[str, Reach]:
        """Every PoP that can be reached from `pop`, nearest first, with totals equal to those of `route`.

        A PoP comes after the one before it, so anything that adds up along a route folds in one pass.
        """
        return dict(self._nearest_first(pop, route_class, usable))

    def _nearest_first(self, start: str, route_class: RouteClass, usable: Usable | None) -> Iterator[tuple[str, Reach]]:
        """Dijkstra: PoPs in the order in which their best way is certain."""
        arcs = self._arcs_of(route_class)
        if start not in arcs:
            return
        heap: list[tuple[int, str, str | None, str | None]] = [(0, start, None, None)]
        best: dict[str, int] = {start: 0}
        done: set[str] = set()
        while heap:
            cost, pop, link, before = heappop(heap)
            if pop in done:
                continue
            done.add(pop)
            yield pop, _reach(cost, link, before)
            for arc in arcs[pop]:
                onward = cost + arc.cost
                if onward <= best.get(arc.pop, onward) and arc.pop not in done and (not usable or usable(arc.link)):
                    best[arc.pop] = onward
                    heappush(heap, (onward, arc.pop, arc.link, pop))

    def _arcs_of(self, route_class: RouteClass) -> Mapping[str, list[_Arc]]:
        """Arcs by PoP, of the PoPs that the class admits."""
        arcs = self._arcs.get(route_class.countries)
        if arcs is None:
            arcs = {pop: [] for pop, country in self._countries.items() if route_class.admits(country)}
            for link in self._links:
                if link.a in arcs and link.z in arcs:
                    cost = (((link.latency_us << _HOP_BITS) + 1) << _KM_BITS) + link.km
                    arcs[link.a].append(_Arc(cost, link.z, link.id))
                    arcs[link.z].append(_Arc(cost, link.a, link.id))
            self._arcs[route_class.countries] = arcs
        return arcs


def _reach(cost: int, link: str | None, before: str | None) -> Reach:
    km = cost & ((1 << _KM_BITS) - 1)
    hops = cost >> _KM_BITS & ((1 << _HOP_BITS) - 1)
    return Reach(cost >> (_KM_BITS + _HOP_BITS), hops, km, link, before)


def _walk(reached: Mapping[str, Reach], goal: str, *, backwards: bool) -> Route:
    """From the goal back to the start, turned round where the asker began at the other end."""
    total, pops, links = reached[goal], [goal], list[str]()
    step = total
    while step.link is not None and step.before is not None:
        links.append(step.link)
        pops.append(step.before)
        step = reached[step.before]
    if backwards:
        links.reverse()
        pops.reverse()
    return Route(tuple(links), tuple(pops), total.km, total.latency_us, total.hops)

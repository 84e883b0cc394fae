"""From what a path must avoid to a query that the ordinary search answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from msgspec import structs

from federation.broker.paths.backup.items import (
    CITY,
    CLASS,
    INTERCONNECT,
    OPERATOR,
    SITE,
    SOURCE,
    STRETCH,
    TARGET,
    Bars,
    Item,
    published_at,
)
from federation.broker.paths.graph import Graph
from federation.broker.paths.network import Network
from federation.broker.paths.query import End, Query
from federation.policy.limits import Refusal
from schemas.backup import Apart

APART: Final = "apart"  # the rule under which a route class is barred
_KINDS: Final = {SITE: Apart.SITE, CITY: Apart.CITY}


class Barring:
    """Makes queries over one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def query(self, query: Query, bars: Bars) -> Query:
        """The query for paths that avoid everything in `bars`."""
        if not bars:
            return query
        by_kind: dict[str, list[Item]] = {}
        for item in bars:
            by_kind.setdefault(item[0], []).append(item)
        rest = {kind: [item[1:] for item in items] for kind, items in by_kind.items()}
        sources, targets = rest.get(SOURCE, ()), rest.get(TARGET, ())
        refusals = {
            (entity, name): (Refusal(rule=APART, detail=APART, lacking=None),) for entity, name in rest.get(CLASS, ())
        }
        return structs.replace(
            query,
            sources=tuple(end for end in query.sources if end not in sources),
            targets=tuple(end for end in query.targets if end not in targets),
            excluded=query.excluded | frozenset(self._excluded(by_kind)),
            operators_denied=query.operators_denied | {entity for (entity,) in rest.get(OPERATOR, ())},
            refused={**query.refused, **refusals},
        )

    def _excluded(self, by_kind: Mapping[str, Iterable[Item]]) -> Iterator[End]:
        finders: dict[str, Callable[[Item], Iterable[End]]] = {
            INTERCONNECT: lambda item: ((item[1], item[2]),),
            STRETCH: self._offers,
            SITE: self._interfaces,
            CITY: self._interfaces,
        }
        return chain.from_iterable(find(item) for kind, find in finders.items() for item in by_kind.get(kind, ()))

    def _offers(self, stretch: Item) -> Iterator[End]:
        """Every offer between two points of an operator, of whatever route class."""
        _, entity, point, other = stretch
        network = self._graph.by_entity[entity]
        for vertex in _vertices(network, point):
            for _, number in network.near[vertex]:
                name = network.arcs[number].offer
                offer = network.sheet.offers[name]
                if other in (offer.a, offer.z):
                    yield entity, name

    def _interfaces(self, place: Item) -> Iterator[End]:
        """Every interface at a place, whoever's it is."""
        for network in self._graph.networks:
            yield from published_at(network, _KINDS[place[0]]).get(place, ())


def _vertices(network: Network, point: str) -> Iterable[int]:
    """The vertices of an interface or an inner point: one, or one per route class."""
    place = network.index.get(point)
    if place is not None:
        return (place,)
    return range(len(network.interfaces) + network.nodes[point], network.size, len(network.nodes))

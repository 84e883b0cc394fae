"""What two paths of a pair must not have in common, item by item.

Whatever the pair is to be apart by, it has no interconnect and no whole segment in common: a backup over what was
bought for the primary is none. A segment that touches an ENNI brings its interconnect, so only segments from UNI to UNI
are items of their own. `segment` adds the stretches of abstract graphs: two points of one operator make one stretch,
whichever offers and route classes lead along it, because nothing published says that those run apart. `operator`
adds operators; `site` and `city` add the places of every interface entered or left through. Inner points of an abstract
graph have no published place, so nothing is known of theirs.

Exempt is what an end leaves no choice about: the operator, site or city that all its UNIs have in common, and the
stretches that join a UNI to the only point it is joined to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final, NamedTuple

from federation.broker.paths.assembly import legs
from federation.broker.paths.graph import Graph
from federation.broker.paths.labels import Label
from federation.broker.paths.network import Network
from federation.broker.paths.query import End, Query
from federation.broker.paths.usable import Usable
from schemas.backup import Apart
from schemas.interface import Interface, InterfaceKind

INTERCONNECT: Final = "interconnect"
SEGMENT: Final = "segment"
STRETCH: Final = "stretch"
OPERATOR: Final = "operator"
SITE: Final = "site"
CITY: Final = "city"
# Not shared, only avoided: where a path begins and ends, and the route classes it is sold in.
SOURCE: Final = "source"
TARGET: Final = "target"
CLASS: Final = "class"
SITE_UDEG: Final = 1000  # two interfaces stand at one site where their coordinates are equal to this many

Item = tuple[str, ...]  # one of the names above, and what it is of; numbers as text
Bars = frozenset[Item]


class Used(NamedTuple):
    """What a path uses: `items` that another must not share, in order; `all` of what a path can be told to avoid."""

    items: tuple[Item, ...]
    all: Bars


class Items:
    """What the paths of one query have in common or not, for one kind of being apart."""

    def __init__(self, graph: Graph, query: Query, apart: Apart) -> None:
        self._graph, self._apart = graph, apart
        self._sources, self._targets = _published(graph, query.sources), _published(graph, query.targets)
        self._exempt = frozenset(self._unavoidable(self._sources)) | frozenset(self._unavoidable(self._targets))

    def used(self, usable: Usable, label: Label) -> Used:
        """What a whole path uses."""
        items = tuple(dict.fromkeys(item for item in self._along(usable, label) if item not in self._exempt))
        path = legs(label)
        ends = (SOURCE, *self._end(path[0].entry)), (TARGET, *self._end(path[-1].exit))
        classes = ((CLASS, usable.network(leg.entry).entity, leg.meter.terms.id) for leg in path)
        return Used(items, frozenset((*items, *ends, *classes)))

    def ways(self, item: Item) -> tuple[Bars, ...]:
        """How a path can avoid an item: what to bar, one or another; together these are all paths without it.

        A path does not enter an operator twice, so from a UNI of an operator to another one of the same it is one
        segment: it avoids (operator, class, a, z) if it begins or ends elsewhere, or has no segment of that class.
        """
        if item[0] != SEGMENT:
            return (frozenset({item}),)
        _, operator, route_class, a, z = item
        directions = [
            ((SOURCE, operator, begin), (TARGET, operator, end))
            for begin, end in ((a, z), (z, a))
            if (operator, begin) in self._sources and (operator, end) in self._targets
        ]
        return (*map(frozenset, product(*directions)), frozenset({(CLASS, operator, route_class)}))

    def _along(self, usable: Usable, label: Label) -> Iterator[Item]:
        path = legs(label)
        for number, leg in enumerate(path):
            network, kind = usable.network(leg.entry), self._apart
            entry, exit_ = usable.interface(leg.entry), usable.interface(leg.exit)
            if entry.kind is exit_.kind is InterfaceKind.UNI:
                route_class = leg.meter.terms.id
                yield SEGMENT, network.entity, route_class, *sorted((entry.id, exit_.id))
            if kind is Apart.OPERATOR:
                yield OPERATOR, network.entity
            elif kind is not Apart.SEGMENT:
                yield place_of(entry, kind)
                yield place_of(exit_, kind)
            else:
                yield from _stretches(network, [arc.offer for arc in leg.arcs])
            if number + 1 < len(path):
                sides = sorted((self._end(leg.exit), self._end(path[number + 1].entry)))
                yield INTERCONNECT, *sides[0], *sides[1]

    def _end(self, vertex: int) -> End:
        return self._graph.interface(vertex)

    def _unavoidable(self, ends: frozenset[End]) -> Iterator[Item]:
        """What every path has that begins, or ends, at one of some UNIs."""
        unis = [(self._graph.by_entity[entity], name) for entity, name in sorted(ends)]
        for network, name in unis:
            yield from _only_stretches(network, name)
        operators = {network.entity for network, _ in unis}
        if len(operators) == 1:
            yield OPERATOR, *operators
        for kind in (Apart.SITE, Apart.CITY):
            places = {place_of(network.sheet.interfaces[name], kind) for network, name in unis}
            if len(places) == 1:
                yield from places


def place_of(interface: Interface, kind: Apart) -> Item:
    """The site or city of an interface, as an item."""
    if kind is Apart.CITY:
        return CITY, interface.country, " ".join(interface.city.casefold().split())
    at = interface.lat_udeg, interface.lon_udeg
    return SITE, *(str((udeg + SITE_UDEG // 2) // SITE_UDEG) for udeg in at)


def _published(graph: Graph, ends: tuple[End, ...]) -> frozenset[End]:
    return frozenset(end for end in ends if graph.vertex(*end) is not None)


def _stretches(network: Network, offers: list[str]) -> Iterator[Item]:
    """Stretches between two inner points, or a UNI and one; an ENNI's goes with its interconnect."""
    interfaces = network.sheet.interfaces
    for name in offers:
        ends = network.sheet.offers[name].a, network.sheet.offers[name].z
        outer = [interfaces[end].kind for end in ends if end in interfaces]
        if len(outer) < 2 and InterfaceKind.ENNI not in outer:
            yield STRETCH, network.entity, *sorted(ends)


def _only_stretches(network: Network, name: str) -> Iterator[Item]:
    """The stretch between a UNI and the only point that its offers join it to, where that is an inner one."""
    around = (network.arcs[number].offer for _, number in network.near[network.index[name]])
    offers = (network.sheet.offers[offer] for offer in around)
    points = {offer.z if offer.a == name else offer.a for offer in offers}
    if len(points) == 1 and not points <= network.sheet.interfaces.keys():
        yield STRETCH, network.entity, *sorted((name, *points))


def published_at(network: Network, kind: Apart) -> Mapping[Item, tuple[End, ...]]:
    """An operator's interfaces by site or city; kept with the network, which does not change."""
    if kind not in network.places:
        found: dict[Item, tuple[End, ...]] = {}
        for interface in network.interfaces:
            place = place_of(interface, kind)
            found[place] = (*found.get(place, ()), (network.entity, interface.id))
        network.places[kind] = found
    return network.places[kind]

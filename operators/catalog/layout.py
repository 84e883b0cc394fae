"""What is on sale, before anything is known of what is free: a mesh, or an abstract graph.

A mesh has one stretch per pair of interfaces and route class. An abstract graph has a node per PoP, border stretches
between each interface and its node, and inner stretches for the internal links; its names say nothing of the inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final, NamedTuple

from operators.inventory.topology import Reach
from operators.pricing.along import Along
from operators.pricing.network import Network
from operators.pricing.quote import Rates
from schemas.offer import ClassTerms, Disclosure, Node
from schemas.segment import Id, Promise

MESH_OFFERS_MAX: Final = 5_000


class Stretch(NamedTuple):
    """One offer without its free capacity, which is the least of `resources` (links and interfaces)."""

    id: Id
    a: Id
    z: Id
    route_class: Id
    rates: Rates
    promise: Promise
    resources: tuple[Id, ...]


class Layout(NamedTuple):
    """Everything on sale, and which stretches a link or interface is part of."""

    disclosure: Disclosure
    terms: tuple[ClassTerms, ...]
    nodes: tuple[Node, ...]
    stretches: Mapping[Id, Stretch]
    by_resource: Mapping[Id, tuple[Id, ...]]


def lay_out(network: Network, wanted: Disclosure | None = None) -> Layout:
    """The whole catalog of a network. Without a wish it is a mesh while that has at most `MESH_OFFERS_MAX` offers."""
    disclosure = wanted or _by_size(network)
    mesh = disclosure is Disclosure.MESH
    names = {} if mesh else {pop: f"n{index}" for index, pop in enumerate(sorted(network.pops))}
    nodes = tuple(Node(id=name) for name in names.values())
    stretches = {s.id: s for s in (_mesh(network) if mesh else _abstract(network, names))}
    by_resource: dict[Id, list[Id]] = {}
    for stretch in stretches.values():
        for resource in set(stretch.resources):
            by_resource.setdefault(resource, []).append(stretch.id)
    index = {resource: tuple(ids) for resource, ids in by_resource.items()}
    return Layout(disclosure, tuple(network.terms.values()), nodes, stretches, index)


def _by_size(network: Network) -> Disclosure:
    count = len(network.interfaces)
    small = count * (count - 1) // 2 * len(network.classes) <= MESH_OFFERS_MAX
    return Disclosure.MESH if small else Disclosure.ABSTRACT


def _abstract(network: Network, names: Mapping[str, str]) -> Iterator[Stretch]:
    for route_class, rule in network.classes.items():
        border = [i for _, i in sorted(network.interfaces.items()) if network.admits(route_class, i.id)]
        for index, interface in enumerate(border):
            rates = network.end_rates(route_class, interface.id)
            promise = network.end_promise(route_class)
            node, name = names[interface.pop], f"{route_class}:b{index}"
            yield Stretch(name, interface.id, node, route_class, rates, promise, (interface.id,))
        inner = [link for _, link in sorted(network.links.items())]
        for index, link in enumerate(inner):
            if all(rule.admits(network.pops[pop].country) for pop in (link.a, link.z)):
                rates, promise = network.link_rates(route_class, link.id), network.link_promise(route_class, link.id)
                name = f"{route_class}:i{index}"
                yield Stretch(name, names[link.a], names[link.z], route_class, rates, promise, (link.id,))


def _mesh(network: Network) -> Iterator[Stretch]:
    for route_class in network.classes:
        trees: dict[str, Mapping[str, _Way]] = {}
        pairs = combinations(sorted(i for i in network.interfaces if network.admits(route_class, i)), 2)
        for index, (a, z) in enumerate(pairs):
            # From the PoP that `Topology.route` starts at, so that ties fall as they will for a quote.
            start, goal = sorted((network.interfaces[a].pop, network.interfaces[z].pop))
            if start not in trees:
                trees[start] = dict(_ways(network, route_class, start))
            way = trees[start].get(goal)
            if way is not None:
                rates, name = network.rates(route_class, a, z, way.km), f"{route_class}:m{index}"
                promise = way.along.then(network.end_promise(route_class)).promise()
                yield Stretch(name, a, z, route_class, rates, promise, (a, *way.links, z))


class _Way(NamedTuple):
    """From one interface's PoP, its end included, to another PoP."""

    links: tuple[Id, ...]
    km: int
    along: Along


def _ways(network: Network, route_class: Id, start: str) -> Iterator[tuple[str, _Way]]:
    """Every PoP within reach; `distances_from` names a PoP after the one before it, so one pass adds all up."""
    reached: dict[str, _Way] = {}
    tree = network.topology.distances_from(start, network.classes[route_class])
    for pop, reach in tree.items():
        reached[pop] = _onward(network, route_class, reached, reach)
        yield pop, reached[pop]


def _onward(network: Network, route_class: Id, reached: Mapping[str, _Way], reach: Reach) -> _Way:
    if reach.before is None or reach.link is None:
        return _Way((), 0, Along().then(network.end_promise(route_class)))
    way = reached[reach.before]
    return _Way((*way.links, reach.link), reach.km, way.along.then(network.link_promise(route_class, reach.link)))

"""The federation as one graph: every operator's network, joined where both sides of an interconnect name each other.

Immutable: a query keeps the snapshot it began with. Replacing one operator's sheet makes that operator's network anew
and the crossings of the ENNIs that touch it; everything else is shared with the snapshot before. Where only figures
differ (of offers, of what is free at interfaces), all but those is.
"""

from __future__ import annotations

import copy
import weakref
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate, chain, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from federation.broker.paths.network import Network
from federation.broker.paths.renewal import renewed
from schemas.interface import InterfaceKind

if TYPE_CHECKING:
    from federation.broker.discovery.sheet import OperatorSheet

Crossing = tuple[str, int] | None  # the peer's entity id and the place of its interface
Crossings = Mapping[str, list[Crossing]]


class Since(NamedTuple):
    """What a graph has that the one before had not: per number of an operator the places of arcs with new figures, and
    of interfaces (`sides`) where other labels or more or less capacity are free."""

    before: weakref.ref[Graph]
    arcs: Mapping[int, tuple[int, ...]]
    sides: Mapping[int, tuple[int, ...]]


class Graph:
    """Networks by entity id, and where they meet. `epoch` grows with every change.

    Vertices are numbered through: `bases[i]` plus the local number in `networks[i]`; operators stand in the order of
    their entity ids, so that equal sheets make equal graphs however they came about.
    """

    def __init__(self, networks: Mapping[str, Network], crossings: Crossings, epoch: int) -> None:
        self.by_entity = networks
        self.crossings = crossings
        self.epoch = epoch
        self.arrays: Any = None  # what the kernel makes of this graph, once it has
        self.recent: list[Any] = []  # what the last questions found out, see `recall`
        self.since: Since | None = None  # where only figures are new
        self.networks = tuple(networks[entity] for entity in sorted(networks))
        sizes = [network.size for network in self.networks]
        self.bases = (0, *accumulate(sizes))[:-1] if sizes else ()
        self.size = sum(sizes)
        self.base_of = dict(zip((n.entity for n in self.networks), self.bases, strict=True))
        self.owner: list[int] = list(chain.from_iterable(repeat(i, size) for i, size in enumerate(sizes)))
        self.is_interface = b"".join(
            b"\1" * len(n.interfaces) + b"\0" * (n.size - len(n.interfaces)) for n in self.networks
        )

    @classmethod
    def build(cls, sheets: Mapping[str, OperatorSheet], epoch: int = 0) -> Graph:
        """The graph of some sheets by entity id."""
        networks = {entity: Network(sheet) for entity, sheet in sheets.items()}
        return cls(networks, {entity: _crossings(network, networks) for entity, network in networks.items()}, epoch)

    def replace(self, sheet: OperatorSheet) -> Graph:
        """The graph with another sheet of one operator, or with one operator more."""
        network = Network(sheet)
        networks = {**self.by_entity, sheet.entity: network}
        return self._rejoined(networks, sheet.entity)

    def renewed(self, sheets: Iterable[OperatorSheet]) -> Graph | None:
        """The graph with other sheets of some of its operators; None where more than figures differ."""
        networks, arcs, sides = dict(self.by_entity), dict[int, tuple[int, ...]](), dict[int, tuple[int, ...]]()
        for sheet in sheets:
            network = self.by_entity.get(sheet.entity)
            renewal = None if network is None else renewed(network, sheet)
            if renewal is None:
                return None
            networks[sheet.entity] = renewal.network
            number = bisect_left(self.networks, sheet.entity, key=attrgetter("entity"))
            arcs[number], sides[number] = renewal.arcs, renewal.sides
        graph = copy.copy(self)
        graph.by_entity, graph.networks = networks, tuple(networks[network.entity] for network in self.networks)
        graph.epoch, graph.arrays, graph.recent = self.epoch + 1, None, []
        graph.since = Since(weakref.ref(self), arcs, sides)
        return graph

    def without(self, entity: str) -> Graph:
        """The graph without one operator."""
        return self._rejoined({e: n for e, n in self.by_entity.items() if e != entity}, entity)

    def vertex(self, entity: str, interface: str) -> int | None:
        """The vertex of an interface, if there is such a one."""
        network = self.by_entity.get(entity)
        place = None if network is None else network.index.get(interface)
        return None if place is None else self.base_of[entity] + place

    def interface(self, vertex: int) -> tuple[str, str]:
        """Entity id and interface id of an interface's vertex."""
        owner = self.owner[vertex]
        network = self.networks[owner]
        return network.entity, network.interfaces[vertex - self.bases[owner]].id

    def interconnects(self, entity: str | None = None) -> int:
        """How many interconnects are real: of one operator, or of all."""
        if entity is not None:
            return sum(crossing is not None for crossing in self.crossings[entity])
        return sum(map(self.interconnects, self.by_entity)) // 2

    def one_sided(self) -> int:
        """How many ENNIs name a peer that does not name them."""
        named = sum(i.kind is InterfaceKind.ENNI and i.peer is not None for n in self.networks for i in n.interfaces)
        return named - 2 * self.interconnects()

    def components(self) -> tuple[tuple[str, ...], ...]:
        """Operators by what a path can reach, the largest group first."""
        left, groups = set(self.by_entity), []
        for entity in sorted(self.by_entity):
            if entity in left:
                group = self._reached(entity)
                left -= group
                groups.append(tuple(sorted(group)))
        return tuple(sorted(groups, key=lambda group: (-len(group), group)))

    def _reached(self, entity: str) -> set[str]:
        reached, front = {entity}, [entity]
        while front:
            met = {crossing[0] for crossing in self.crossings[front.pop()] if crossing is not None}
            front.extend(sorted(met - reached))
            reached |= met
        return reached

    def _rejoined(self, networks: Mapping[str, Network], changed: str) -> Graph:
        crossings = {entity: places for entity, places in self.crossings.items() if entity in networks}
        if changed in networks:
            crossings[changed] = _crossings(networks[changed], networks)
        for entity, network in networks.items():
            places = network.peers.get(changed)
            if places and entity != changed:
                crossings[entity] = _crossings(network, networks, crossings[entity], places)
        return Graph(networks, crossings, self.epoch + 1)


def _crossings(
    network: Network,
    networks: Mapping[str, Network],
    before: Iterable[Crossing] | None = None,
    only: Iterable[int] | None = None,
) -> list[Crossing]:
    """Per interface what lies beyond it, or None; with `only`, just those places are looked at anew."""
    found: list[Crossing] = [None] * len(network.interfaces) if before is None else list(before)
    for place in chain.from_iterable(network.peers.values()) if only is None else only:
        found[place] = _beyond(network, place, networks)
    return found


def _beyond(network: Network, place: int, networks: Mapping[str, Network]) -> Crossing:
    """The other side of an ENNI, if that exists and names this one too."""
    interface = network.interfaces[place]
    assert interface.peer is not None, "only ENNIs with a peer are looked at"
    other = networks.get(interface.peer.entity)
    there = None if other is None else other.index.get(interface.peer.interface)
    if other is None or there is None:
        return None
    back = other.interfaces[there]
    if back.kind is not InterfaceKind.ENNI or back.peer is None:
        return None
    mutual = back.peer.entity == network.entity and back.peer.interface == interface.id
    return (other.entity, there) if mutual else None

"""One operator's offers as a graph of its own: made once per sheet, whatever is asked later.

Vertices are numbered locally: interfaces first, in the order of their ids, then every named node once per route
class, because a segment stays in one class. Offers are arcs that hold in both directions. Offers that name what the
sheet does not have, or lead from a vertex to itself, cannot be sold and are counted as `unusable`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.interface import Interface, InterfaceKind
from schemas.labels import parse
from schemas.offer import ClassTerms, Offer
from schemas.problem import Problem
from schemas.segment import PPB

if TYPE_CHECKING:
    from federation.broker.discovery.sheet import OperatorSheet

Steps = tuple[tuple[int, int], ...]
LOG_SCALE: Final = 1 << 32
LOG_NEVER: Final = 1 << 62


class Arc(NamedTuple):
    """One offer between two local vertices; `route_class` is an index.

    `lost` and `down` are -ln(delivered) and -ln(available) times 2^32, rounded down: sums of them never exceed
    what the product of the promises comes to.
    """

    offer: str
    route_class: int
    a: int
    z: int
    hourly_micro: int
    gbps_hourly_micro: int
    latency_us: int
    jitter_us: int
    carbon_mg_gb: int
    delivered_ppb: int
    available_ppb: int
    lost: int
    down: int
    free: Steps


class Network:
    """What one operator offers. Immutable; `sheet` is what it was made from."""

    __slots__ = (
        "all_swap",
        "arcs",
        "class_index",
        "classes",
        "entity",
        "index",
        "interfaces",
        "labels",
        "near",
        "nodes",
        "peers",
        "places",
        "sheet",
        "unusable",
    )

    def __init__(self, sheet: OperatorSheet) -> None:
        self.sheet = sheet
        self.entity = sheet.entity
        self.interfaces: tuple[Interface, ...] = tuple(sheet.interfaces[name] for name in sorted(sheet.interfaces))
        self.index = {interface.id: place for place, interface in enumerate(self.interfaces)}
        self.labels = tuple(label_mask(interface.labels) for interface in self.interfaces)
        self.all_swap = all(interface.swap for interface in self.interfaces)
        self.classes: tuple[ClassTerms, ...] = tuple(sheet.classes[name] for name in sorted(sheet.classes))
        self.class_index = {terms.id: place for place, terms in enumerate(self.classes)}
        self.nodes = {name: place for place, name in enumerate(sorted(sheet.nodes - sheet.interfaces.keys()))}
        self.arcs = tuple(self._arcs(sheet))
        self.unusable = len(sheet.offers) - len(self.arcs)
        self.near = self._adjacency()
        self.places: dict[str, Mapping[tuple[str, ...], tuple[tuple[str, str], ...]]] = {}  # see `backup.items`
        self.peers = self._peers()

    @property
    def size(self) -> int:
        """How many local vertices there are."""
        return len(self.interfaces) + len(self.nodes) * len(self.classes)

    def _arcs(self, sheet: OperatorSheet) -> list[Arc]:
        found = []
        for name in sorted(sheet.offers):
            offer = sheet.offers[name]
            place = self.class_index.get(offer.route_class)
            a, z = (-1, -1) if place is None else (self._vertex(offer.a, place), self._vertex(offer.z, place))
            if place is not None and a >= 0 and z >= 0 and a != z:
                found.append(_arc(offer, place, a, z))
        return found

    def _vertex(self, name: str, route_class: int) -> int:
        place = self.index.get(name)
        if place is not None:
            return place
        node = self.nodes.get(name)
        return -1 if node is None else len(self.interfaces) + route_class * len(self.nodes) + node

    def _adjacency(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Per vertex: (vertex, index of the arc) of every neighbour."""
        near: list[list[tuple[int, int]]] = [[] for _ in range(self.size)]
        for number, arc in enumerate(self.arcs):
            near[arc.a].append((arc.z, number))
            near[arc.z].append((arc.a, number))
        return tuple(map(tuple, near))

    def _peers(self) -> dict[str, tuple[int, ...]]:
        """Places of the ENNIs that name each other operator."""
        found: dict[str, list[int]] = {}
        for place, interface in enumerate(self.interfaces):
            if interface.kind is InterfaceKind.ENNI and interface.peer and interface.peer.entity != self.entity:
                found.setdefault(interface.peer.entity, []).append(place)
        return {entity: tuple(places) for entity, places in found.items()}


def _arc(offer: Offer, route_class: int, a: int, z: int) -> Arc:
    promise = offer.promise
    delivered, available = PPB - promise.loss_ppb, promise.availability_ppb
    return Arc(
        offer.id,
        route_class,
        a,
        z,
        offer.hourly_micro,
        offer.gbps_hourly_micro,
        promise.latency_us,
        promise.jitter_us,
        promise.carbon_mg_gb,
        delivered,
        available,
        shrinkage(delivered),
        shrinkage(available),
        offer.free,
    )


@lru_cache(maxsize=65536)
def shrinkage(share_ppb: int) -> int:
    """At most -ln(share) times 2^32; adding these up for a product never says more than the product's own."""
    return max(0, math.floor(-math.log(share_ppb / PPB) * LOG_SCALE) - 1) if share_ppb > 0 else LOG_NEVER


def shrinkage_max(share_ppb: int) -> int:
    """At least -ln(share) times 2^32: a product that reaches `share_ppb` adds up to no more."""
    return math.ceil(-math.log(share_ppb / PPB) * LOG_SCALE) + 1 if share_ppb > 0 else LOG_NEVER * LOG_SCALE


@lru_cache(maxsize=4096)
def label_mask(text: str) -> int:
    """Mask of published labels; a range list that cannot be read has none."""
    try:
        return parse(text)
    except Problem:
        return 0

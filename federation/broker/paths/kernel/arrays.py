"""The whole graph as arrays: the blocks of all operators behind each other, and the interconnects.

Immutable, one per graph. Blocks of operators whose sheet has not changed are taken over from the graph before.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.block import Block, Floats, Ints
from federation.broker.paths.network import Network
from schemas.offer import ClassTerms
from schemas.price import TermFactor, TimeBand

UNKNOWN, OPEN, SHUT, SOURCE, TARGET = 0, 1, 2, 4, 8  # states of an interface, the last two added up
Timing = tuple[str, tuple[TimeBand, ...], tuple[TermFactor, ...]]


class Net(NamedTuple):
    """What the compiled functions read. Vertices, slots, classes, operators and steps are numbered through.

    `cross` is the vertex behind an interface, -1 where there is none or no label is free on both sides. Units are
    those of `Arc` and `Interface`.
    """

    ptr: Any
    head: Any
    arc: Any
    cls: Any
    hourly: Any
    gbps: Any
    sums: Any
    shares: Any
    steps: Any
    room: Any
    is_interface: Any
    owner: Any
    cross: Any
    cross_us: Any
    speed: Any
    mtu: Any
    free: Any
    side_room: Any
    step_ptr: Any
    step_at: Any
    step_bps: Any


class Arrays:
    """A graph's arrays, and per route class what plans are made from.

    `class_base[i]` and `arc_base[i]` are the first class and arc of operator i. `timing` numbers the distinct zones,
    bands and term factors of classes, `currency` those of operators. `first_s`: from here on all steps have begun.
    """

    def __init__(self, graph: Graph, before: Arrays | None = None) -> None:
        self.graph = graph
        known = {} if before is None else {id(block.network): block for block in before.blocks}
        self.blocks = [known.get(id(network)) or Block(network) for network in graph.networks]
        self.net = self._net(graph, self.blocks)
        self.arc_base = _bases([len(block.network.arcs) for block in self.blocks])
        self.arcs = sum(len(block.network.arcs) for block in self.blocks)
        self.degree = int(np.diff(self.net.ptr).max(initial=0))
        self.first_s = max((block.first_s for block in self.blocks), default=0)
        # Per vertex: no UNI is open unless a question ends there; ENNIs are judged when a search comes to them.
        self.unopened = np.where((self.net.is_interface == 1) & (self.net.cross < 0), SHUT, UNKNOWN).astype(np.uint8)
        self._classes(self.blocks)

        self.kept: dict[object, Any] = {}  # bounds of questions answered, the oldest first

    def tail(self, slot: int) -> int:
        """The vertex that a slot belongs to."""
        return int(np.searchsorted(self.net.ptr, slot, side="right")) - 1

    def arc_number(self, entity: str, offer: str) -> int | None:
        """The arc of an offer, if there is such a one."""
        network = self.graph.by_entity.get(entity)
        if network is None:
            return None
        place = bisect_left(network.arcs, offer, key=attrgetter("offer"))
        found = place < len(network.arcs) and network.arcs[place].offer == offer
        return self.arc_base[self.graph.networks.index(network)] + place if found else None

    def _net(self, graph: Graph, blocks: list[Block]) -> Net:
        slot_base = _bases([len(block.head) for block in blocks])
        ptr = np.zeros(graph.size + 1, np.int64)
        sides = np.frombuffer(graph.is_interface, np.uint8).copy()
        places = np.flatnonzero(sides)
        for block, base, first in zip(blocks, graph.bases, slot_base, strict=True):
            ptr[base + 1 : base + block.network.size + 1] = block.ptr[1:] + first
        class_base = _bases([len(block.classes) for block in blocks])
        step_base = _bases([len(block.step_ptr) - 1 for block in blocks])
        arc_base = _bases([len(block.network.arcs) for block in blocks])
        cross, cross_us = _crossings(graph)

        def joined(name: str, base: list[int] | None = None, dtype: type = np.int64) -> Ints:
            parts = [getattr(block, name) for block in blocks]
            moved = parts if base is None else [part + by for part, by in zip(parts, base, strict=True)]
            return np.ascontiguousarray(np.concatenate(moved, axis=-1, dtype=dtype)) if moved else np.zeros(0, dtype)

        def spread(name: str, base: list[int] | None = None) -> Ints:
            column = np.zeros(graph.size, np.int64)
            column[places] = joined(name, base)
            return column

        step_values = [_bases([len(block.step_at) for block in blocks])]
        ends = [block.step_ptr[:-1] + by for block, by in zip(blocks, step_values[0], strict=True)]
        total = sum(len(block.step_at) for block in blocks)
        return Net(
            ptr=ptr,
            head=joined("head", list(graph.bases), np.int32),
            arc=joined("arc", arc_base, np.int32),
            cls=joined("cls", class_base, np.int32),
            hourly=joined("hourly"),
            gbps=joined("gbps"),
            sums=joined("sums") if blocks else np.zeros((4, 0), np.int64),
            shares=joined("shares") if blocks else np.zeros((2, 0), np.int64),
            steps=joined("steps", step_base, np.int32),
            room=joined("room"),
            is_interface=sides,
            owner=np.array(graph.owner, dtype=np.int32),
            cross=cross,
            cross_us=cross_us,
            speed=spread("speed"),
            mtu=spread("mtu"),
            free=spread("free", step_base),
            side_room=spread("side_room"),
            step_ptr=np.concatenate((*ends, [total])).astype(np.int64),
            step_at=joined("step_at"),
            step_bps=joined("step_bps"),
        )

    def _classes(self, blocks: list[Block]) -> None:
        self.class_base = _bases([len(block.classes) for block in blocks])
        self.classes: list[tuple[str, ClassTerms]] = [(b.network.entity, terms) for b in blocks for terms in b.classes]
        self.class_number = {(entity, terms.id): n for n, (entity, terms) in enumerate(self.classes)}
        self.class_owner = np.repeat(np.arange(len(blocks)), [len(block.classes) for block in blocks])
        self.class_names = np.array([terms.id for _, terms in self.classes], dtype=object)
        self.set_up, self.minimum, self.term_s = (
            np.concatenate([np.zeros(0, np.int64), *(getattr(block, name) for block in blocks)])
            for name in ("set_up", "minimum", "term_s")
        )
        self.means: Floats = np.concatenate([np.zeros((4, 0)), *(block.means for block in blocks)], axis=1)
        self.tops: Floats = np.concatenate([np.zeros((2, 0)), *(block.tops for block in blocks)], axis=1)
        self.sizes: Ints = np.repeat([block.network.size for block in blocks], [len(b.classes) for b in blocks])
        timings: dict[Timing, int] = {}
        keys = ((terms.zone if terms.bands else "", terms.bands, terms.terms) for _, terms in self.classes)
        self.timing: Ints = np.array([timings.setdefault(key, len(timings)) for key in keys], dtype=np.int64)
        self.timings = list(timings)
        currencies: dict[str, int] = {}
        each = [currencies.setdefault(block.network.sheet.currency, len(currencies)) for block in blocks]
        self.currency: Ints = np.array(each, dtype=np.int64)[self.class_owner]
        self.currencies = list(currencies)

    @property
    def size(self) -> int:
        """How many bytes the arrays have."""
        return sum(column.nbytes for column in self.net)

    def network(self, owner: int) -> Network:
        """An operator's network."""
        return self.graph.networks[owner]


def _crossings(graph: Graph) -> tuple[Ints, Ints]:
    """Per vertex what is behind it, and how long the way there takes."""
    cross, cross_us = np.full(graph.size, -1, np.int32), np.zeros(graph.size, np.int64)
    for network, base in zip(graph.networks, graph.bases, strict=True):
        for place, crossing in enumerate(graph.crossings[network.entity]):
            if crossing is not None:
                there = graph.by_entity[crossing[0]]
                if network.labels[place] & there.labels[crossing[1]]:
                    cross[base + place] = graph.base_of[crossing[0]] + crossing[1]
                    sides = network.interfaces[place], there.interfaces[crossing[1]]
                    cross_us[base + place] = max(sides[0].latency_us, sides[1].latency_us)
    return cross, cross_us


def _bases(counts: list[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()][:-1] if counts else []

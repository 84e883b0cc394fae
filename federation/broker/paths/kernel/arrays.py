"""The whole graph as arrays: the blocks of all operators behind each other, and the interconnects.

Immutable, one per graph. Blocks of operators whose sheet has not changed are taken over from the graph before.
"""

from __future__ import annotations

import weakref
from bisect import bisect_left
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np

from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.block import Block, Floats, Ints, clip
from federation.broker.paths.kernel.live import GBPS, HOURLY, OF_CLASS, STEPS, Lot, Versions, Write
from federation.broker.paths.network import Network, Steps
from federation.broker.paths.renewal import no_more
from schemas.offer import ClassTerms
from schemas.price import TermFactor, TimeBand

# States of a vertex: an interface, `SOURCE` and `TARGET` added up, or a node.
UNKNOWN, OPEN, SHUT, SOURCE, TARGET, INSIDE = 0, 1, 2, 4, 8, 16
# Columns of `Net.hot`, `Net.cool` and `Net.vertices`.
HEAD, CLS, LATENCY_US, ARC = range(4)
JITTER_US, LOST_LOG, DOWN_LOG, DELIVERED_PPB, AVAILABLE_PPB = range(5)
IS_INTERFACE, OWNER, CROSS, CROSS_US, SPEED, MTU, FREE = range(7)
KEPT_MAX: Final = 16
KEPT_BYTES: Final = 1 << 28
SPARE_MAX: Final = 2
Places = Mapping[int, tuple[int, ...]]  # per number of an operator
Timing = tuple[str, tuple[TimeBand, ...], tuple[TermFactor, ...]]


class Net(NamedTuple):
    """What the compiled functions read. Vertices, slots, classes, arcs, operators and steps are numbered through.

    A slot is an arc seen from one of its ends. `hot` has a row per slot, `live` (what changes while the network stays)
    and `cool` one per arc, `vertices` one per vertex; units are those of `Arc` and `Interface`. `CROSS`
    is the vertex behind an interface, -1 where there is none or no label is free on both sides. `steps` are rows of
    (second, bit/s), a function of time from `step_ptr[i]` to `step_ptr[i + 1]`. `marks` are distances to landmarks.
    """

    ptr: Any
    hot: Any
    live: Any
    cool: Any
    vertices: Any
    step_ptr: Any
    steps: Any
    marks: Any


class Figures(NamedTuple):
    """New rows of `Net.live`, the class of the arc behind, and functions of time where there are new ones.

    `sides` are rows of an interface's vertex and the number of its function of time. `moved`: somewhere more or less
    can be had, `more`: somewhere more.
    """

    arcs: Ints
    rows: Ints
    sides: Ints
    moved: bool = False
    more: bool = False
    step_ptr: Any = None
    steps: Any = None


class Arrays:
    """A graph's arrays, and per route class what plans are made from.

    `class_base[i]` and `arc_base[i]` are the first class and arc of operator i. `timing` numbers the distinct zones,
    bands and term factors of classes, `currency` those of operators.
    """

    def __init__(self, graph: Graph, before: Arrays | None = None) -> None:
        self._graph = weakref.ref(graph)  # no cycle: an epoch ends as soon as nobody holds its graph
        known = {} if before is None else {id(block.network.near): block for block in before.blocks}
        self.blocks: list[Block] = [_block(network, known.get(id(network.near))) for network in graph.networks]
        self.net = self._net(graph, self.blocks)
        self.arc_base = _bases([len(block.network.arcs) for block in self.blocks])
        self.arcs = sum(len(block.network.arcs) for block in self.blocks)
        self.degree = int(np.diff(self.net.ptr).max(initial=0))
        self.breaks: list[int] = _breaks(self.net.steps)
        # Per vertex: no UNI is open unless a question ends there; ENNIs are judged when a search comes to them.
        lone = (self.net.vertices[:, IS_INTERFACE] == 1) & (self.net.vertices[:, CROSS] < 0)
        self.unopened = np.where(lone, SHUT, UNKNOWN).astype(np.uint8)
        self.unopened[self.net.vertices[:, IS_INTERFACE] == 0] = INSIDE
        self._classes(graph, self.blocks)
        self.crowded = 4 * len(self.net.step_ptr) + 4096  # more functions of time than this are sorted out
        self.versions = Versions()
        self.number = 0  # of the version that `net.live` is
        self.kept: dict[object, Any] = {}  # bounds of questions answered, the oldest first
        self.tariffs: list[Any] = []  # what the last sizes and rules admit, and at what price
        self.rooms: list[Any] = []  # where the last sizes and times have room
        self.spare: list[Any] = []  # memory for bounds that nobody uses
        self.desks: list[Any] = []  # memory for labels that nobody uses

    def written(self, graph: Graph, figures: Figures, write: Write) -> Arrays:
        """The arrays of a graph that differs in figures only; these stay as they are."""
        made = Arrays.__new__(Arrays)
        made.__dict__ = vars(self).copy()
        made._graph = weakref.ref(graph)
        if self.number != self.versions.number:  # somebody else went on from here: begin a line of our own
            made.versions, made.kept = Versions(), {}
        lot = Lot(0, figures.arcs, figures.rows, None if figures.more else figures.arcs)
        live, above = made.versions.written(self.net.live, lot, self.highest, write)
        made.versions.hold(made, live)
        made.number = made.versions.number
        ptr, hot, _, cool, vertices, step_ptr, steps, marks = self.net
        if len(figures.sides):
            vertices = vertices.copy()
            vertices[figures.sides[:, 0], FREE] = figures.sides[:, 1]
        if figures.steps is not None:
            step_ptr, steps, made.breaks = figures.step_ptr, figures.steps, _breaks(figures.steps)
        made.net = Net(ptr, hot, live, cool, vertices, step_ptr, steps, marks)
        if above:
            made.highest, made.tariffs = self._raised(figures.rows), []
        if figures.moved:
            made.rooms = []
        return made

    def _raised(self, rows: Ints) -> Ints:
        """The highest prices once some rows are written, and some more."""
        highest = self.highest.copy()
        for column in (HOURLY, GBPS):
            np.maximum.at(highest[column], rows[:, OF_CLASS], _and_more(rows[:, column]))
        return highest

    @property
    def graph(self) -> Graph:
        """The graph that these are of, which whoever uses them holds."""
        graph = self._graph()
        assert graph is not None, "arrays are held by their graph"
        return graph

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
        slot_base = _bases([len(block.hot) for block in blocks])
        class_base = _bases([len(block.classes) for block in blocks])
        step_base = _bases([len(block.step_ptr) - 1 for block in blocks])
        first_base = _bases([len(block.step_rows) for block in blocks])
        arc_base = _bases([len(block.network.arcs) for block in blocks])
        ptr = np.zeros(graph.size + 1, np.int64)
        vertices = np.zeros((graph.size, 7), np.int64)
        hot = np.concatenate([np.zeros((0, 4), np.int64), *(block.hot for block in blocks)])
        live = np.concatenate([np.zeros((0, 3), np.int64), *(block.live for block in blocks)])
        for number, block in enumerate(blocks):
            base, first = graph.bases[number], slot_base[number]
            end = base + block.network.size
            ptr[base + 1 : end + 1] = block.ptr[1:] + first
            moved = hot[first : first + len(block.hot)]
            moved[:, HEAD] += base
            for column, by in ((CLS, class_base), (ARC, arc_base)):
                moved[:, column] += by[number]
            live[arc_base[number] : arc_base[number] + len(block.live), STEPS] += step_base[number]
            vertices[base:end, OWNER] = number
            sides = vertices[base : base + len(block.sides)]
            sides[:, SPEED:] = block.sides
            sides[:, FREE] += step_base[number]
            sides[:, IS_INTERFACE] = 1
        vertices[:, CROSS], vertices[:, CROSS_US] = _crossings(graph)
        ends = [block.step_ptr[:-1] + by for block, by in zip(blocks, first_base, strict=True)]
        steps = np.concatenate([np.zeros((0, 2), np.int64), *(block.step_rows for block in blocks)])
        return Net(
            ptr=ptr,
            hot=hot,
            live=live,
            cool=np.concatenate([np.zeros((0, 5), np.int64), *(block.cool for block in blocks)]),
            vertices=vertices,
            step_ptr=np.concatenate((*ends, [len(steps)])).astype(np.int64),
            steps=steps,
            marks=np.zeros((graph.size, 0), np.int32),
        )

    def keep(self, key: object, kept: Any) -> None:
        """Keep the bounds of a question, in place of the oldest where there are many."""
        later = self.kept.get(key)
        if later is None or later.number <= kept.number:
            self.kept[key], kept = kept, later
        most = max(1, min(KEPT_MAX, KEPT_BYTES // self.kept[key].bytes))
        if kept is None and len(self.kept) > most:
            kept = self.kept.pop(next(iter(self.kept), key), None)
        if kept is not None and len(self.spare) < SPARE_MAX:
            self.spare.append(kept.ahead)

    def forget(self) -> None:
        """Drop everything that questions between some ends left behind."""
        while self.kept:
            self.spare.append(self.kept.popitem()[1].ahead)
        del self.spare[SPARE_MAX:]
        self.graph.recent.clear()

    def figures(self, graph: Graph) -> Figures | None:
        """What `graph.since` says, as rows; None where labels leave an interconnect that had none one, or none."""
        assert graph.since is not None, "only figures differ"
        if any(self._opens(graph, number, place) for number, places in graph.since.sides.items() for place in places):
            return None
        moves = _Moves(self.net)
        arcs, rows = self._arc_rows(graph, graph.since.arcs, moves)
        sides = self._side_rows(graph, graph.since.sides, moves)
        return Figures(arcs, rows, sides, moves.moved, moves.more, *moves.grown())

    def _arc_rows(self, graph: Graph, changed: Places, moves: _Moves) -> tuple[Ints, Ints]:
        arcs, rows = list[int](), list[tuple[int, int, int, int]]()
        for number, places in changed.items():
            base, first = self.arc_base[number], self.class_base[number]
            then, now = self.graph.networks[number].arcs, graph.networks[number].arcs
            for place in places:
                arc = now[place]
                which = moves.number(then[place].free, arc.free, int(self.net.live[base + place, STEPS]))
                arcs.append(base + place)
                rows.append((arc.hourly_micro, arc.gbps_hourly_micro, which, first + arc.route_class))
        return np.array(arcs, dtype=np.int64), np.array(rows, dtype=np.int64).reshape(-1, 4)

    def _side_rows(self, graph: Graph, changed: Places, moves: _Moves) -> Ints:
        rows = list[tuple[int, int]]()
        for number, places in changed.items():
            then, now = self.graph.networks[number].interfaces, graph.networks[number].interfaces
            for place in places:
                vertex = graph.bases[number] + place
                if then[place].free != now[place].free:
                    which = int(self.net.vertices[vertex, FREE])
                    rows.append((vertex, moves.number(then[place].free, now[place].free, which)))
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    def _opens(self, graph: Graph, number: int, place: int) -> bool:
        """Whether an interconnect has a label free on both sides now and had none, or the other way round."""
        network = graph.networks[number]
        crossing = graph.crossings[network.entity][place]
        if crossing is None:
            return False
        free = network.labels[place] & graph.by_entity[crossing[0]].labels[crossing[1]]
        return bool(free) != bool(self.net.vertices[graph.bases[number] + place, CROSS] >= 0)

    def _classes(self, graph: Graph, blocks: list[Block]) -> None:
        self.class_base = _bases([len(block.classes) for block in blocks])
        self.classes: list[tuple[str, ClassTerms]] = [(b.network.entity, terms) for b in blocks for terms in b.classes]
        self.class_number = {(entity, terms.id): n for n, (entity, terms) in enumerate(self.classes)}
        self.class_owner = np.repeat(np.arange(len(blocks)), [len(block.classes) for block in blocks])
        # Per arc its ends and class.
        self.ends: Ints = np.concatenate(
            [np.zeros((0, 3), np.int64)]
            + [
                np.add(block.ends, (base, base, by))
                for block, base, by in zip(blocks, graph.bases, self.class_base, strict=True)
            ]
        )
        self.stretch = np.repeat([float(block.network.size) for block in blocks], [len(b.classes) for b in blocks])
        self.class_names = np.array([terms.id for _, terms in self.classes], dtype=object)
        self.set_up, self.minimum, self.term_s = (
            np.concatenate([np.zeros(0, np.int64), *(getattr(block, name) for block in blocks)])
            for name in ("set_up", "minimum", "term_s")
        )
        # Rates of a usual segment, and what none of an arc exceeds: more than the highest, so that it holds for long.
        self.usual: Floats = np.concatenate([np.zeros((2, 0)), *(block.usual for block in blocks)], axis=1)
        highest = np.concatenate([np.zeros((2, 0), np.int64), *(block.highest for block in blocks)], axis=1)
        self.highest: Ints = _and_more(highest)
        timings: dict[Timing, int] = {}
        keys = ((terms.zone if terms.bands else "", terms.bands, terms.terms) for _, terms in self.classes)
        self.timing: Ints = np.array([timings.setdefault(key, len(timings)) for key in keys], dtype=np.int64)
        self.timings = list(timings)
        currencies: dict[str, int] = {}
        each = [currencies.setdefault(block.network.sheet.currency, len(currencies)) for block in blocks]
        self.currency: Ints = np.array(each, dtype=np.int64)[self.class_owner]
        self.currencies = list(currencies)
        # The distinct pairs of both, as timing x count of currencies + currency, and which one a class has.
        pairs = np.unique(self.timing * len(self.currencies) + self.currency, return_inverse=True)
        self.pairs, self.pair = pairs[0].tolist(), pairs[1]

    def owner(self, vertex: int) -> int:
        """The number of a vertex's operator."""
        return int(self.net.vertices[vertex, OWNER])

    @property
    def size(self) -> int:
        """How many bytes the arrays have."""
        return sum(column.nbytes for column in self.net)


def _block(network: Network, before: Block | None) -> Block:
    """The block of a network: what was there before does where structure is the same (and so the very same object)."""
    if before is None:
        return Block(network)
    return before if before.network is network else before.renewed(network)


class _Moves:
    """Functions of time, with those that are new behind the others; `moved`, `more`: as in `Figures`."""

    def __init__(self, net: Net) -> None:
        self._ptr, self._steps, self._new = net.step_ptr, net.steps, dict[Steps, int]()
        self.moved = self.more = False

    def number(self, was: Steps, now: Steps, which: int) -> int:
        """The number of a function in the place of another, which is number `which`."""
        if now == was:
            return which
        self.moved, self.more = True, self.more or not no_more(now, was)
        return self._new.setdefault(now, len(self._ptr) - 1 + len(self._new))

    def grown(self) -> tuple[Any, Any]:
        """The table, None where nothing was added."""
        if not self._new:
            return None, None
        rows = [(clip(at), clip(bps)) for steps in self._new for at, bps in steps]
        steps = np.concatenate((self._steps, np.array(rows, dtype=np.int64).reshape(-1, 2)))
        ends = len(self._steps) + np.cumsum([len(steps) for steps in self._new], dtype=np.int64)
        return np.concatenate((self._ptr, ends)), steps


def _crossings(graph: Graph) -> tuple[Ints, Ints]:
    """Per vertex what is behind it, and how long the way there takes."""
    cross, cross_us = np.full(graph.size, -1, np.int64), np.zeros(graph.size, np.int64)
    for network, base in zip(graph.networks, graph.bases, strict=True):
        for place, crossing in enumerate(graph.crossings[network.entity]):
            if crossing is not None:
                there = graph.by_entity[crossing[0]]
                if network.labels[place] & there.labels[crossing[1]]:
                    cross[base + place] = graph.base_of[crossing[0]] + crossing[1]
                    sides = network.interfaces[place], there.interfaces[crossing[1]]
                    cross_us[base + place] = max(sides[0].latency_us, sides[1].latency_us)
    return cross, cross_us


def _and_more(prices: Ints) -> Ints:
    """Prices an eighth higher."""
    return prices + (prices >> 3)


def _breaks(steps: Ints) -> list[int]:
    """The seconds between two of which nothing changes."""
    found: list[int] = np.unique(steps[:, 0]).tolist()
    return found


def _bases(counts: list[int]) -> list[int]:
    return [0, *np.cumsum(counts).tolist()][:-1] if counts else []

"""What of the graph serves one question: offers with room, interfaces that fit, crossings with a common label.

Everything is judged operator by operator, when a search first gets there, and kept for every solve of the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple

from federation.broker.paths import effort
from federation.broker.paths.graph import Graph
from federation.broker.paths.meter import Meter, Size, worth
from federation.broker.paths.network import Arc, Network, Steps
from federation.broker.paths.query import ADDITIONS, NANO, Ask, End, Limit
from federation.broker.paths.rules import lacking, names
from schemas.interface import Interface, InterfaceKind
from schemas.offer import steps_least

ANY_LABEL: Final = -1
ALL_TIME_BPS: Final = 1 << 62
TYPICAL_ARCS: Final = 4


class Stretch(NamedTuple):
    """An arc as priced for the question.

    In the buyer's micro-units, rounded down: `cost` as one arc of a segment, `first` as its first arc (with what a
    segment costs at its entry), `direct` as the whole segment; `score` and its two siblings are the same in
    billionths, with what latency and carbon are worth. `nothing` is zero: bounds sum a column, and some count nothing
    along arcs. `width` is the most that a widest-path search can get through.
    """

    cost: int
    first: int
    direct: int
    latency_us: int
    jitter_us: int
    lost: int
    down: int
    carbon_mg_gb: int
    score: int
    score_first: int
    score_direct: int
    nothing: int
    weight: int
    width: int
    meter: Meter
    arc: Arc


class Beyond(NamedTuple):
    """The other side of an ENNI: its vertex, the interconnect's latency, and the labels free on both sides.

    `names` is the mask of what would have to be allowed for crossing here.
    """

    vertex: int
    latency_us: int
    labels: int
    names: int


class Judged:
    """What has been found out about offers for one size, time and set of rules, whatever the limits.

    The UNIs that will do, with their free labels; labels free at interfaces and across interconnects; segments as they
    are billed, by the offers they run over; the kernel's plan, meters by its number of a class, and
    what segments it told come to. `looser` is the same for a question that admits all of this one and more, with the
    same prices: its bounds are bounds here.
    """

    __slots__ = ("beyond", "ends", "kernel_plan", "looser", "segments", "sides", "told")

    def __init__(self) -> None:
        self.sides: dict[int, int] = {}
        self.beyond: dict[int, Beyond | None] = {}
        self.segments: dict[tuple[int, ...], Any] = {}
        self.told: dict[tuple[int, ...], Any] = {}
        self.ends: tuple[dict[int, int], dict[int, int]] | None = None
        self.kernel_plan: Any = None
        self.looser: Judged | None = None


class Usable:
    """The part of a graph that one question may use. `names` are the (rule, name) that solves may add, one bit each.

    A mask has a bit for each of them, and for each operator required that is still to be entered: `pending` are those
    of a path that has not begun, `must` those without which it may not end, `met` the bit that entering an operator
    clears. The first `bits` bits are taken by these.
    """

    def __init__(self, graph: Graph, ask: Ask, judged: Judged | None = None) -> None:
        self.graph, self._ask, self._query = graph, ask, ask.query
        self.effort = 0  # steps taken so far
        self.judged = judged or Judged()
        self.weighing = ask.query.weighing
        self._measure = ask.aim if ask.aim in MEASURES else None
        self._wanted, self._mtu = ask.limit(Limit.BANDWIDTH) or 0, ask.limit(Limit.MTU) or 0
        self._during = ask.query.window.start_s, ask.query.window.end_s
        self._excluded = by_operator(ask.query.excluded)
        self._near: dict[int, Sequence[tuple[int, Stretch]]] = {}
        self._stretches: dict[int, list[Stretch | None]] = {}
        self._sides, self._beyond = self.judged.sides, self.judged.beyond
        self.names = self._nameable() if ask.aim == ADDITIONS else ()
        self._bits = {name: 1 << place for place, name in enumerate(self.names)}
        self.bits, self.met = self._required()
        self.pending = sum(self.met.values())
        self.must = self.pending >> len(self.names) << len(self.names)
        if self.judged.ends is None:
            self.judged.ends = self._ends(ask.query.sources), self._ends(ask.query.targets)
        self.sources, self.targets = self.judged.ends

    def near(self, vertex: int) -> Sequence[tuple[int, Stretch]]:
        """Neighbours of a vertex within its operator, each with the usable stretch that leads there."""
        found = self._near.get(vertex)
        if found is None:
            found = self._near[vertex] = self._neighbours(vertex)
        return found

    def beyond(self, vertex: int) -> Beyond | None:
        """What lies across an interface, if that can be crossed."""
        if vertex not in self._beyond:
            self._beyond[vertex] = self._across(vertex)
        return self._beyond[vertex]

    def network(self, vertex: int) -> Network:
        """The operator of a vertex."""
        return self.graph.networks[self.graph.owner[vertex]]

    def interface(self, vertex: int) -> Interface:
        """The interface at a vertex."""
        owner = self.graph.owner[vertex]
        return self.graph.networks[owner].interfaces[vertex - self.graph.bases[owner]]

    def _ends(self, ends: Iterable[End]) -> dict[int, int]:
        """Vertices of UNIs with their free labels, in vertex order; what cannot serve is left out."""
        vertices = sorted({v for end in ends if (v := self.graph.vertex(*end)) is not None})
        unis = [v for v in vertices if self.interface(v).kind is InterfaceKind.UNI]
        return {v: labels for v in unis if (labels := self._side(v))}

    def _neighbours(self, vertex: int) -> list[tuple[int, Stretch]]:
        owner = self.graph.owner[vertex]
        if owner not in self._stretches:
            self._stretches[owner] = list(self._priced(owner))
            self.effort += effort.ARC * len(self._stretches[owner])
        stretches, base = self._stretches[owner], self.graph.bases[owner]
        around = self.graph.networks[owner].near[vertex - base]
        return [(base + to, stretch) for to, number in around if (stretch := stretches[number]) is not None]

    def _priced(self, owner: int) -> Iterator[Stretch | None]:
        """Every arc of an operator as a stretch, None where it does not serve."""
        network, base = self.graph.networks[owner], self.graph.bases[owner]
        meters = self._meters(network)
        excluded = self._excluded.get(network.entity, frozenset())
        opened = [self._opens(base + place) for place in range(len(network.interfaces))]
        (start_s, end_s), wanted, count = self._during, self._wanted, len(opened)
        for arc in network.arcs:
            meter = meters[arc.route_class]
            shut = (arc.a < count and not opened[arc.a]) or (arc.z < count and not opened[arc.z])
            if meter is None or shut or arc.offer in excluded or least_free(arc.free, start_s, end_s) < wanted:
                yield None
            else:
                yield self._stretch(base, count, arc, meter)

    def _stretch(self, base: int, count: int, arc: Arc, meter: Meter) -> Stretch:
        weight = meter.weight(arc.hourly_micro, arc.gbps_hourly_micro)
        value, entry = meter.value(weight), meter.base + (meter.least if meter.flat else 0)
        cost, direct = 0 if meter.flat else value, meter.base + max(meter.least, value)
        nano_per_us, nano_per_mg_gb = self._query.weighing
        worth = nano_per_us * arc.latency_us + nano_per_mg_gb * arc.carbon_mg_gb
        return Stretch(
            cost,
            entry + cost,
            direct,
            arc.latency_us,
            arc.jitter_us,
            arc.lost,
            arc.down,
            arc.carbon_mg_gb,
            NANO * cost + worth,
            NANO * (entry + cost) + worth,
            NANO * direct + worth,
            0,
            weight,
            self._width(base, count, arc, meter) if self._measure else 0,
            meter,
            arc,
        )

    def _width(self, base: int, count: int, arc: Arc, meter: Meter) -> int:
        ends = [self.interface(base + place) for place in (arc.a, arc.z) if place < count]
        match self._measure:
            case Limit.BANDWIDTH:
                free = (arc.free, *(end.free for end in ends))
                least = min(steps_least(steps, *self._during) for steps in free)
                return min([least, *(end.speed_bps for end in ends)])
            case Limit.MTU:
                return min((i.mtu for i in ends), default=ALL_TIME_BPS)
        return -meter.terms.minimum_term_s

    def _meters(self, network: Network) -> list[Meter | None]:
        """A meter per route class, None for a class that a rule keeps out."""
        query, rate = self._query, worth(self._query.rates, network.sheet.currency, self._query.currency)
        size = Size(query.bandwidth_bps, query.window, query.term_s)
        meters: list[Meter | None] = []
        for terms in network.classes:
            names = self._admitted(network.entity, terms.id, terms.minimum_term_s)
            meters.append(None if names is None or rate is None else Meter(terms, rate, size, names))
        for meter, typical in zip(meters, _typical(network, query.bandwidth_bps), strict=True):
            if meter is not None:
                meter.lean(typical)
        return meters

    def _admitted(self, entity: str, route_class: str, minimum_term_s: int) -> int | None:
        """The mask of names a class needs beyond what the rules allow; None when it is kept out for good."""
        mask = 0
        for rule, lacked in lacking(self._query, entity, route_class, minimum_term_s):
            if rule not in self._ask.waived:
                added = None if lacked is None else self._added({(str(rule), name) for name in lacked})
                if added is None:
                    return None
                mask |= added
        return mask

    def closing(self, vertex: int) -> int | None:
        """The mask of names an interface needs to be used; None when it is avoided for good."""
        if not self._query.closed:
            return 0
        by = self._query.closed.get(self.graph.interface(vertex), frozenset())
        return self._added({name for name in by if name[0] not in self._ask.waived})

    def _added(self, needed: AbstractSet[tuple[str, str]]) -> int | None:
        missing = needed - self._ask.granted
        return sum(self._bits[name] for name in missing) if missing <= self._bits.keys() else None

    def _required(self) -> tuple[int, dict[int, int]]:
        """How many bits are taken, and the bit of each operator required by number; absent ones have -1, -2 and on."""
        taken, met = len(self.names), dict[int, int]()
        if not self._query.operators_required:
            return taken, met
        numbers = {network.entity: number for number, network in enumerate(self.graph.networks)}
        for place, entity in enumerate(sorted(self._query.operators_required), 1):
            name = (str(Limit.REQUIRED), entity)
            if Limit.REQUIRED not in self._ask.waived and name not in self._ask.granted:
                if name not in self._bits:
                    taken += 1
                met[numbers.get(entity, -place)] = self._bits.get(name, 1 << (taken - 1))
        return taken, met

    def _nameable(self) -> tuple[tuple[str, str], ...]:
        """Every (rule, name) that a solve may add: those of eased rules that some class lacks."""
        offered = ((n.entity, terms) for n in self.graph.networks for terms in n.classes)
        named = {
            (str(rule), name)
            for entity, terms in offered
            for rule, lacked in lacking(self._query, entity, terms.id, terms.minimum_term_s)
            if lacked is not None
            for name in lacked
        }
        named |= {(str(rule), name) for rule, name in names(self._query)}
        return tuple(sorted(name for name in named - self._ask.granted if name[0] in self._ask.eased))

    def _opens(self, vertex: int) -> bool:
        """Whether a segment may begin or end here at all."""
        if self.interface(vertex).kind is InterfaceKind.UNI:
            return vertex in self.sources or vertex in self.targets
        return self.beyond(vertex) is not None

    def _across(self, vertex: int) -> Beyond | None:
        owner = self.graph.owner[vertex]
        network = self.graph.networks[owner]
        crossing = self.graph.crossings[network.entity][vertex - self.graph.bases[owner]]
        if crossing is None:
            return None
        there = self.graph.base_of[crossing[0]] + crossing[1]
        labels = self._side(vertex) and self._side(vertex) & self._side(there)
        if not labels:
            return None
        latency_us = max(self.interface(vertex).latency_us, self.interface(there).latency_us)
        return Beyond(there, latency_us, labels, (self.closing(vertex) or 0) | (self.closing(there) or 0))

    def _side(self, vertex: int) -> int:
        """Labels free at an interface, none when it is excluded, avoided, too slow, full, or too narrow for the MTU."""
        if vertex not in self._sides:
            self._sides[vertex] = self._fit(vertex)
        return self._sides[vertex]

    def _fit(self, vertex: int) -> int:
        owner = self.graph.owner[vertex]
        network, place = self.graph.networks[owner], vertex - self.graph.bases[owner]
        interface = network.interfaces[place]
        if interface.mtu < self._mtu or interface.speed_bps < self._wanted:
            return 0
        if least_free(interface.free, *self._during) < self._wanted:
            return 0
        if interface.id in self._excluded.get(network.entity, ()):
            return 0
        if self.closing(vertex) is None:
            return 0
        banned = self._query.banned_labels
        return network.labels[place] & ~(banned.get((network.entity, interface.id), 0) if banned else 0)


MEASURES: Final = frozenset({Limit.BANDWIDTH, Limit.MTU, Limit.TERM})


def least_free(steps: Steps, start_s: int, end_s: int) -> int:
    """Like `steps_least`, at once where the first step covers the window, as it mostly does."""
    if steps and steps[0][0] <= start_s and (len(steps) == 1 or steps[1][0] >= end_s):
        return steps[0][1]
    return steps_least(steps, start_s, end_s)


def by_operator(ends: AbstractSet[End]) -> Mapping[str, frozenset[str]]:
    """Ids by operator."""
    if not ends:
        return {}
    found: dict[str, set[str]] = {}
    for entity, name in ends:
        found.setdefault(entity, set()).add(name)
    return {entity: frozenset(names) for entity, names in found.items()}


def _typical(network: Network, bandwidth_bps: int) -> list[int]:
    """Per route class the weight of a usual segment through a graph: two border arcs and a few inner ones."""
    count = len(network.interfaces)
    sums = [[0, 0, 0, 0] for _ in network.classes]
    for arc in network.arcs:
        inner = arc.a >= count and arc.z >= count
        tally = sums[arc.route_class]
        tally[2 * inner] += arc.hourly_micro * 10**9 + arc.gbps_hourly_micro * bandwidth_bps
        tally[2 * inner + 1] += 1
    return [2 * border // max(1, n) + TYPICAL_ARCS * inner // max(1, m) for border, n, inner, m in sums]

"""A path that the kernel found, told again as labels: every figure computed anew, in whole numbers without end."""

from __future__ import annotations

from itertools import compress, count, pairwise
from operator import add
from typing import Final, NamedTuple

from federation.broker.paths.kernel.arrays import Arrays
from federation.broker.paths.labels import NO_SUMS, Label, Sums
from federation.broker.paths.meter import Meter, Size, worth
from federation.broker.paths.network import Network
from federation.broker.paths.query import Ask
from federation.broker.paths.usable import ALL_TIME_BPS, ANY_LABEL, Stretch, Usable
from schemas.segment import PPB

NOTHING: Final = (0,) * 7  # what a stretch counts for bounds: a path that is there needs none


class Trace(NamedTuple):
    """A path: its source, its slots in order, and whether each begins a segment."""

    source: int
    slots: tuple[int, ...]
    enters: tuple[bool, ...]


class Told(NamedTuple):
    """A segment by itself: where it leads step by step, its price, its shares, and its part of the sums."""

    way: tuple[tuple[int, Stretch], ...]
    price_micro: int
    delivered: int
    available: int
    sums: Sums


class Replay:
    """Paths over one question's arrays."""

    def __init__(self, arrays: Arrays, usable: Usable, ask: Ask) -> None:
        self._arrays, self._usable, self._query = arrays, usable, ask.query
        self._meters = usable.judged.meters

    def label(self, trace: Trace) -> Label | None:
        """The last label of the path; None where no labels go through from end to end."""
        usable = self._usable
        swap = usable.interface(trace.source).swap
        label = self._at(trace.source, None, (0, PPB, PPB), NO_SUMS, usable.sources[trace.source], swap)
        for first, last in pairwise((*compress(count(), trace.enters), len(trace.slots))):
            found = self._segment(label, trace.slots[first:last])
            if found is None:
                return None
            label = found
        return label if label.goal else None

    def _segment(self, entered: Label, slots: tuple[int, ...]) -> Label | None:
        """The label behind a segment: at the target, or in the next operator."""
        usable, inside, told = self._usable, entered, self._told(slots)
        for to, stretch in told.way:
            inside = _within(inside, to, stretch)
        beyond, exit_ = usable.beyond(inside.vertex), inside.vertex
        free = usable.targets.get(exit_, 0) if beyond is None else beyond.labels
        if entered.labels != ANY_LABEL and not (entered.swap and usable.interface(exit_).swap):
            free &= entered.labels
        if not free:
            return None
        latency_us, vertex = (0, exit_) if beyond is None else (beyond.latency_us, beyond.vertex)
        past = (
            entered.past_micro + told.price_micro,
            entered.past_delivered * told.delivered // PPB,
            entered.past_available * told.available // PPB,
        )
        sums = tuple(map(add, entered.sums, told.sums))
        sums = (sums[0] + latency_us, *sums[1:])
        label = self._at(vertex, inside, past, sums, free, usable.interface(vertex).swap)
        label.goal = beyond is None
        return label

    def _told(self, slots: tuple[int, ...]) -> Told:
        """A segment; paths have many in common."""
        known: Told | None = self._usable.judged.told.get(slots)
        if known is None:
            known = self._usable.judged.told[slots] = _added_up(tuple(map(self._stretch, slots)))
        return known

    def _at(
        self,
        vertex: int,
        parent: Label | None,
        past: tuple[int, int, int],
        sums: Sums,
        labels: int,
        swap: bool,
    ) -> Label:
        all_swap = self._usable.network(vertex).all_swap
        possible = ANY_LABEL if all_swap else labels
        return Label(vertex, parent, past, sums, mask=0, labels=possible, swap=swap, width=ALL_TIME_BPS)

    def _stretch(self, slot: int) -> tuple[int, Stretch]:
        """Where a slot leads, and the stretch that it is."""
        arrays = self._arrays
        to, cls, _, number = arrays.net.hot[slot].tolist()
        graph = self._usable.graph
        owner = graph.owner[to]
        network = graph.networks[owner]
        arc = network.arcs[number - arrays.arc_base[owner]]
        meter = self._meters.get(cls)
        if meter is None:
            meter = self._meters[cls] = self._meter(network, arc.route_class)
        return to, Stretch(0, 0, 0, arc.latency_us, arc.jitter_us, arc.lost, arc.down, *NOTHING, meter, arc)

    def _meter(self, network: Network, route_class: int) -> Meter:
        query = self._query
        rate = worth(query.rates, network.sheet.currency, query.currency)
        assert rate is not None, "what is admitted has a rate"
        return Meter(network.classes[route_class], rate, Size(query.bandwidth_bps, query.window, query.term_s))


def _within(parent: Label, vertex: int, stretch: Stretch) -> Label:
    """A label inside a segment: which way the path goes, no more."""
    label = Label.__new__(Label)
    label.vertex, label.parent, label.stretch, label.meter = vertex, parent, stretch, stretch.meter
    label.goal = label.dead = False
    return label


def _added_up(way: tuple[tuple[int, Stretch], ...]) -> Told:
    """What a segment comes to by itself; exact."""
    arcs = [stretch.arc for _, stretch in way]
    hourly = gbps = latency = jitter = lost = down = carbon = 0
    delivered = available = PPB
    for arc in arcs:
        hourly, gbps = hourly + arc.hourly_micro, gbps + arc.gbps_hourly_micro
        delivered, available = delivered * arc.delivered_ppb // PPB, available * arc.available_ppb // PPB
        latency, jitter, lost, down = latency + arc.latency_us, jitter + arc.jitter_us, lost + arc.lost, down + arc.down
        carbon += arc.carbon_mg_gb
    price_micro = way[0][1].meter.price(hourly, gbps)
    return Told(way, price_micro, delivered, available, (latency, jitter, lost, down, 1, carbon))

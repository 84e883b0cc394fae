"""A path that the kernel found, told again as labels: every figure computed anew, in whole numbers without end."""

from __future__ import annotations

from itertools import compress, count, pairwise
from typing import Final, NamedTuple

from federation.broker.paths.kernel.arrays import ARC, CLS, HEAD, Arrays
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
    """Paths over one question's arrays. `meters` are those of its tariffs, by number of a class, as far as known."""

    def __init__(self, arrays: Arrays, usable: Usable, ask: Ask, meters: dict[int, Meter]) -> None:
        self._arrays, self._usable, self._query, self._meters = arrays, usable, ask.query, meters

    def label(self, trace: Trace) -> Label | None:
        """The last label of the path; None where no labels go through from end to end."""
        usable, slots = self._usable, trace.slots
        swap = usable.interface(trace.source).swap
        label = self._at(trace.source, None, (0, PPB, PPB), NO_SUMS, usable.sources[trace.source], swap)
        for first, last in pairwise((*compress(count(), trace.enters), len(slots))):
            found = self._segment(label, self._told(slots[first:last]))
            if found is None:
                return None
            label = found
        return label if label.goal else None

    def _segment(self, entered: Label, told: Told) -> Label | None:
        """The label behind a segment: at the target, or in the next operator."""
        usable, inside = self._usable, entered
        for to, stretch in told.way:
            inside = _within(inside, to, stretch)
        exit_ = inside.vertex
        beyond = usable.beyond(exit_)
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
        a, b = entered.sums, told.sums
        sums = (a[0] + b[0] + latency_us, a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5])
        label = self._at(vertex, inside, past, sums, free, usable.interface(vertex).swap)
        label.goal = beyond is None
        return label

    def _told(self, slots: tuple[int, ...]) -> Told:
        """A segment; paths have many in common."""
        known: Told | None = self._usable.judged.told.get(slots)
        if known is None:
            known = self._usable.judged.told[slots] = self._added_up(slots)
        return known

    def _added_up(self, slots: tuple[int, ...]) -> Told:
        """What a segment comes to by itself; exact."""
        arrays, graph = self._arrays, self._usable.graph
        rows = arrays.net.hot[list(slots)].tolist()
        owner = graph.owner[rows[0][HEAD]]
        network, base = graph.networks[owner], arrays.arc_base[owner]
        meter = self._meters.get(rows[0][CLS])
        if meter is None:
            meter = self._meters[rows[0][CLS]] = self._meter(network, network.arcs[rows[0][ARC] - base].route_class)
        way = list[tuple[int, Stretch]]()
        hourly = gbps = latency = jitter = lost = down = carbon = 0
        delivered = available = PPB
        for to, _, _, number in rows:
            arc = network.arcs[number - base]
            hourly, gbps = hourly + arc.hourly_micro, gbps + arc.gbps_hourly_micro
            delivered, available = delivered * arc.delivered_ppb // PPB, available * arc.available_ppb // PPB
            latency, jitter, carbon = latency + arc.latency_us, jitter + arc.jitter_us, carbon + arc.carbon_mg_gb
            lost, down = lost + arc.lost, down + arc.down
            sums = arc.latency_us, arc.jitter_us, arc.lost, arc.down
            way.append((to, Stretch(0, 0, 0, *sums, *NOTHING, meter, arc)))
        return Told(
            tuple(way), meter.price(hourly, gbps), delivered, available, (latency, jitter, lost, down, 1, carbon)
        )

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

"""A path that the kernel found, told again as labels: every figure computed anew, in whole numbers without end."""

from __future__ import annotations

from itertools import compress, count, pairwise
from typing import Final, NamedTuple

from federation.broker.paths.kernel.arrays import Arrays
from federation.broker.paths.labels import NO_SUMS, Label, Sums
from federation.broker.paths.meter import Meter, Size, worth
from federation.broker.paths.network import Network
from federation.broker.paths.query import Ask
from federation.broker.paths.usable import ALL_TIME_BPS, ANY_LABEL, Stretch, Usable
from schemas.segment import PPB

Past = tuple[int, int, int]
NOTHING: Final = (0,) * 7  # what a stretch counts for bounds: a path that is there needs none


class Trace(NamedTuple):
    """A path: its source, its slots in order, and whether each begins a segment."""

    source: int
    slots: tuple[int, ...]
    enters: tuple[bool, ...]


class Replay:
    """Paths over one question's arrays."""

    def __init__(self, arrays: Arrays, usable: Usable, ask: Ask) -> None:
        self._arrays, self._usable, self._query = arrays, usable, ask.query
        self._meters: dict[int, Meter] = {}

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
        usable, inside, stretches = self._usable, entered, list[Stretch]()
        for slot in slots:
            to, stretch = self._stretch(slot)
            stretches.append(stretch)
            inside = _within(inside, to, stretch)
        beyond, exit_ = usable.beyond(inside.vertex), inside.vertex
        free = usable.targets.get(exit_, 0) if beyond is None else beyond.labels
        if entered.labels != ANY_LABEL and not (entered.swap and usable.interface(exit_).swap):
            free &= entered.labels
        if not free:
            return None
        latency_us, vertex = (0, exit_) if beyond is None else (beyond.latency_us, beyond.vertex)
        past, sums = _completed(entered, stretches, latency_us)
        label = self._at(vertex, inside, past, sums, free, usable.interface(vertex).swap)
        label.goal = beyond is None
        return label

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
        owner = arrays.graph.owner[to]
        network = arrays.graph.networks[owner]
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


def _completed(entered: Label, stretches: list[Stretch], latency_us: int) -> tuple[Past, Sums]:
    """What a path comes to with one segment more, and the interconnect behind it; exact."""
    arcs, s = [stretch.arc for stretch in stretches], entered.sums
    price = stretches[0].meter.price(sum(a.hourly_micro for a in arcs), sum(a.gbps_hourly_micro for a in arcs))
    delivered = available = PPB
    latency, jitter, lost, down, carbon = s[0] + latency_us, s[1], s[2], s[3], s[5]
    for arc in arcs:
        delivered, available = delivered * arc.delivered_ppb // PPB, available * arc.available_ppb // PPB
        latency, jitter, lost, down = latency + arc.latency_us, jitter + arc.jitter_us, lost + arc.lost, down + arc.down
        carbon += arc.carbon_mg_gb
    past = (
        entered.past_micro + price,
        entered.past_delivered * delivered // PPB,
        entered.past_available * available // PPB,
    )
    return past, (latency, jitter, lost, down, s[4] + 1, carbon)

"""A path that the kernel found, told again as labels: every figure computed anew, in whole numbers without end."""

from __future__ import annotations

from typing import NamedTuple

from federation.broker.paths.kernel.arrays import ARC, HEAD, Arrays
from federation.broker.paths.labels import Label
from federation.broker.paths.meter import Meter, Size, worth
from federation.broker.paths.query import Ask
from federation.broker.paths.usable import ALL_TIME_BPS, ANY_LABEL, Stretch, Usable
from schemas.segment import PPB


class Trace(NamedTuple):
    """A path: its source, its slots in order, and whether each begins a segment."""

    source: int
    slots: tuple[int, ...]
    enters: tuple[bool, ...]


class Replay:
    """Paths over one question's arrays."""

    def __init__(self, arrays: Arrays, usable: Usable, ask: Ask) -> None:
        self._arrays, self._usable, self._ask = arrays, usable, ask

    def label(self, trace: Trace) -> Label | None:
        """The last label of the path; None where no labels go through from end to end."""
        usable = self._usable
        swap = usable.interface(trace.source).swap
        label = self._at(trace.source, None, (0, PPB, PPB), (0, 0, 0, 0, 0), usable.sources[trace.source], swap)
        for slot in trace.slots:
            exit_ = int(self._arrays.net.hot[slot, HEAD])
            label = label.along(self._stretch(slot), exit_)
            if usable.graph.is_interface[exit_]:
                found = self._left(label, exit_)
                if found is None:
                    return None
                label = found
        return label if label.goal else None

    def _at(
        self,
        vertex: int,
        parent: Label | None,
        past: tuple[int, int, int],
        sums: tuple[int, int, int, int, int],
        labels: int,
        swap: bool,
    ) -> Label:
        all_swap = self._usable.network(vertex).all_swap
        possible = ANY_LABEL if all_swap else labels
        return Label(vertex, parent, past, sums, mask=0, labels=possible, swap=swap, width=ALL_TIME_BPS)

    def _left(self, inside: Label, exit_: int) -> Label | None:
        """The label once a segment is complete: at the target, or in the next operator."""
        usable, s = self._usable, inside.sums
        beyond = usable.beyond(exit_)
        free = usable.targets.get(exit_, 0) if beyond is None else beyond.labels
        if not (inside.swap and usable.interface(exit_).swap) and inside.labels != ANY_LABEL:
            free &= inside.labels
        if not free:
            return None
        latency_us, vertex = (0, exit_) if beyond is None else (beyond.latency_us, beyond.vertex)
        sums = (s[0] + latency_us, s[1], s[2], s[3], s[4] + 1)
        label = self._at(vertex, inside, inside.completed(), sums, free, usable.interface(vertex).swap)
        label.goal = beyond is None
        return label

    def _stretch(self, slot: int) -> Stretch:
        arrays = self._arrays
        owner = arrays.owner(int(arrays.net.hot[slot, HEAD]))
        network = arrays.graph.networks[owner]
        arc = network.arcs[int(arrays.net.hot[slot, ARC]) - arrays.arc_base[owner]]
        query = self._ask.query
        rate = worth(query.rates, network.sheet.currency, query.currency)
        assert rate is not None, "what is admitted has a rate"
        size = Size(query.bandwidth_bps, query.window, query.term_s)
        meter = Meter(network.classes[arc.route_class], rate, size)
        weight = meter.weight(arc.hourly_micro, arc.gbps_hourly_micro)
        return Stretch(0, 0, 0, arc.latency_us, arc.jitter_us, arc.lost, arc.down, 0, weight, 0, meter, arc)

"""A path that the kernel found, told again as labels: every figure computed anew, in whole numbers without end."""

from __future__ import annotations

from itertools import compress, count, pairwise
from typing import Final, NamedTuple

from federation.broker.paths.kernel.arrays import ARC, CLS, HEAD, Arrays
from federation.broker.paths.labels import NO_SUMS, Behind, Label, Leg, Sums
from federation.broker.paths.meter import Meter, Size, worth
from federation.broker.paths.network import Network
from federation.broker.paths.query import Ask
from federation.broker.paths.usable import ALL_TIME_BPS, ANY_LABEL, Usable
from schemas.segment import PPB

NO_PAST: Final = 0, PPB, PPB


class Trace(NamedTuple):
    """A path: its source, its slots in order, and whether each begins a segment."""

    source: int
    slots: tuple[int, ...]
    enters: tuple[bool, ...]


class Told(NamedTuple):
    """A segment by itself: its price and shares, its part of the sums, and where it leads.

    `free` are the labels free at its end, where another one than at its beginning will do unless it `keeps` its label.
    `vertex` is the target, or the interface where the next operator is entered; `any_label` and `swap` are of there.
    """

    leg: Leg
    price_micro: int
    delivered: int
    available: int
    sums: Sums
    free: int
    keeps: bool
    vertex: int
    any_label: bool
    swap: bool
    goal: bool


class Replay:
    """Paths over one question's arrays. `meters` are those of its tariffs, by number of a class, as far as known."""

    def __init__(self, arrays: Arrays, usable: Usable, ask: Ask, meters: dict[int, Meter]) -> None:
        self._arrays, self._usable, self._query, self._meters = arrays, usable, ask.query, meters

    def label(self, trace: Trace) -> Label | None:
        """The last label of the path; None where no labels go through from end to end."""
        usable, source, slots = self._usable, trace.source, trace.slots
        known: dict[tuple[int, ...], Told] = usable.judged.told
        possible = ANY_LABEL if usable.network(source).all_swap else usable.sources[source]
        swap = usable.interface(source).swap
        label = Label(source, None, NO_PAST, NO_SUMS, mask=0, labels=possible, swap=swap, width=ALL_TIME_BPS)
        for first, last in pairwise((*compress(count(), trace.enters), len(slots))):
            over = slots[first:last]
            told = known.get(over)
            if told is None:  # paths have many segments in common
                told = known[over] = self._told(label.vertex, over)
            free = told.free
            if told.keeps and label.labels != ANY_LABEL:
                free &= label.labels
            if not free:
                return None
            label = _behind(label, told, free)
        return label if label.goal else None

    def _told(self, entry: int, slots: tuple[int, ...]) -> Told:
        """What a segment comes to by itself; exact."""
        arrays, usable = self._arrays, self._usable
        hot = arrays.net.hot
        rows = [hot[slot].tolist() for slot in slots]
        exit_, cls = rows[-1][HEAD], rows[0][CLS]
        owner = usable.graph.owner[exit_]
        network, base = usable.graph.networks[owner], arrays.arc_base[owner]
        arcs = tuple([network.arcs[row[ARC] - base] for row in rows])
        meter = self._meters.get(cls)
        if meter is None:
            meter = self._meters[cls] = self._meter(network, arcs[0].route_class)
        beyond = usable.beyond(exit_)
        free, latency, vertex = (usable.targets.get(exit_, 0), 0, exit_) if beyond is None else beyond[2::-1]
        hourly = gbps = jitter = lost = down = carbon = 0
        delivered = available = PPB
        for arc in arcs:
            hourly, gbps = hourly + arc.hourly_micro, gbps + arc.gbps_hourly_micro
            delivered, available = delivered * arc.delivered_ppb // PPB, available * arc.available_ppb // PPB
            latency, jitter, carbon = latency + arc.latency_us, jitter + arc.jitter_us, carbon + arc.carbon_mg_gb
            lost, down = lost + arc.lost, down + arc.down
        enters, leaves, next_ = usable.interface(entry), usable.interface(exit_), usable.interface(vertex)
        return Told(
            Leg(entry, exit_, meter, arcs),
            meter.price(hourly, gbps),
            delivered,
            available,
            (latency, jitter, lost, down, 1, carbon),
            free,
            not (enters.swap and leaves.swap),
            vertex,
            usable.network(vertex).all_swap,
            next_.swap,
            beyond is None,
        )

    def _meter(self, network: Network, route_class: int) -> Meter:
        query = self._query
        rate = worth(query.rates, network.sheet.currency, query.currency)
        assert rate is not None, "what is admitted has a rate"
        return Meter(network.classes[route_class], rate, Size(query.bandwidth_bps, query.window, query.term_s))


def _behind(entered: Label, told: Told, free: int) -> Behind:
    """The label behind a segment: at the target, or in the next operator."""
    past = (
        entered.past_micro + told.price_micro,
        entered.past_delivered * told.delivered // PPB,
        entered.past_available * told.available // PPB,
    )
    a, b = entered.sums, told.sums
    sums = (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5])
    possible = ANY_LABEL if told.any_label else free
    label = Behind(told.vertex, entered, past, sums, labels=possible, swap=told.swap, leg=told.leg)
    label.goal = told.goal
    return label

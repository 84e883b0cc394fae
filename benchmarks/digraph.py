"""The federation as a plain directed graph: what a peer is given, made without any code of the path search.

A vertex is an ENNI (standing for entering its operator there), a UNI twice (entered, and left), or a node of an
abstract graph once per route class. An arc is an offer in one direction; where it leaves an operator, the
interconnect behind it is folded in, so it ends at the ENNI of the next one. A path from an entered UNI to a left one
is a path of the federation, except that it may enter an operator twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface, InterfaceKind
from schemas.offer import Offer, steps_least
from schemas.segment import PPB, Window

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Arc(NamedTuple):
    """One row of the table; money in micro-units, `down` is -ln(availability)."""

    tail: int
    head: int
    operator: int
    route_class: int
    entry: bool
    set_up: int
    minimum: int
    hourly: int
    gbps_hourly: int
    latency: int
    jitter: int
    down: float
    available: int
    free: int
    mtu: int


class Digraph:
    """Columns over all arcs, and where things are. `end` finds a UNI: (entered, left)."""

    def __init__(self, sheets: Mapping[str, OperatorSheet], window: Window) -> None:
        flat = _Flat(sheets, window)
        # One operator at a time: millions of rows would take gigabytes as tuples.
        rows = np.concatenate([part for part in flat.parts() if part.size])
        columns = dict(zip(Arc._fields, rows.T, strict=True))
        self.down: Floats = columns.pop("down")
        whole = {name: column.astype(np.int64) for name, column in columns.items()}
        self.tail, self.head, self.operator = whole["tail"], whole["head"], whole["operator"]
        self.route_class, self.entry = whole["route_class"], whole["entry"].astype(bool)
        self.set_up, self.minimum = whole["set_up"], whole["minimum"]
        self.hourly, self.gbps_hourly = whole["hourly"], whole["gbps_hourly"]
        self.latency, self.jitter, self.available = whole["latency"], whole["jitter"], whole["available"]
        self.free, self.mtu = whole["free"], whole["mtu"]
        self.hours = window.duration_s // 3600
        self.size = flat.size
        self.classes = flat.classes
        self.unis = flat.unis
        assert window.duration_s % 3600 == 0, "prices are whole numbers for whole hours only"

    @property
    def arcs(self) -> int:
        """How many arcs there are."""
        return len(self.tail)

    def prices(self, gbps: int) -> Ints:
        """Micro-units per arc for whole Gb/s over the window; set-up counts where an operator is entered.

        Exact, because hours and Gb/s are whole; a minimum is assumed not to bind.
        """
        prices: Ints = self.set_up * self.entry + self.usage(gbps)
        return prices

    def usage(self, gbps: int) -> Ints:
        """The part of a price that follows from the rates."""
        usage: Ints = (self.hourly + self.gbps_hourly * gbps) * self.hours
        return usage

    def admitted(self, refused: Mapping[tuple[str, str], object], gbps: int, mtu: int) -> NDArray[np.bool_]:
        """Arcs whose route class nobody refuses, with room."""
        kept = np.array([key not in refused for key in self.classes], dtype=bool)
        admitted: NDArray[np.bool_] = kept[self.route_class] & (self.free >= gbps * 10**9) & (self.mtu >= mtu)
        return admitted

    def enters_twice(self, path: Sequence[int]) -> bool:
        """Whether a path enters an operator more than once, which no path of a federation does."""
        entered = [int(self.operator[arc]) for arc in path if self.entry[arc]]
        return len(entered) != len(set(entered))


class _Flat:
    def __init__(self, sheets: Mapping[str, OperatorSheet], window: Window) -> None:
        self._sheets, self._start_s, self._end_s = sheets, window.start_s, window.end_s
        self.size = 0
        self.unis: dict[tuple[str, str], tuple[int, int]] = {}
        self.classes: list[tuple[str, str]] = []
        self._ennis: dict[tuple[str, str], int] = {}
        self._room: dict[int, int] = {}  # by id of the steps, which operators' offers share
        for entity in sorted(sheets):
            for name, interface in sheets[entity].interfaces.items():
                if interface.kind is InterfaceKind.UNI:
                    self.unis[entity, name] = self._vertex(), self._vertex()
                else:
                    self._ennis[entity, name] = self._vertex()

    def parts(self) -> Iterator[Floats]:
        """The arcs of one operator after the other."""
        for operator, entity in enumerate(sorted(self._sheets)):
            yield np.array(list(self._arcs(operator, self._sheets[entity])), dtype=np.float64)

    def _arcs(self, operator: int, sheet: OperatorSheet) -> Iterator[Arc]:
        """Every offer in both directions, where it can be entered and left."""
        place = {name: len(self.classes) + number for number, name in enumerate(sheet.classes)}
        self.classes += [(sheet.entity, name) for name in sheet.classes]
        nodes = {(c, node): self._vertex() for c in sheet.classes for node in sorted(sheet.nodes)}
        for offer in sheet.offers.values():
            for a, z in ((offer.a, offer.z), (offer.z, offer.a)):
                arc = self._arc(sheet, offer, a, z, nodes)
                if arc is not None:
                    yield arc._replace(operator=operator, route_class=place[offer.route_class])

    def _arc(
        self, sheet: OperatorSheet, offer: Offer, a: str, z: str, nodes: Mapping[tuple[str, str], int]
    ) -> Arc | None:
        enters, leaves = sheet.interfaces.get(a), sheet.interfaces.get(z)
        free, mtu, latency = self._free(offer.free), 65535, offer.promise.latency_us
        if enters is None:
            tail = nodes[offer.route_class, a]
        else:
            tail = self.unis[sheet.entity, a][0] if enters.peer is None else self._ennis[sheet.entity, a]
            free, mtu = min(free, self._side(enters)), enters.mtu
        if leaves is None:
            head = nodes[offer.route_class, z]
        elif leaves.peer is None:
            head = self.unis[sheet.entity, z][1]
            free, mtu = min(free, self._side(leaves)), min(mtu, leaves.mtu)
        else:
            beyond = self._beyond(sheet.entity, leaves)
            if beyond is None:
                return None
            there = self._sheets[leaves.peer.entity].interfaces[leaves.peer.interface]
            head, latency = beyond, latency + max(leaves.latency_us, there.latency_us)
            free, mtu = min(free, self._side(leaves), self._side(there)), min(mtu, leaves.mtu, there.mtu)
        terms, promise = sheet.classes[offer.route_class], offer.promise
        return Arc(
            tail,
            head,
            0,
            0,
            enters is not None,
            terms.set_up_micro,
            terms.minimum_micro,
            offer.hourly_micro,
            offer.gbps_hourly_micro,
            latency,
            promise.jitter_us,
            -math.log(promise.availability_ppb / PPB),
            promise.availability_ppb,
            free,
            mtu,
        )

    def _beyond(self, entity: str, interface: Interface) -> int | None:
        """The vertex behind an ENNI, if the other side names this one."""
        assert interface.peer is not None, "an ENNI has a peer"
        other = self._sheets.get(interface.peer.entity)
        there = None if other is None else other.interfaces.get(interface.peer.interface)
        if there is None or there.peer is None or (there.peer.entity, there.peer.interface) != (entity, interface.id):
            return None
        return self._ennis[interface.peer.entity, there.id]

    def _side(self, interface: Interface) -> int:
        return min(interface.speed_bps, self._free(interface.free))

    def _free(self, steps: tuple[tuple[int, int], ...]) -> int:
        if id(steps) not in self._room:
            self._room[id(steps)] = steps_least(steps, self._start_s, self._end_s)
        return self._room[id(steps)]

    def _vertex(self) -> int:
        self.size += 1
        return self.size - 1

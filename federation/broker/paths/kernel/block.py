"""One operator's offers as columns, made once per sheet; numbers of vertices, classes and arcs are local."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from federation.broker.paths.network import Arc, Network, Steps
from federation.broker.paths.usable import TYPICAL_ARCS
from schemas.offer import ClassTerms

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
LOG_MAX: Final = 1 << 58  # instead of `LOG_NEVER`, so that sums stay within 64 bits
FAR_S: Final = 1 << 60


class Block:
    """The columns of one operator.

    The slots of a vertex follow each other, `ptr` says where. `hot`, `live`, `cool` and `sides` are rows as in
    `arrays.Net`, `ends` has both ends and the class of every arc. Per class: amounts that count once, the rates of a
    usual segment, and the highest of an arc.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._numbers: dict[Steps, int] = {}
        self._slots(network)
        self._sides(network)
        self._classes(network)
        self._step_table()

    def renewed(self, network: Network) -> Block:
        """The columns of the same network with other prices and capacities."""
        made = Block.__new__(Block)
        vars(made).update(vars(self))
        made.network, made._numbers = network, {}
        frees = made._numbered([interface.free for interface in network.interfaces])
        steps = made._numbered([arc.free for arc in network.arcs])
        made.arc_hourly = _ints([arc.hourly_micro for arc in network.arcs])
        made.arc_gbps = _ints([arc.gbps_hourly_micro for arc in network.arcs])
        made.live = np.column_stack((made.arc_hourly, made.arc_gbps, steps))
        made.sides = np.column_stack((self.sides[:, :2], frees))
        made._rates(len(self.classes))
        made._step_table()
        return made

    def _slots(self, network: Network) -> None:
        arcs = network.arcs
        columns = list(zip(*arcs, strict=True)) or [()] * len(Arc._fields)
        column = dict(zip(Arc._fields, columns, strict=True))
        a, z = _ints(column["a"]), _ints(column["z"])
        order = np.argsort(np.concatenate((a, z)), kind="stable")
        arc = order % max(1, len(arcs))
        self.ptr = np.zeros(network.size + 1, np.int64)
        np.cumsum(np.bincount(np.concatenate((a, z)), minlength=network.size), out=self.ptr[1:])
        self.arc_cls = _ints(column["route_class"])
        self.arc_hourly, self.arc_gbps = _ints(column["hourly_micro"]), _ints(column["gbps_hourly_micro"])
        latency, steps = _ints(column["latency_us"]), self._numbered(column["free"])
        heads = np.concatenate((z, a))[order]
        self.hot = np.column_stack((heads, self.arc_cls[arc], latency[arc], arc))
        self.live = np.column_stack((self.arc_hourly, self.arc_gbps, steps))
        logs = [np.minimum(_ints(column[name]), LOG_MAX) for name in ("jitter_us", "lost", "down")]
        shares = [_ints(column[name]) for name in ("delivered_ppb", "available_ppb")]
        self.cool = np.column_stack((*logs, *shares))
        self.ends = np.column_stack((a, z, self.arc_cls))
        self.inner = (a >= len(network.interfaces)) & (z >= len(network.interfaces))

    def _sides(self, network: Network) -> None:
        interfaces = network.interfaces
        speeds = _ints([interface.speed_bps for interface in interfaces])
        mtus = _ints([interface.mtu for interface in interfaces])
        frees = self._numbered([interface.free for interface in interfaces])
        self.sides = np.column_stack((speeds, mtus, frees))

    def _classes(self, network: Network) -> None:
        self.classes: tuple[ClassTerms, ...] = network.classes
        count = len(self.classes)
        self.set_up = _clipped([terms.set_up_micro for terms in self.classes])
        self.minimum = _clipped([terms.minimum_micro for terms in self.classes])
        self.term_s = _clipped([terms.minimum_term_s for terms in self.classes])
        self._rates(count)

    def _rates(self, count: int) -> None:
        self.usual: Floats = np.zeros((2, count))
        self.highest: Ints = np.zeros((2, count), np.int64)
        for row, rate in enumerate((self.arc_hourly, self.arc_gbps)):
            for many, inside in ((2, ~self.inner), (TYPICAL_ARCS, self.inner)):
                sums = np.bincount(self.arc_cls[inside], rate[inside].astype(np.float64), count)
                self.usual[row] += many * sums / np.maximum(1, np.bincount(self.arc_cls[inside], minlength=count))
            np.maximum.at(self.highest[row], self.arc_cls, rate)

    def _step_table(self) -> None:
        known = list(self._numbers)
        self.step_ptr = np.cumsum([0, *map(len, known)], dtype=np.int64)
        rows = [(clip(at), clip(bps)) for steps in known for at, bps in steps]
        self.step_rows = np.array(rows, dtype=np.int64).reshape(len(rows), 2)

    def _numbered(self, column: Iterable[Steps]) -> Ints:
        numbers = self._numbers
        return _ints([numbers.setdefault(steps, len(numbers)) for steps in column])


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _clipped(values: Iterable[int]) -> Ints:
    return np.array([clip(value) for value in values], dtype=np.int64)


def clip(value: int) -> int:
    """The nearest number that 64 bits hold with room for sums."""
    return max(-FAR_S, min(FAR_S, value))

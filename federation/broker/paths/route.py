"""What a search finds: a path as a buyer's broker can quote it, recomputed in exact integers from the offers used."""

from __future__ import annotations

from msgspec import Struct

from schemas.price import Money, Tariff
from schemas.segment import Promise


class RouteSegment(Struct, frozen=True, kw_only=True):
    """One operator's stretch: enters at interface `a`, leaves at `z`, over `offers` of one route class.

    `price` is in the operator's currency, `total` the same in the buyer's, rounded up.
    """

    operator: str
    route_class: str
    a: str
    z: str
    offers: tuple[str, ...]
    promise: Promise
    tariff: Tariff
    price: Money
    total: Money


class Route(Struct, frozen=True, kw_only=True):
    """Segments in order, UNI to UNI.

    A path of n segments has n + 1 places: its first UNI, its interconnects, its last UNI. `labels[i]` is the mask of
    labels free at place i, on both sides of an interconnect, and at every place that must share its value; `keeps[i]`
    says that segment i cannot swap, so that places i and i + 1 share one. `interconnect_us[i]` is the latency of the
    interconnect after segment i. `total_micro` is in the buyer's currency.
    """

    segments: tuple[RouteSegment, ...]
    labels: tuple[int, ...]
    keeps: tuple[bool, ...]
    interconnect_us: tuple[int, ...]
    promise: Promise
    total_micro: int

    @property
    def interfaces(self) -> tuple[tuple[str, str], ...]:
        """The (operator, interface) sequence by which two paths differ."""
        return tuple((s.operator, interface) for s in self.segments for interface in (s.a, s.z))

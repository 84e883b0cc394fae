"""A segment: one operator's stretch between two of its interfaces, as asked, quoted and ordered.

`Segment` is what the Sonata product configuration `urn:peerway:spec:segment:v1` describes. Bandwidth is bit/s,
latency and jitter are one-way microseconds, loss and availability parts per billion.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.boundary import Boundary

SEGMENT_URN: Final = "urn:peerway:spec:segment:v1"
PPB: Final = 10**9
BANDWIDTH_BPS_MAX: Final = 10**14
WINDOW_S_MAX: Final = 5 * 366 * 86400
_LONGEST: Final = timedelta(seconds=WINDOW_S_MAX)

Bps = Annotated[int, Meta(ge=1, le=BANDWIDTH_BPS_MAX)]
Mtu = Annotated[int, Meta(ge=64, le=65535)]
MICROS_MAX: Final = 10**10
Micros = Annotated[int, Meta(ge=0, le=MICROS_MAX)]
Ppb = Annotated[int, Meta(ge=0, le=PPB)]
Label = Annotated[int, Meta(ge=1, le=4094)]
Id = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9._:\-]+\Z")]
EntityId = Annotated[
    str, Meta(max_length=200, pattern=r"^https://[a-z0-9.\-]+(:[0-9]+)?(/[a-z0-9._~\-/]*[a-z0-9._~\-])?\Z")
]
Hash = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_\-]{43}\Z")]
Time = Annotated[datetime, Meta(tz=True)]


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """From `start` until `end` (not included), UTC, whole seconds."""

    start: Time
    end: Time

    def __post_init__(self) -> None:
        if self.start.microsecond or self.end.microsecond:
            raise ValueError("start and end must be whole seconds")
        if self.end <= self.start:
            raise ValueError("end must be later than start")
        if self.end - self.start > _LONGEST:
            raise ValueError("a window of more than five years is not sold")

    @property
    def start_s(self) -> int:
        """Start as a Unix second."""
        return int(self.start.timestamp())

    @property
    def end_s(self) -> int:
        """End as a Unix second."""
        return int(self.end.timestamp())

    @property
    def duration_s(self) -> int:
        """Length in seconds."""
        return self.end_s - self.start_s


def moment(unix_s: int) -> datetime:
    """A Unix second as an aware UTC datetime."""
    return datetime.fromtimestamp(unix_s, UTC)


def window(start_s: int, end_s: int) -> Window:
    """A window from Unix seconds."""
    return Window(moment(start_s), moment(end_s))


class Promise(Struct, frozen=True, forbid_unknown_fields=True):
    """What is promised of a stretch: worst-case jitter, mean loss, availability; carbon in mg CO2e per GB carried."""

    latency_us: Micros = 0
    jitter_us: Micros = 0
    loss_ppb: Ppb = 0
    availability_ppb: Ppb = PPB
    carbon_mg_gb: Micros = 0

    def then(self, following: Promise) -> Promise:
        """Both stretches in a row; loss rounded up and availability down, against the seller."""
        delivered = (PPB - self.loss_ppb) * (PPB - following.loss_ppb) // PPB
        return Promise(
            self.latency_us + following.latency_us,
            self.jitter_us + following.jitter_us,
            PPB - delivered,
            self.availability_ppb * following.availability_ppb // PPB,
            self.carbon_mg_gb + following.carbon_mg_gb,
        )


class Limits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hard limits on a promise: at most, or at least for availability; null means none. Units as in `Promise`."""

    latency_us: Micros | None = None
    jitter_us: Micros | None = None
    loss_ppb: Ppb | None = None
    availability_ppb: Ppb | None = None
    carbon_mg_gb: Micros | None = None

    def broken_by(self, promise: Promise) -> tuple[str, ...]:
        """Names of the limits that `promise` breaks."""
        upper = ("latency_us", "jitter_us", "loss_ppb", "carbon_mg_gb")
        broken = [n for n in upper if getattr(self, n) is not None and getattr(promise, n) > getattr(self, n)]
        if self.availability_ppb is not None and promise.availability_ppb < self.availability_ppb:
            broken.append("availability_ppb")
        return tuple(broken)


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """One end of a segment: an interface of the operator and the label asked for or held there."""

    interface: Id
    label: Label | None = None


class Segment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two ends, a bandwidth both ways, an MTU, a window, a route class; a boundary if what it carries is bounded.

    A boundary stands in the first and the last segment of a path alone, whose operators put it into force; its `a` is
    what lies beyond the segment's `a`.
    """

    a: End
    z: End
    bandwidth_bps: Bps
    mtu: Mtu = 1500
    window: Window
    route_class: Id = "any"
    boundary: Boundary | None = None

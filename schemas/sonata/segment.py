"""The product configuration `urn:peerway:spec:segment:v1`: a segment as Sonata carries it, with our documents in it.

The buyer sends the segment, and `rfq` or `order` if it speaks Peerway; the seller echoes that unchanged and adds
`quote` or `receipt`. A release needs no segment: the product is named beside. `jsonschema/segment.v1.json` says the
same to everyone else.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field, structs

from schemas.boundary import FLOWS_MAX, PREFIXES_MAX, Boundary, Flow, PortRange, Prefix
from schemas.problem import invalid
from schemas.segment import Bps, End, Id, Label, Limits, Micros, Mtu, Ppb, Segment, Time, Window

# Equal to schemas.segment.SEGMENT_URN, spelled out because a Literal must be; a test compares them.
Urn = Literal["urn:peerway:spec:segment:v1"]
URN: Final[Urn] = "urn:peerway:spec:segment:v1"
# Id of the product offering under which a seller sells segments, unless its configuration says another.
OFFERING: Final = "segment"
MTU_DEFAULT: Final = 1500
ROUTE_CLASS_DEFAULT: Final = "any"
JWS_CHARS_MAX: Final = 16 * 1024
JWS_PATTERN: Final = r"^[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\Z"
Jws = Annotated[str, Meta(max_length=JWS_CHARS_MAX, pattern=JWS_PATTERN)]
NO_LIMITS: Final = Limits()
T = TypeVar("T")


class ConfiguredEnd(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """One end: an interface of the seller, and the label wanted there; without one the seller picks."""

    interface: Id
    label: Label | UnsetType = UNSET


class ConfiguredLimits(Struct, rename="camel", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hard limits on what the seller promises: at most, or at least for availability."""

    latency_us: Micros | UnsetType = UNSET
    jitter_us: Micros | UnsetType = UNSET
    loss_ppb: Ppb | UnsetType = UNSET
    availability_ppb: Ppb | UnsetType = UNSET
    carbon_mg_gb: Micros | UnsetType = UNSET


class ConfiguredFlow(Struct, rename="camel", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Traffic between prefixes beyond `a` and prefixes beyond `z`, both ways; `ports` are those of the `z` end."""

    a: Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=PREFIXES_MAX)]
    z: Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=PREFIXES_MAX)]
    protocol: Literal["any", "tcp", "udp", "sctp"] | UnsetType = UNSET
    ports: Annotated[tuple[PortRange, ...], Meta(max_length=PREFIXES_MAX)] | UnsetType = UNSET


class ConfiguredBoundary(Struct, rename="camel", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the segment may carry: these flows and nothing else, and at most so many bytes in all."""

    flows: Annotated[tuple[ConfiguredFlow, ...], Meta(max_length=FLOWS_MAX)] | UnsetType = UNSET
    bytes_max: Annotated[int, Meta(ge=1, le=10**18)] | UnsetType = UNSET


class SegmentConfiguration(Struct, rename="camel", frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The configuration of a segment, or, with its members left out, of the release of one.

    `mtu` is 1500 and `route_class` is any where left out. `quote` and `receipt` are set by the seller alone.
    """

    type_: Urn = field(name="@type")
    a: ConfiguredEnd | UnsetType = UNSET
    z: ConfiguredEnd | UnsetType = UNSET
    bandwidth_bps: Bps | UnsetType = UNSET
    mtu: Mtu | UnsetType = UNSET
    start: Time | UnsetType = UNSET
    end: Time | UnsetType = UNSET
    route_class: Id | UnsetType = UNSET
    boundary: ConfiguredBoundary | UnsetType = UNSET
    limits: ConfiguredLimits | UnsetType = UNSET
    rfq: Jws | UnsetType = UNSET
    order: Jws | UnsetType = UNSET
    quote: Jws | UnsetType = UNSET
    receipt: Jws | UnsetType = UNSET


def configuration(
    segment: Segment,
    limits: Limits = NO_LIMITS,
    *,
    rfq: str | None = None,
    order: str | None = None,
    receipt: str | None = None,
) -> SegmentConfiguration:
    """How `segment` is written, with the documents that are there."""
    return SegmentConfiguration(
        type_=URN,
        a=_written_end(segment.a),
        z=_written_end(segment.z),
        bandwidth_bps=segment.bandwidth_bps,
        mtu=segment.mtu,
        start=segment.window.start,
        end=segment.window.end,
        route_class=segment.route_class,
        boundary=UNSET if segment.boundary is None else _written_boundary(segment.boundary),
        limits=_written_limits(limits),
        rfq=UNSET if rfq is None else rfq,
        order=UNSET if order is None else order,
        receipt=UNSET if receipt is None else receipt,
    )


def release_configuration(order: str) -> SegmentConfiguration:
    """How the release of a product is written: its `order+jwt` alone."""
    return SegmentConfiguration(type_=URN, order=order)


def missing(written: SegmentConfiguration) -> tuple[str, ...]:
    """Names, as on the wire, of the members that a segment needs and `written` lacks."""
    needed = {
        "a": written.a,
        "z": written.z,
        "bandwidthBps": written.bandwidth_bps,
        "start": written.start,
        "end": written.end,
    }
    return tuple(name for name, value in needed.items() if value is UNSET)


def segment_of(written: SegmentConfiguration) -> Segment:
    """The segment that `written`, of which nothing is missing, describes. Raises `Problem` on a window or a boundary
    that is none."""
    return Segment(
        a=_end(_given(written.a)),
        z=_end(_given(written.z)),
        bandwidth_bps=_given(written.bandwidth_bps),
        mtu=MTU_DEFAULT if written.mtu is UNSET else written.mtu,
        window=_window(written),
        route_class=ROUTE_CLASS_DEFAULT if written.route_class is UNSET else written.route_class,
        boundary=None if written.boundary is UNSET else _boundary(written.boundary),
    )


def limits_of(written: SegmentConfiguration) -> Limits:
    """The limits that `written` sets."""
    if written.limits is UNSET:
        return Limits()
    return Limits(**{name: value for name, value in structs.asdict(written.limits).items() if value is not UNSET})


def given_or_none(value: T | UnsetType) -> T | None:
    """A member, or None where it was left out."""
    return None if value is UNSET else value


def _given(value: T | UnsetType) -> T:
    assert value is not UNSET, "ask `missing` first"
    return value


def _window(written: SegmentConfiguration) -> Window:
    try:
        return Window(_given(written.start), _given(written.end))
    except ValueError as error:
        raise invalid("segment.window", str(error)) from error


def _boundary(written: ConfiguredBoundary) -> Boundary:
    try:
        flows = () if written.flows is UNSET else tuple(_flow(flow) for flow in written.flows)
        return Boundary(flows=flows, bytes_max=given_or_none(written.bytes_max))
    except ValueError as error:
        raise invalid("segment.boundary", str(error)) from error


def _flow(written: ConfiguredFlow) -> Flow:
    return Flow(
        a=written.a,
        z=written.z,
        protocol="any" if written.protocol is UNSET else written.protocol,
        ports=() if written.ports is UNSET else written.ports,
    )


def _end(written: ConfiguredEnd) -> End:
    return End(written.interface, given_or_none(written.label))


def _written_end(end: End) -> ConfiguredEnd:
    return ConfiguredEnd(end.interface, UNSET if end.label is None else end.label)


def _written_boundary(boundary: Boundary) -> ConfiguredBoundary:
    flows = tuple(
        ConfiguredFlow(
            a=flow.a,
            z=flow.z,
            protocol=UNSET if flow.protocol == "any" else flow.protocol,
            ports=flow.ports or UNSET,
        )
        for flow in boundary.flows
    )
    return ConfiguredBoundary(
        flows=flows or UNSET, bytes_max=UNSET if boundary.bytes_max is None else boundary.bytes_max
    )


def _written_limits(limits: Limits) -> ConfiguredLimits | UnsetType:
    named = {name: value for name, value in structs.asdict(limits).items() if value is not None}
    return ConfiguredLimits(**named) if named else UNSET

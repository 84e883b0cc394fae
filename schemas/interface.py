"""Interfaces and interconnects: where a segment may begin or end, and where two operators meet.

An interconnect exists only where the declarations of both sides name each other. Coordinates are millionths of a
degree, so that signed data hold integers only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.segment import Bps, EntityId, Id, Micros, Mtu

CAPABILITIES_MAX: Final = 16
Capabilities = Annotated[tuple[Id, ...], Meta(max_length=CAPABILITIES_MAX)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")]


class InterfaceKind(StrEnum):
    """A UNI is a customer site, cloud on-ramp, edge or GPU site; an ENNI is a meeting point of two operators."""

    UNI = "uni"
    ENNI = "enni"


class Peer(Struct, frozen=True, forbid_unknown_fields=True):
    """The interface on the other side of an ENNI: the operator's entity id and its interface id."""

    entity: EntityId
    interface: Id


class Interface(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="interface", tag_field="kind_of"):
    """An interface as published in an offer sheet.

    `capabilities` say what a UNI leads to: `gpu`, `edge`, `on-ramp:` and a cloud's name; the operator's own word.

    `labels` are those free over the whole calendar horizon; `free` the capacity left, as steps of (Unix second,
    bit/s), rounded down. `latency_us` of an ENNI is the one-way latency of the interconnect beyond it.
    """

    id: Id
    kind: InterfaceKind
    name: str
    city: str
    country: Country
    lat_udeg: Annotated[int, Meta(ge=-90_000_000, le=90_000_000)]
    lon_udeg: Annotated[int, Meta(ge=-180_000_000, le=180_000_000)]
    speed_bps: Bps
    mtu: Mtu
    labels: str
    swap: bool = True
    owner: EntityId | None = None
    peer: Peer | None = None
    latency_us: Micros = 0
    free: tuple[tuple[int, int], ...] = ()
    capabilities: Capabilities = ()

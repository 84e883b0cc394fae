"""The footprint file: an operator's network as its daemon reads it, in JSON that a person can edit.

Coordinates are decimal degrees (the file is local and unsigned). A link without `km` gets the great circle
between its PoPs; without `latency_us` it gets what fibre needs for 1.3 times that length at 200,000 km/s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Annotated, Final

from msgspec import Meta, Struct, structs

from operators.inventory.reading import decode
from schemas import labels
from schemas.interface import Capabilities, Country
from schemas.place import great_circle_km
from schemas.problem import Problem, invalid
from schemas.segment import Bps, EntityId, Id, Micros, Mtu

VERSION: Final = 1
FIBRE_US_PER_KM: Final = 1.3 / 0.2  # the cable runs 1.3 times the great circle, light in glass covers 0.2 km/us

Km = Annotated[int, Meta(ge=0, le=100_000)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Prose = Annotated[str, Meta(max_length=1000)]


class Pop(Struct, frozen=True, forbid_unknown_fields=True):
    """A point of presence; `country` is what the operator says of it, never evidence."""

    id: Id
    name: Text
    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    country: Country


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """An internal stretch between two PoPs, the same both ways; `measured` if length and latency were."""

    id: Id
    a: Id
    z: Id
    capacity_bps: Bps
    km: Km = 0  # 0 or absent in the file: derived
    latency_us: Micros = 0  # 0 or absent in the file: derived
    measured: bool = False


class Uni(Struct, frozen=True, forbid_unknown_fields=True):
    """A customer edge; `owner` (an entity id) decides who may connect there. `capabilities` say what it leads to."""

    id: Id
    pop: Id
    name: Text
    owner: EntityId
    speed_bps: Bps
    mtu: Mtu
    labels: str
    swap: bool = True
    capabilities: Capabilities = ()


class Enni(Struct, frozen=True, forbid_unknown_fields=True):
    """Our side of an interconnect; it exists only where the peer's file names us back."""

    id: Id
    pop: Id
    peer_entity: EntityId
    peer_interface: Id
    speed_bps: Bps
    mtu: Mtu
    labels: str
    swap: bool = True
    latency_us: Micros = 0


class Footprint(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole network. `measured` and `invented` say in a sentence each what is known and what is made up."""

    v: int = VERSION
    source: Prose
    entity: EntityId
    measured: Prose
    invented: Prose
    pops: tuple[Pop, ...]
    links: tuple[Link, ...]
    unis: tuple[Uni, ...]
    ennis: tuple[Enni, ...]

    @property
    def interfaces(self) -> tuple[Uni | Enni, ...]:
        """Every interface, UNIs first."""
        return self.unis + self.ennis


def fibre_us(km: float) -> int:
    """Microseconds one way over a great-circle distance by fibre, rounded up, at least 1."""
    return max(1, math.ceil(km * FIBRE_US_PER_KM))


def cable_km(a: Pop, z: Pop) -> int:
    """Whole kilometres between two PoPs, rounded up, at least 1."""
    return max(1, math.ceil(great_circle_km(a.lat, a.lon, z.lat, z.lon)))


def load(data: bytes, name: str) -> Footprint:
    """Read a footprint and derive what its links leave out.

    `name` is the file's name for messages. Raises `Problem` naming the file and the field at fault.
    """
    footprint = decode(data, Footprint, name)
    for field, why in faults(footprint):
        raise invalid(f"{name}: {field}", why)
    pops = {pop.id: pop for pop in footprint.pops}
    return structs.replace(footprint, links=tuple(_derived(link, pops) for link in footprint.links))


def dump(footprint: Footprint) -> bytes:
    """The file's bytes: one member per line, and in the four lists one item per line."""
    members = (f"{json.dumps(key)}: {_member(value)}" for key, value in structs.asdict(footprint).items())
    return ("{\n" + ",\n".join(members) + "\n}\n").encode()


def faults(footprint: Footprint) -> Iterator[tuple[str, str]]:
    """(field, why) for everything that the types alone do not catch."""
    if footprint.v != VERSION:
        yield "v", f"is {footprint.v}; this version reads {VERSION}"
    if not footprint.pops:
        yield "pops", "is empty; a network has at least one PoP"
    yield from _repeated(pops=footprint.pops)
    yield from _repeated(links=footprint.links, unis=footprint.unis, ennis=footprint.ennis)
    yield from _link_faults(footprint)
    yield from _interface_faults(footprint)


def _repeated(**lists: Sequence[Pop | Link | Uni | Enni]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for name, items in lists.items():
        for index, item in enumerate(items):
            place = seen.setdefault(item.id, f"{name}[{index}]")
            if place != f"{name}[{index}]":
                yield f"{name}[{index}].id", f"'{item.id}' is already the id of {place}; ids are unique"


def _link_faults(footprint: Footprint) -> Iterator[tuple[str, str]]:
    pops = {pop.id for pop in footprint.pops}
    for index, link in enumerate(footprint.links):
        if link.a == link.z:
            yield f"links[{index}].z", f"is '{link.z}' like a; a link joins two different PoPs"
        for end in ("a", "z"):
            yield from _pop_fault(f"links[{index}].{end}", getattr(link, end), pops)


def _interface_faults(footprint: Footprint) -> Iterator[tuple[str, str]]:
    pops = {pop.id for pop in footprint.pops}
    places = [f"unis[{index}]" for index in range(len(footprint.unis))]
    places += [f"ennis[{index}]" for index in range(len(footprint.ennis))]
    for place, interface in zip(places, footprint.interfaces, strict=True):
        yield from _pop_fault(f"{place}.pop", interface.pop, pops)
        yield from _label_fault(f"{place}.labels", interface.labels)
    for index, enni in enumerate(footprint.ennis):
        if enni.peer_entity == footprint.entity:
            yield f"ennis[{index}].peer_entity", "is this operator itself; an ENNI leads to another one"


def _pop_fault(field: str, pop: str, pops: Set[str]) -> Iterator[tuple[str, str]]:
    if pop not in pops:
        yield field, f"'{pop}' is not the id of any PoP in pops"


def _label_fault(field: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        if not labels.parse(text):
            yield field, "is empty; write for example 2-4094"
    except Problem as problem:
        yield field, problem.detail


def _derived(link: Link, pops: Mapping[str, Pop]) -> Link:
    km = link.km or cable_km(pops[link.a], pops[link.z])
    return structs.replace(link, km=km, latency_us=link.latency_us or fibre_us(km))


def _member(value: object) -> str:
    if not isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    if not value:
        return "[]"
    return "[\n" + ",\n".join(json.dumps(structs.asdict(item), ensure_ascii=False) for item in value) + "\n]"

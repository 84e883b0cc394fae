"""Small footprints for tests: PoPs on a map, links between them, an interface where needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from operators.inventory.footprint import Enni, Footprint, Link, Pop, Uni

GBPS = 10**9
ENTITY = "https://as1.example"
PEER = "https://as2.example"


def pop(pop_id: str, lat: float = 50.0, lon: float = 5.0, country: str = "NL") -> Pop:
    return Pop(pop_id, pop_id.title(), lat, lon, country)


def link(a: str, z: str, latency_us: int = 100, km: int = 10, name: str | None = None) -> Link:
    return Link(name or f"link-{a}--{z}", a, z, 400 * GBPS, km, latency_us)


def uni(pop_id: str, labels: str = "2-4094") -> Uni:
    return Uni(f"uni-{pop_id}", pop_id, pop_id.title(), ENTITY, 100 * GBPS, 9000, labels)


def enni(pop_id: str, peer_pop: str = "x", labels: str = "2-4094") -> Enni:
    mine, theirs = f"enni-{pop_id}--as2-{peer_pop}", f"enni-{peer_pop}--as1-{pop_id}"
    return Enni(mine, pop_id, PEER, theirs, 100 * GBPS, 9000, labels, latency_us=7)


def footprint(
    countries: Mapping[str, str] | Iterable[str],
    links: Iterable[Link] = (),
    unis: Iterable[Uni] = (),
    ennis: Iterable[Enni] = (),
) -> Footprint:
    """A network of PoPs by id; a mapping gives their countries, otherwise all are in NL."""
    given = countries if isinstance(countries, Mapping) else dict.fromkeys(countries, "NL")
    return Footprint(
        source="drawn for a test",
        entity=ENTITY,
        measured="Nothing.",
        invented="Everything.",
        pops=tuple(pop(name, 50 + index / 10, 5, country) for index, (name, country) in enumerate(given.items())),
        links=tuple(links),
        unis=tuple(unis),
        ennis=tuple(ennis),
    )

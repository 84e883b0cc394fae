"""A first footprint, drafted from a published topology; what is invented in it says so.

Every name and every pair of PoPs follows from the sources alone, so operators that draft separately agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from operators.inventory.footprint import Enni, Footprint, Link, Pop, Uni, cable_km, fibre_us
from operators.inventory.meeting import Meeting, Pair, meetings
from operators.inventory.naming import enni_id, peer_slug, slug, unique
from schemas.place import great_circle_km
from schemas.problem import invalid

GBPS: Final = 10**9
INVENTED: Final = (
    "Capacities, cable lengths and latencies (great circle x 1.3 at 200,000 km/s), MTUs, labels, every UNI "
    "and its owner, and with whom this operator interconnects where. Countries are those of the nearest town: "
    "a guess for the operator to correct."
)


class Site(NamedTuple):
    """A place of a published topology, decimal degrees; the name may be empty."""

    name: str
    lat: float
    lon: float


class Survey(NamedTuple):
    """A published topology: its places, which of them are joined (by index), and where that is known from."""

    source: str
    sites: tuple[Site, ...]
    joins: tuple[tuple[int, int], ...]
    measured: str


class Town(NamedTuple):
    """The town nearest to a site, and its country (ISO 3166-1 alpha-2)."""

    name: str
    country: str


class Party(NamedTuple):
    """An operator to draft for: its survey, the towns near its sites, who it is, and who owns its UNIs."""

    survey: Survey
    towns: tuple[Town, ...]
    entity: str
    uni_owner: str


class Terms(NamedTuple):
    """What the survey does not tell, in bit/s and km."""

    metro_km: int = 60
    capacity_bps: int = 400 * GBPS
    enni_bps: int = 100 * GBPS
    uni_bps: int = 100 * GBPS
    mtu: int = 9000
    labels: str = "2-4094"


def draft(parties: Sequence[Party], terms: Terms, wanted: Sequence[int] | None = None) -> list[Footprint]:
    """Footprints of the `wanted` parties (by position; all by default), each interconnecting with all others.

    Raises `Problem` when two parties cannot be told apart.
    """
    _distinct(parties)
    networks = [pops_of(party) for party in parties]
    met = meetings(networks, terms.metro_km)
    return [
        _footprint(parties[index], networks[index], _ennis(index, parties, met, terms), terms)
        for index in (range(len(parties)) if wanted is None else wanted)
    ]


def pops_of(party: Party) -> tuple[Pop, ...]:
    """PoPs of a party in the order of its sites; ids do not depend on that order."""
    sites = party.survey.sites
    names = [site.name or town.name for site, town in zip(sites, party.towns, strict=True)]
    order = sorted(range(len(sites)), key=lambda index: (names[index], sites[index].lat, sites[index].lon))
    ids = dict(zip(order, unique(slug(names[index]) for index in order), strict=True))
    return tuple(
        Pop(ids[index], names[index], site.lat, site.lon, party.towns[index].country)
        for index, site in enumerate(sites)
    )


def _distinct(parties: Sequence[Party]) -> None:
    """Interface ids name a peer by its slug, so slugs must differ as well as entity ids."""
    by_slug: dict[str, str] = {}
    for party in parties:
        name = peer_slug(party.entity)
        other = by_slug.get(name)
        if other == party.entity:
            raise invalid("entity", f"{other} is named more than once; an operator does not peer with itself")
        if other is not None:
            why = f"{other} and {party.entity} would both be '{name}' in interface ids"
            raise invalid("entity", f"{why}; give entity ids whose host names begin differently")
        by_slug[name] = party.entity


def _footprint(party: Party, pops: Sequence[Pop], ennis: tuple[Enni, ...], terms: Terms) -> Footprint:
    return Footprint(
        source=party.survey.source,
        entity=party.entity,
        measured=party.survey.measured,
        invented=INVENTED,
        pops=tuple(pops),
        links=_links(pops, party.survey.joins, terms),
        unis=tuple(_uni(pop, party.uni_owner, terms) for pop in pops),
        ennis=ennis,
    )


def _links(pops: Sequence[Pop], joins: Sequence[tuple[int, int]], terms: Terms) -> tuple[Link, ...]:
    """One link per joined pair: a place joined to itself is no link, and one told twice is one."""
    pairs = {tuple(sorted((pops[a].id, pops[z].id))): (pops[a], pops[z]) for a, z in joins if a != z}
    return tuple(_link(f"link-{a}--{z}", *pair, terms) for (a, z), pair in sorted(pairs.items()))


def _link(link_id: str, a: Pop, z: Pop, terms: Terms) -> Link:
    km = cable_km(a, z)
    return Link(link_id, a.id, z.id, terms.capacity_bps, km, fibre_us(km), measured=False)


def _uni(pop: Pop, owner: str, terms: Terms) -> Uni:
    return Uni(f"uni-{pop.id}", pop.id, pop.name, owner, terms.uni_bps, terms.mtu, terms.labels)


def _ennis(
    index: int, parties: Sequence[Party], met: Mapping[Pair, Sequence[Meeting]], terms: Terms
) -> tuple[Enni, ...]:
    """ENNIs of one party towards every other, in the order of the parties."""
    ennis: list[Enni] = []
    for other in range(len(parties)):
        pair = (min(index, other), max(index, other))
        for meeting in met.get(pair, ()):
            mine, theirs = meeting if index < other else reversed(meeting)
            ennis.append(_enni(parties[index].entity, parties[other].entity, mine, theirs, terms))
    return tuple(ennis)


def _enni(me: str, peer: str, mine: Pop, theirs: Pop, terms: Terms) -> Enni:
    """Our side of an interconnect between two entities, with the id that the peer's file has for its side."""
    return Enni(
        enni_id(mine.id, peer_slug(peer), theirs.id),
        mine.id,
        peer,
        enni_id(theirs.id, peer_slug(me), mine.id),
        terms.enni_bps,
        terms.mtu,
        terms.labels,
        latency_us=fibre_us(great_circle_km(mine.lat, mine.lon, theirs.lat, theirs.lon)),
    )

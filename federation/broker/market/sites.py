"""What operators say of their places and latencies, held against auditors and the speed of light.

Where an auditor attests a site, that counts and not what the operator's sheet says; a sheet that contradicts it is a
lie about something else too, so no policy permits its operator. A promise below what light needs is refused, whoever
makes it. Nothing here proves a promise: it can only be contradicted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.market.asking import Doubt, Facts
from federation.broker.market.words import milliseconds
from federation.broker.paths.route import Route, RouteSegment
from schemas.answer import Exclusion
from schemas.interface import Interface
from schemas.jurisdiction import Attestation, AttestedPlace
from schemas.place import great_circle_km, light_floor_us
from schemas.segment import EntityId, Id, Promise

DEGREE: Final = 1_000_000
APART_KM_MAX: Final = 25.0  # between two surveys of one site: a campus is wide, and a city is not two sites
RULE: Final = "plausibility"
Told = Callable[[EntityId, str], object]
Sheets = Callable[[], Mapping[str, OperatorSheet]]


def untold(entity: EntityId, why: str) -> None:
    """Where nobody keeps a record of contradictions."""


class Standpoint(NamedTuple):
    """Where an interface is, and whether an auditor says so."""

    city: str
    place: AttestedPlace
    attested: bool

    def __str__(self) -> str:
        return f"{self.city} ({'as attested' if self.attested else 'as declared'})"


class _Seen(NamedTuple):
    sheet: OperatorSheet
    facts: Attestation
    contradictions: tuple[str, ...]


class Sites:
    """Asked about operators as they publish and are attested now; `told` hears of each new contradiction once."""

    def __init__(self, sheets: Sheets, facts: Facts, told: Told = untold) -> None:
        self._sheets, self._facts, self._told = sheets, facts, told
        self._seen: dict[EntityId, _Seen] = {}

    def agree(self, entity: EntityId) -> bool:
        """Whether nothing that an operator says of its sites contradicts an auditor."""
        sheet, facts = self._sheets().get(entity), self._facts(entity)
        if sheet is None or facts is None or not facts.sites:
            return True
        seen = self._seen.get(entity)
        if seen is None or seen.sheet is not sheet or seen.facts is not facts:
            found, before = tuple(contradictions(sheet, facts)), seen.contradictions if seen else ()
            self._seen[entity] = _Seen(sheet, facts, found)
            for why in found:
                if why not in before:
                    self._told(entity, why)
        return not self._seen[entity].contradictions

    def where(self, entity: EntityId, interface: Id) -> Standpoint | None:
        """Where an interface of an operator is; nowhere once it is not published."""
        sheet, facts = self._sheets().get(entity), self._facts(entity)
        found = None if sheet is None else sheet.interfaces.get(interface)
        if found is None:
            return None
        attested = facts is not None and attested_place(found, facts) is not None
        return Standpoint(found.city, place_of(found, facts), attested)

    def doubt(self, entity: EntityId, a: Id, z: Id, promise: Promise) -> str | None:
        """Why nobody can keep a promise between two interfaces of an operator, if light itself could not."""
        sheet = self._sheets().get(entity)
        ends = [] if sheet is None else [sheet.interfaces[name] for name in (a, z) if name in sheet.interfaces]
        if len(ends) < 2:
            return None
        facts = self._facts(entity)
        floor = floor_us(*(place_of(end, facts) for end in ends))
        if promise.latency_us >= floor:
            return None
        where = f"{ends[0].city} and {ends[1].city}"
        return f"promises {milliseconds(promise.latency_us)} between {where}, where light needs {milliseconds(floor)}"


def doubted(routes: Iterable[Route], doubt: Doubt) -> tuple[tuple[RouteSegment, str], ...]:
    """The segments of some routes that are promised faster than light, each with the reason."""
    segments = {(one.operator, one.offers): one for route in routes for one in route.segments}
    found = ((one, doubt(one.operator, one.a, one.z, one.promise)) for one in segments.values())
    return tuple((one, why) for one, why in found if why is not None)


def contradictions(sheet: OperatorSheet, facts: Attestation) -> Iterator[str]:
    """What a sheet says of attested sites that an auditor found otherwise."""
    for interface in sheet.interfaces.values():
        attested = attested_place(interface, facts)
        if attested is None:
            continue
        if interface.country != attested.country:
            yield f"{interface.id} is said to be in {interface.country}, and an auditor found it in {attested.country}"
        elif (km := _km(declared_place(interface), attested)) > APART_KM_MAX:
            yield f"{interface.id} is said to be {km:.0f} km from where an auditor found it"


def place_of(interface: Interface, facts: Attestation | None) -> AttestedPlace:
    """Where an interface is: as an auditor found it, otherwise as its operator says."""
    attested = None if facts is None else attested_place(interface, facts)
    return declared_place(interface) if attested is None else attested


def attested_place(interface: Interface, facts: Attestation) -> AttestedPlace | None:
    """Where an auditor found an interface, by its id or by the name of its site."""
    return facts.sites.get(interface.id) or facts.sites.get(interface.name)


def declared_place(interface: Interface) -> AttestedPlace:
    """Where its operator says that an interface is."""
    return AttestedPlace(country=interface.country, lat_e6=interface.lat_udeg, lon_e6=interface.lon_udeg)


def floor_us(a: AttestedPlace, z: AttestedPlace) -> int:
    """Microseconds that light in vacuum needs between two places, one way."""
    return light_floor_us(_km(a, z))


def contradicts(measured_us: int, a: AttestedPlace, z: AttestedPlace) -> bool:
    """Whether a measured one-way latency shows that two places are not where they are said to be.

    Only this way round: light is slower in glass, and no path is straight, so a latency that fits shows nothing.
    """
    return measured_us < floor_us(a, z)


def exclusions(doubts: Iterable[tuple[RouteSegment, str]], roster: Mapping[str, str]) -> Iterator[Exclusion]:
    """Doubts as the buyer is told them."""
    for one, why in doubts:
        name = roster.get(one.operator, one.operator)
        yield Exclusion(operator=one.operator, operator_name=name, rule=RULE, detail=why, route_class=one.route_class)


@lru_cache(maxsize=16_384)
def _km(a: AttestedPlace, z: AttestedPlace) -> float:
    return great_circle_km(a.lat_e6 / DEGREE, a.lon_e6 / DEGREE, z.lat_e6 / DEGREE, z.lon_e6 / DEGREE)

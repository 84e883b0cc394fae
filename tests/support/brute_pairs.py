"""The best pair of paths that share nothing, by trying every pair. Reads sheets and schemas only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from random import Random
from typing import NamedTuple

from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.query import Query
from schemas.backup import Apart
from tests.support.brute_paths import Piece, Walk

Sheets = Mapping[str, OperatorSheet]
Key = tuple[int, int]
Thing = tuple[object, ...]


class Tried(NamedTuple):
    """The sum of the best pair, and of the pair whose primary is the best path (the best of those, where several are).

    None where there is no such pair.
    """

    best: Key | None
    greedy: Key | None


def scattered(rng: Random, sheets: Sheets) -> dict[str, OperatorSheet]:
    """The same federation with interfaces in a dozen cities of two sites each, most of them unlike their neighbours."""
    placed = {}
    for entity, sheet in sheets.items():
        moved = {}
        for name, interface in sheet.interfaces.items():
            city, site = rng.randrange(16), rng.randrange(2)
            moved[name] = structs.replace(
                interface,
                city=rng.choice((f"City {city}", f"city  {city} ")),
                lat_udeg=50_000_000 + 10_000 * city + rng.randrange(-400, 400),
                lon_udeg=5_000_000 + 10_000 * site,
            )
        placed[entity] = structs.replace(sheet, interfaces=moved)
    return placed


def tried(
    sheets: Sheets, query: Query, apart: Apart, ways: tuple[list[Walk], list[Walk]], key: Callable[[Walk], Key]
) -> Tried:
    """Every primary with every backup; both lists keep their limits."""
    exempt = unavoidable(sheets, query)
    have = {id(walk): things(sheets, walk, apart) - exempt for walks in ways for walk in walks}
    first, second = (sorted(walks, key=key) for walks in ways)
    best = greedy = None
    for one in first:
        for other in second:
            total = _added(key(one), key(other))
            if best is not None and total >= best and key(one) > key(first[0]):
                break
            if not have[id(one)] & have[id(other)]:
                best = total if best is None else min(best, total)
                if key(one) == key(first[0]):
                    greedy = total if greedy is None else min(greedy, total)
                break
    return Tried(best, greedy)


def _added(one: Key, other: Key) -> Key:
    return one[0] + other[0], one[1] + other[1]


def always(sheets: Sheets, query: Query, apart: Apart, walks: Iterable[Walk]) -> set[Thing]:
    """What all of some paths use."""
    each = [things(sheets, walk, apart) for walk in walks]
    return set.intersection(*each) - unavoidable(sheets, query)


def things(sheets: Sheets, walk: Walk, apart: Apart) -> set[Thing]:
    """What a path must not have in common with another one."""
    return set(_things(sheets, walk.pieces, apart))


def _things(sheets: Sheets, pieces: tuple[Piece, ...], apart: Apart) -> Iterator[Thing]:
    for ours, theirs in pairwise(pieces):
        yield "interconnect", frozenset({(ours.operator, ours.z), (theirs.operator, theirs.a)})
    for piece in pieces:
        sheet = sheets[piece.operator]
        yield "segment", piece.operator, piece.route_class, frozenset({piece.a, piece.z})
        ends = sheet.interfaces[piece.a], sheet.interfaces[piece.z]
        match apart:
            case Apart.OPERATOR:
                yield "operator", piece.operator
            case Apart.CITY:
                yield from (("city", end.country, end.city.lower().replace(" ", "")) for end in ends)
            case Apart.SITE:
                yield from (("site", (end.lat_udeg + 500) // 1000, (end.lon_udeg + 500) // 1000) for end in ends)
            case Apart.SEGMENT:
                for offer in piece.offers:
                    if offer.a in sheet.nodes or offer.z in sheet.nodes:
                        yield "stretch", piece.operator, frozenset({offer.a, offer.z})


def unavoidable(sheets: Sheets, query: Query) -> set[Thing]:
    """What the ends leave no choice about."""
    found: set[Thing] = set()
    for ends in (query.sources, query.targets):
        unis = {(entity, name) for entity, name in ends if entity in sheets and name in sheets[entity].interfaces}
        for kind in ("operator", "city", "site"):
            common = {_at(sheets, end, kind) for end in unis}
            if len(common) == 1:
                found |= common
        for entity, name in unis:
            points = {o.z if o.a == name else o.a for o in _sold(sheets[entity]) if name in (o.a, o.z)}
            if len(points) == 1 and points <= sheets[entity].nodes:
                found.add(("stretch", entity, frozenset({name, *points})))
    return found


def _sold(sheet: OperatorSheet) -> Iterator[object]:
    known = sheet.nodes | sheet.interfaces.keys()
    for offer in sheet.offers.values():
        if {offer.a, offer.z} <= known and offer.a != offer.z and offer.route_class in sheet.classes:
            yield offer


def _at(sheets: Sheets, end: tuple[str, str], kind: str) -> Thing:
    interface = sheets[end[0]].interfaces[end[1]]
    if kind == "operator":
        return "operator", end[0]
    if kind == "city":
        return "city", interface.country, interface.city.lower().replace(" ", "")
    return "site", (interface.lat_udeg + 500) // 1000, (interface.lon_udeg + 500) // 1000

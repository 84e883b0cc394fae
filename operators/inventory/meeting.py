"""Where two networks may meet: PoPs that are each other's nearest in the other network, within one metro.

Mutual nearness makes the answer the same from either side, so two operators that draft alone draft the same
pairs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from operators.inventory.footprint import Pop
from schemas.place import EARTH_RADIUS_KM, great_circle_km

Cell = tuple[int, int, int]
Pair = tuple[int, int]


class Meeting(NamedTuple):
    """A PoP of one network and a PoP of another."""

    a: Pop
    z: Pop


class _Site(NamedTuple):
    network: int
    pop: Pop


class _Nearest(NamedTuple):
    """Equal distances are settled by the smaller PoP id."""

    km: float
    pop: Pop


def meetings(networks: Sequence[Sequence[Pop]], metro_km: float) -> dict[Pair, list[Meeting]]:
    """Meetings of every two networks (i < j, by position) that have any, in the order of the PoPs of i."""
    cells = _cells(networks, metro_km)
    nearest = {
        (network, pop.id): _nearest(_Site(network, pop), cells, metro_km)
        for network, pops in enumerate(networks)
        for pop in pops
    }
    found: dict[Pair, list[Meeting]] = defaultdict(list)
    for network, pops in enumerate(networks):
        for pop in pops:
            for other, there in nearest[network, pop.id].items():
                back = nearest[other, there.pop.id].get(network)
                if network < other and back is not None and back.pop.id == pop.id:
                    found[network, other].append(Meeting(pop, there.pop))
    return dict(found)


def _nearest(site: _Site, cells: Mapping[Cell, Sequence[_Site]], metro_km: float) -> dict[int, _Nearest]:
    """By network, the PoP nearest to a site, where there is one within the metro."""
    nearest: dict[int, _Nearest] = {}
    here = site.pop
    for network, there in _around(here, cells, metro_km):
        km = great_circle_km(here.lat, here.lon, there.lat, there.lon)
        if network == site.network or km > metro_km:
            continue
        known = nearest.get(network)
        if known is None or (km, there.id) < (known.km, known.pop.id):
            nearest[network] = _Nearest(km, there)
    return nearest


def _cells(networks: Sequence[Sequence[Pop]], metro_km: float) -> dict[Cell, list[_Site]]:
    """Sites by cube of space, as wide as a metro: a metro never leaves the neighbouring cubes."""
    cells: dict[Cell, list[_Site]] = defaultdict(list)
    for network, pops in enumerate(networks):
        for pop in pops:
            cells[_cell(pop, metro_km)].append(_Site(network, pop))
    return cells


def _around(pop: Pop, cells: Mapping[Cell, Sequence[_Site]], metro_km: float) -> Iterator[_Site]:
    x, y, z = _cell(pop, metro_km)
    for dx, dy, dz in product((-1, 0, 1), repeat=3):
        yield from cells.get((x + dx, y + dy, z + dz), ())


def _cell(pop: Pop, metro_km: float) -> Cell:
    """The cube of a point on the sphere: no seam at the date line, none at the poles."""
    lat, lon = math.radians(pop.lat), math.radians(pop.lon)
    scale = EARTH_RADIUS_KM / max(1.0, metro_km)
    x, y, z = math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
    return math.floor(x * scale), math.floor(y * scale), math.floor(z * scale)

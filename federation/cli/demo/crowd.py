"""All 98 published footprints at once: who hangs together, and a search across the largest component."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Final

from federation.cli.demo.cast import CAST, Performer, crowd_member
from federation.cli.demo.claims import Step, claim
from federation.cli.demo.stage import Player, Stage
from federation.client.broker import BrokerClient
from schemas.answer import FederationView
from schemas.intent import Intent
from schemas.place import great_circle_km

# Every AS of CAIDA's footprints of August 2024, as the topohub package carries them.
ASNS: Final = (
    137, 224, 293, 559, 577, 680, 701, 766, 786, 812, 852, 1103, 1136, 1213, 1221, 1257, 1653, 1659, 1741, 1835, 1853,
    1916, 1930, 1955, 2018, 2107, 2119, 2152, 2200, 2603, 2607, 2611, 2614, 2847, 2852, 2856, 2907, 3209, 3215, 3221,
    3269, 3292, 3301, 3303, 3320, 3329, 3352, 3356, 3741, 4134, 4538, 4739, 4766, 4771, 4837, 5089, 5384, 5408, 5410,
    5432, 5466, 5607, 5610, 5617, 5650, 5769, 6327, 6799, 6805, 6830, 7018, 7497, 7575, 7922, 8151, 8447, 8473, 8708,
    8881, 8953, 9498, 9808, 9829, 11340, 12322, 12479, 12741, 12874, 12912, 13092, 15525, 16086, 17557, 20115, 20965,
    27750, 38022, 55836,
)  # fmt: skip
PROCESSES: Final = 4
ASKED_BPS: Final = 10**10


def performers() -> tuple[Performer, ...]:
    """The cast under their own names, and everybody else by AS number."""
    named = {one.asn: one for one in CAST}
    return tuple(named.get(asn) or crowd_member(asn) for asn in ASNS)


def shares(players: Sequence[Player]) -> list[tuple[Player, ...]]:
    """The players, split over a few processes so that each has about as much to publish."""
    loads: list[list[Player]] = [[] for _ in range(PROCESSES)]
    for player in sorted(players, key=lambda one: -one.pops):
        min(loads, key=lambda load: sum(one.pops for one in load)).append(player)
    return [tuple(load) for load in loads if load]


async def search_largest(client: BrokerClient, stage: Stage, say: Callable[[str], None]) -> Step:
    """Search across the largest component, from its westernmost site to its easternmost."""
    view = await client.federation()
    largest = frozenset(sorted(view.components, key=len)[-1] if view.components else ())
    say(f"searching the largest component of {len(view.components)}: {len(largest)} operators")
    (a, a_at), (z, z_at) = _ends(stage, largest)
    begun = time.perf_counter()
    answer = await client.search(Intent(a=a, z=z, bandwidth_bps=ASKED_BPS, duration_s=3600), 1)
    took_ms = (time.perf_counter() - begun) * 1000
    km = great_circle_km(*a_at, *z_at)
    return Step(
        title="The largest component",
        asked=f"10 Gb/s for an hour from {a} to {z}, {km:.0f} km",
        claims=(
            claim("every operator's offers are here", _all_connected(view), f"{len(view.operators)} operators"),
            claim("every interconnect is declared by both sides", view.one_sided == 0, f"{view.interconnects}"),
            claim("a path across the largest component was found", answer.found and answer.proven, f"{km:.0f} km"),
        ),
        search=answer,
        search_ms=client.timing.get("search"),
        took_ms=took_ms,
    )


def _all_connected(view: FederationView) -> bool:
    return all(operator.connected and operator.offers for operator in view.operators)


def _ends(stage: Stage, entities: frozenset[str]) -> tuple[tuple[str, tuple[float, float]], ...]:
    """The westernmost and the easternmost UNI of these operators, as places, with their coordinates."""
    found = []
    for player in stage.players:
        if player.performer.entity in entities:
            footprint = json.loads((stage.folder / "footprints" / f"{player.performer.host}.json").read_bytes())
            at = {pop["id"]: (pop["lat"], pop["lon"]) for pop in footprint["pops"]}
            found += [(f"{uni['id']}@{player.performer.entity}", at[uni["pop"]]) for uni in footprint["unis"]]
    found.sort(key=lambda one: (one[1][1], one[0]))
    return found[0], found[-1]

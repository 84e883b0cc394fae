"""Footprints of CAIDA's operators, meeting within a metro; capacities are invented, edges may be thinned out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Final, TypeVar

from msgspec import Struct, structs

from operators.inventory import sources
from operators.inventory.drafting import GBPS, Party, Terms, draft
from operators.inventory.footprint import Enni, Footprint, Link, Uni
from operators.inventory.naming import entity_of
from schemas.jurisdiction import GROUPS

FAMILY: Final = "caida/2024-08"
EU: Final = GROUPS["EU"]
# Shares in percent of each capacity in Gb/s.
INNER_GBPS: Final = ((10, 15), (100, 50), (400, 35))
EDGE_GBPS: Final = ((10, 15), (100, 85))
Item = TypeVar("Item")


class Wish(Struct, frozen=True, kw_only=True):
    """Which footprints: the operators by AS number (all when empty, or those with a PoP in the EU), and how many edges.

    Of every two operators at most `meets_max` interconnects stay, and of an operator at most `unis_max` UNIs,
    both spread evenly in the order of their ids; None keeps all.
    """

    asns: tuple[int, ...] = ()
    european: bool = False
    meets_max: int | None = None
    unis_max: int | None = None
    seed: int = 1


def footprints(wish: Wish) -> list[Footprint]:
    """The footprints of a wish, in the order of their sources."""
    names = [f"{FAMILY}/{asn}" for asn in wish.asns] or [n for n in sources.known() if n.startswith(FAMILY)]
    gathered = sources.gather(names)
    parties = [Party(survey, towns, *[entity_of(survey.source)] * 2) for survey, towns in gathered]
    if wish.european:
        parties = [party for party in parties if any(town.country in EU for town in party.towns)]
    return [_sized(drawn, wish.seed) for drawn in _thinned(draft(parties, Terms()), wish)]


def share(seed: int, *parts: str) -> float:
    """A number in [0, 1) that follows from the seed and the parts."""
    digest = blake2b("\0".join((str(seed), *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _thinned(drawn: Sequence[Footprint], wish: Wish) -> Iterable[Footprint]:
    meets = _kept_meets(drawn, wish.meets_max)
    for one in drawn:
        ennis = tuple(enni for enni in one.ennis if _meet(one.entity, enni) in meets)
        unis = _spread(sorted(one.unis, key=lambda uni: uni.id), wish.unis_max)
        yield structs.replace(one, ennis=ennis, unis=tuple(unis))


def _kept_meets(drawn: Iterable[Footprint], most: int | None) -> set[frozenset[tuple[str, str]]]:
    by_pair: dict[tuple[str, str], list[Enni]] = {}
    for one in drawn:
        for enni in one.ennis:
            if one.entity < enni.peer_entity:
                by_pair.setdefault((one.entity, enni.peer_entity), []).append(enni)
    ordered = {pair: sorted(ennis, key=lambda enni: enni.id) for pair, ennis in by_pair.items()}
    return {_meet(pair[0], enni) for pair, ennis in ordered.items() for enni in _spread(ennis, most)}


def _meet(entity: str, enni: Enni) -> frozenset[tuple[str, str]]:
    """Both sides of an interconnect, the same from either."""
    return frozenset({(entity, enni.id), (enni.peer_entity, enni.peer_interface)})


def _spread(items: Sequence[Item], most: int | None) -> Sequence[Item]:
    if most is None or len(items) <= most:
        return items
    return [items[place * len(items) // most] for place in range(most)]


def _sized(drawn: Footprint, seed: int) -> Footprint:
    """The same network with capacities drawn by their shares; both sides of an interconnect draw the same."""
    inner = tuple(_link(link, drawn.entity, seed) for link in drawn.links)
    unis = tuple(_uni(uni, drawn.entity, seed) for uni in drawn.unis)
    return structs.replace(
        drawn, links=inner, unis=unis, ennis=tuple(_enni(enni, drawn.entity, seed) for enni in drawn.ennis)
    )


def _link(link: Link, entity: str, seed: int) -> Link:
    return structs.replace(link, capacity_bps=_drawn(INNER_GBPS, share(seed, entity, link.id)))


def _uni(uni: Uni, entity: str, seed: int) -> Uni:
    return structs.replace(uni, speed_bps=_drawn(EDGE_GBPS, share(seed, entity, uni.id)))


def _enni(enni: Enni, entity: str, seed: int) -> Enni:
    sides = sorted(f"{side[0]} {side[1]}" for side in _meet(entity, enni))
    return structs.replace(enni, speed_bps=_drawn(EDGE_GBPS, share(seed, *sides)))


def _drawn(shares: Sequence[tuple[int, int]], at: float) -> int:
    percent = at * 100
    for gbps, part in shares:
        percent -= part
        if percent < 0:
            return gbps * GBPS
    return shares[-1][0] * GBPS


def countries(drawn: Footprint) -> Mapping[str, str]:
    """Country by PoP."""
    return {pop.id: pop.country for pop in drawn.pops}

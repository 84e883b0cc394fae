"""Five or six operators between two UNIs, each meeting most others once: many ways round, and traps."""

from __future__ import annotations

from itertools import combinations
from random import Random

from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface
from schemas.offer import Offer
from tests.support.paths import interface, offer, operator, to

JOINED = 0.75


def braided(rng: Random) -> dict[str, OperatorSheet]:
    """A federation of meshes; the first and the last operator have a UNI each, and never meet."""
    count = rng.choice((5, 6, 6))
    meets: dict[int, list[Interface]] = {number: [] for number in range(count)}
    for i, j in combinations(range(count), 2):
        if (i, j) != (0, count - 1) and rng.random() < JOINED:
            meets[i].append(interface(f"e{j}", to(j, f"e{i}")))
            meets[j].append(interface(f"e{i}", to(i, f"e{j}")))
    for number in (0, count - 1):
        meets[number].append(interface("u0"))
    sheets = [operator(number, *ends, *_mesh(rng, ends)) for number, ends in meets.items()]
    return {sheet.entity: sheet for sheet in sheets}


def _mesh(rng: Random, ends: list[Interface]) -> list[Offer]:
    names = [end.id for end in ends]
    return [offer(a, z, rng.randrange(1, 30), rng.randrange(1, 30)) for a, z in combinations(names, 2)]

"""Questions from a seed: pairs of UNIs, and limits that are neither loose nor impossible.

Shortest paths come from scipy. Most pairs whose cheapest path is nearly the fastest one are left out (seven in ten),
because a limit changes nothing there; so the mix is harder than random traffic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from benchmarks.caida.publish import OUT
from benchmarks.digraph import Digraph, Floats, Ints
from benchmarks.question import Family, Question
from benchmarks.ways import Ways
from federation.policy.limits import Refusals
from schemas.segment import PPB

NEAR: Final = 1.02  # the cheapest path takes this much longer than the fastest, or the pair is one of the easy ones
EASY_KEPT: Final = 0.3
GAP: Final = 4  # a limit lies a quarter of the gap above the best
WEIGHINGS: Final = 12
TRIES_MAX: Final = 5_000


def asked(
    name: str, graph: Digraph, refused: Refusals, family: Family, *, count: int, seed: int, second: bool = True
) -> list[Question]:
    """`count` questions of a family over a graph, kept on disk; without `second` they have one limit."""
    limits = 2 if second else 1
    path = OUT / "questions" / f"{name}-{family.name}-{limits}-limits-{count}-{seed}.json"
    stamp = f"{graph.size} {graph.arcs} {int(graph.prices(family.gbps).sum())} {int(graph.jitter.sum())}"
    kept = _kept(path, stamp)
    if kept is None:
        kept = list(drawn(graph, refused, family, count=count, seed=seed, second=second))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode((stamp, kept)))
    return kept


def _kept(path: Path, stamp: str) -> list[Question] | None:
    if not path.exists():
        return None
    found, kept = msgspec.json.decode(path.read_bytes(), type=tuple[str, list[Question]])
    return kept if found == stamp else None


def drawn(
    graph: Digraph, refused: Refusals, family: Family, *, count: int, seed: int, second: bool = True
) -> Iterator[Question]:
    """`count` questions, drawn anew."""
    ways, rng, found = Ways(graph, family, refused), Random(f"{seed} {family.name} {graph.size}"), 0
    unis = sorted(graph.unis)
    for _ in range(TRIES_MAX):
        question = _try(ways, family, rng, unis, found if second else None)
        if question is not None:
            yield question
            found += 1
            if found == count:
                return
    raise AssertionError(f"only {found} of {count} questions found")


def _try(
    ways: Ways, family: Family, rng: Random, unis: Sequence[tuple[str, str]], number: int | None
) -> Question | None:
    graph, (a, z) = ways.graph, rng.sample(unis, 2)
    source, target = graph.unis[a][0], graph.unis[z][1]
    cheap = ways.tree(ways.price, source)
    if not math.isfinite(cheap.far[target]):
        return None
    cheapest = ways.path(cheap, target)
    fastest = ways.path(ways.tree(graph.latency, source), target)
    slow, fast = int(graph.latency[cheapest].sum()), int(graph.latency[fastest].sum())
    if graph.enters_twice(fastest):
        return None
    if slow < fast * NEAR and rng.random() >= EASY_KEPT:
        return None
    asked = Question(family=family, a=a, z=z, source=source, target=target, latency_us=fast + (slow - fast) // GAP)
    return asked if number is None else _second(ways, asked, fastest, by_jitter=number % 2 == 0)


def _second(ways: Ways, asked: Question, fastest: Sequence[int], *, by_jitter: bool) -> Question:
    """The question with a second limit, between a good and a cheap path that keep the first."""
    graph = ways.graph
    column: Ints | Floats = graph.jitter if by_jitter else graph.down
    cheap = _within(ways, asked, ways.price) or fastest
    good = min(_within(ways, asked, column) or fastest, fastest, key=lambda path: float(column[path].sum()))
    if graph.enters_twice(good):
        good = fastest
    least, most = float(column[good].sum()), float(column[cheap].sum())
    limit = least + max(0.0, most - least) / GAP
    if by_jitter:
        return msgspec.structs.replace(asked, jitter_us=int(limit))
    reached = PPB
    for arc in good:
        reached = reached * int(graph.available[arc]) // PPB
    # Rounded down at every arc and segment: a few ppb below what the good path's own product is.
    return msgspec.structs.replace(asked, availability_ppb=min(int(math.exp(-limit) * PPB), reached - len(good)))


def _within(ways: Ways, asked: Question, column: Ints | Floats) -> list[int] | None:
    """A path that is good by a column and keeps the latency, by weighing latency more until it does."""
    graph, best = ways.graph, None
    scale = float(column[ways.kept].mean() / graph.latency[ways.kept].mean())
    low, high = 0.0, 64.0
    for _ in range(WEIGHINGS):
        weight = (low + high) / 2
        path = ways.path(ways.tree(column + graph.latency * (weight * scale), asked.source), asked.target)
        if graph.latency[path].sum() <= asked.latency_us:
            best, high = path, weight
        else:
            low = weight
    return best

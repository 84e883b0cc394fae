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
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from benchmarks.caida.publish import OUT
from benchmarks.digraph import Digraph, Floats, Ints
from benchmarks.question import EU, MTU, Family, Question
from federation.policy.limits import Refusals
from schemas.segment import PPB

NEAR: Final = 1.02  # the cheapest path takes this much longer than the fastest, or the pair is one of the easy ones
EASY_KEPT: Final = 0.3
GAP: Final = 4  # a limit lies a quarter of the gap above the best
WEIGHINGS: Final = 12
TRIES_MAX: Final = 5_000


class Ways:
    """Cheapest, fastest and otherwise weighed paths over the arcs that a family of questions may use."""

    def __init__(self, graph: Digraph, family: Family, refused: Refusals) -> None:
        self.graph = graph
        self.kept: NDArray[np.intp] = np.flatnonzero(graph.admitted(refused if family == EU else {}, family.gbps, MTU))
        self.price: Ints = graph.prices(family.gbps)
        tails, heads = graph.tail[self.kept], graph.head[self.kept]
        order = np.lexsort((heads, tails))
        self._order = self.kept[order]
        self._heads = heads[order]
        self._starts = np.searchsorted(tails[order], np.arange(graph.size + 1))
        assert len(np.unique(tails * graph.size + heads)) == len(tails), "no two arcs join the same vertices"

    def tree(self, weights: Ints | Floats, source: int) -> tuple[Floats, Ints]:
        """Distance to every vertex, and the vertex before it."""
        matrix = csr_matrix(
            (weights[self._order].astype(np.float64), self._heads, self._starts), shape=(self.graph.size,) * 2
        )
        far, before = dijkstra(matrix, indices=source, return_predecessors=True)
        return far, before

    def path(self, before: Ints, target: int) -> list[int]:
        """Arcs of the path that a tree has to a target."""
        arcs: list[int] = []
        vertex = target
        while before[vertex] >= 0:
            tail = int(before[vertex])
            span = self._heads[self._starts[tail] : self._starts[tail + 1]]
            arcs.append(int(self._order[self._starts[tail] + np.searchsorted(span, vertex)]))
            vertex = tail
        return arcs[::-1]


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
    far, cheap = ways.tree(ways.price, source)
    if not math.isfinite(far[target]):
        return None
    cheapest = ways.path(cheap, target)
    fastest = ways.path(ways.tree(graph.latency, source)[1], target)
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
        path = ways.path(ways.tree(column + graph.latency * (weight * scale), asked.source)[1], asked.target)
        if graph.latency[path].sum() <= asked.latency_us:
            best, high = path, weight
        else:
            low = weight
    return best

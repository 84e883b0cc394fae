"""rustworkx: Dijkstra without limits, with a predicate in Python, and over a subgraph made beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Final

import numpy as np
import rustworkx as rx

from benchmarks.digraph import Digraph
from benchmarks.peers.peer import Ready, whole
from benchmarks.question import MTU, Family, Question

UNLIMITED: Final = "rustworkx dijkstra, no limits"


class Dijkstra(Ready):
    """Prices as floats on the edges, read by `float` itself; ends at the target."""

    def __init__(self, graph: Digraph, family: Family, kept: Iterable[int] | None = None) -> None:
        self.name = UNLIMITED if kept is None else "rustworkx dijkstra, subgraph made beforehand"
        arcs = np.arange(graph.arcs) if kept is None else np.asarray(kept)
        columns = (graph.tail[arcs], graph.head[arcs], graph.prices(family.gbps)[arcs].astype(np.float64))
        self._graph = _digraph(graph.size, zip(*(c.tolist() for c in columns), strict=True))

    def solve(self, question: Question) -> int | None:
        """The least price."""
        return _length(self._graph, question, float)


class Callback(Ready):
    """A Python function per edge that tests the route class, the room and the MTU."""

    name: Final = "rustworkx dijkstra, predicate in Python"

    def __init__(self, graph: Digraph, family: Family, refused: Mapping[tuple[str, str], object]) -> None:
        self._bps = family.gbps * 10**9
        self._allowed = frozenset(n for n, key in enumerate(graph.classes) if key not in refused)
        prices = graph.prices(family.gbps).astype(np.float64)
        payload = zip(*(c.tolist() for c in (prices, graph.route_class, graph.free, graph.mtu)), strict=True)
        ends = zip(graph.tail.tolist(), graph.head.tolist(), strict=True)
        self._graph = _digraph(graph.size, ((*end, arc) for end, arc in zip(ends, payload, strict=True)))

    def solve(self, question: Question) -> int | None:
        """The least price over the arcs that may be used."""
        allowed, bps, mtu = self._allowed, self._bps, MTU

        def weight(arc: tuple[float, int, int, int]) -> float:
            return arc[0] if arc[1] in allowed and arc[2] >= bps and arc[3] >= mtu else inf

        return _length(self._graph, question, weight)


def _digraph(size: int, edges: Iterable[tuple[Any, ...]]) -> Any:
    made = rx.PyDiGraph(multigraph=True)
    made.add_nodes_from(range(size))
    made.extend_from_weighted_edge_list(list(edges))
    return made


def _length(made: Any, question: Question, weight: Any) -> int | None:
    found = rx.dijkstra_shortest_path_lengths(made, question.source, weight, goal=question.target)
    return whole(found[question.target]) if question.target in found else None

"""cspy: the one Python library that solves the constrained problem exactly. It has wheels up to Python 3.11.

Its object holds endpoints and limits, so each question needs a new one; the networkx graph that it is made from is
not timed. It allows a second entry into an operator, and it counts a minimum per segment as if it never bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import process_time
from typing import Any, Final

import networkx as nx
import numpy as np
from cspy import BiDirectional

from benchmarks.digraph import Digraph
from benchmarks.peers.peer import whole
from benchmarks.question import EU, MTU, Family, Question

DIRECTIONS: Final = ("backward", "forward", "both")
SOURCE, SINK = "Source", "Sink"
# Its backward labelling counts 1 for an arc that uses nothing, and so loses paths that just reach a limit. In
# thousandths of a microsecond, and with half a microsecond more, that changes nothing: latencies are whole.
SCALE, HALF = 1000.0, 500.0


class Search:
    """One direction of labelling, under the first limit or, with jitter, under both; over a family's arcs.

    `run_s` are the seconds (processor time) of the searches alone, without making the object; `paths` the vertices of
    what they found.
    """

    def __init__(
        self, graph: Digraph, family: Family, refused: Mapping[tuple[str, str], object], direction: str, limits: int = 1
    ) -> None:
        self.name = f"cspy {direction}, {'one limit' if limits == 1 else 'two limits'}"
        self._limits, self._direction = limits, direction
        kept = np.flatnonzero(graph.admitted(refused if family == EU else {}, family.gbps, MTU))
        self._ends = list(zip(graph.tail[kept].tolist(), graph.head[kept].tolist(), strict=True))
        self._prices = graph.prices(family.gbps)[kept].astype(np.float64).tolist()
        self._costs = np.column_stack([graph.latency, graph.jitter])[kept, :limits] * SCALE
        self._made: Any = None
        self.paths: list[list[int]] = []
        self.run_s: list[float] = []

    def prepare(self, question: Question) -> None:
        """The graph with the names that cspy wants for the ends."""
        names = {question.source: SOURCE, question.target: SINK}
        self._made = nx.DiGraph(directed=True, n_res=self._limits)
        self._made.add_edges_from(
            (names.get(tail, tail), names.get(head, head), {"weight": price, "res_cost": cost})
            for (tail, head), price, cost in zip(self._ends, self._prices, self._costs, strict=True)
            if head != question.source and tail != question.target
        )

    def solve(self, question: Question) -> int | None:
        """The least price within the limits."""
        most = [question.latency_us * SCALE + HALF]
        if self._limits == 2:
            assert question.jitter_us is not None, "the second limit is jitter"
            most.append(question.jitter_us * SCALE + HALF)
        search = BiDirectional(self._made, most, [0.0] * self._limits, direction=self._direction)
        began = process_time()
        search.run()
        self.run_s.append(process_time() - began)
        names = {SOURCE: question.source, SINK: question.target}
        self.paths.append([names.get(vertex, vertex) for vertex in search.path or ()])
        return whole(search.total_cost) if self.paths[-1] else None


def best_direction(peers: Mapping[str, Search], questions: Sequence[Question]) -> str:
    """The direction whose search is fastest over some questions; making the object costs the same for all."""
    for question in questions:
        for peer in peers.values():
            peer.prepare(question)
            peer.solve(question)
    return min(peers, key=lambda name: sum(peers[name].run_s))

"""scipy.sparse.csgraph: Dijkstra from one vertex to all, which is all that it has."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from benchmarks.digraph import Digraph
from benchmarks.peers.peer import Ready, whole
from benchmarks.question import Family, Question


class OneToAll(Ready):
    """A matrix made beforehand, of all arcs or of those that may be used."""

    def __init__(self, graph: Digraph, family: Family, kept: Iterable[int] | None = None) -> None:
        self.name = f"scipy dijkstra one-to-all, {'no limits' if kept is None else 'matrix made beforehand'}"
        arcs = np.arange(graph.arcs) if kept is None else np.asarray(kept)
        ends = graph.tail[arcs] * graph.size + graph.head[arcs]
        prices = graph.prices(family.gbps)[arcs].astype(np.float64)
        # Of arcs between the same vertices the cheapest: scipy would add them up.
        order = np.lexsort((prices, ends))
        joined, first = np.unique(ends[order], return_index=True)
        tails, heads = np.divmod(joined, graph.size)
        self._matrix = csr_matrix((prices[order][first], (tails, heads)), shape=(graph.size,) * 2)

    def solve(self, question: Question) -> int | None:
        """The least price."""
        return whole(dijkstra(self._matrix, indices=question.source)[question.target])

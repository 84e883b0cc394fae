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
        prices = graph.prices(family.gbps)[arcs].astype(np.float64)
        self._matrix = csr_matrix((prices, (graph.tail[arcs], graph.head[arcs])), shape=(graph.size,) * 2)
        assert self._matrix.nnz == len(arcs), "scipy would add arcs between the same vertices up"

    def solve(self, question: Question) -> int | None:
        """The least price."""
        return whole(dijkstra(self._matrix, indices=question.source)[question.target])

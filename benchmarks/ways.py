"""Shortest paths by any weights over the arcs that a family of questions may use: by scipy, with the path told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from benchmarks.digraph import Digraph, Floats, Ints
from benchmarks.question import EU, MTU, Family
from federation.policy.limits import Refusals


class Tree(NamedTuple):
    """Distance to every vertex and the vertex before it, by `weights` over all arcs."""

    far: Floats
    before: Ints
    weights: Ints | Floats


class Ways:
    """Of arcs that join the same vertices (route classes of one offer in a mesh), the one of less weight counts."""

    def __init__(self, graph: Digraph, family: Family, refused: Refusals) -> None:
        self.graph = graph
        self.kept: Ints = np.flatnonzero(graph.admitted(refused if family == EU else {}, family.gbps, MTU))
        self.price: Ints = graph.prices(family.gbps)
        ends = graph.tail[self.kept] * graph.size + graph.head[self.kept]
        order = np.argsort(ends, kind="stable")
        self._order = self.kept[order]
        joined, self._first = np.unique(ends[order], return_index=True)
        self._heads = joined % graph.size
        self._starts = np.searchsorted(joined, np.arange(graph.size + 1) * graph.size)

    def tree(self, weights: Ints | Floats, source: int) -> Tree:
        """The ways from a vertex to all others."""
        least = np.minimum.reduceat(weights[self._order], self._first).astype(np.float64)
        matrix = csr_matrix((least, self._heads, self._starts), shape=(self.graph.size,) * 2)
        far, before = dijkstra(matrix, indices=source, return_predecessors=True)
        return Tree(far, before, weights)

    def path(self, tree: Tree, target: int) -> list[int]:
        """Arcs of the way that a tree has to a target."""
        arcs: list[int] = []
        vertex = target
        while tree.before[vertex] >= 0:
            tail = int(tree.before[vertex])
            arcs.append(self._lightest(tail, vertex, tree.weights))
            vertex = tail
        return arcs[::-1]

    def _lightest(self, tail: int, head: int, weights: Ints | Floats) -> int:
        start, end = self._starts[tail], self._starts[tail + 1]
        place = start + np.searchsorted(self._heads[start:end], head)
        last = self._first[place + 1] if place + 1 < len(self._first) else len(self._order)
        parallel = self._order[self._first[place] : last]
        return int(parallel[np.argmin(weights[parallel])])

"""HiGHS (through scipy.milp): the whole problem as a mixed-integer program, for exactness.

x[a] is 1 where arc a is used: flow from source to target, sums of latency, jitter and -ln availability within the
limits, and each operator entered at most once. Because of that an operator has at most one segment, in one route
class c, and what it costs is in the model exactly: set-up on the arc that enters, and usage u[c] with
u[c] >= rates along c's arcs and u[c] >= minimum x entries of c. No line of a price is rounded for whole hours and Gb/s.

Arcs that no path within the latency limit runs over are left out first, by two runs of scipy's Dijkstra.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.optimize import LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, csr_matrix
from scipy.sparse.csgraph import dijkstra

from benchmarks.digraph import Digraph, Floats, Ints
from benchmarks.peers.peer import Ready
from benchmarks.question import EU, MTU, Family, Question
from schemas.segment import PPB

MICRO = 1_000_000
LOOSE = 5e-8  # what rounding availability down per arc and segment comes to at most, as -ln


class Highs(Ready):
    """The optimum over a family's arcs, under as many limits as `limits` says."""

    def __init__(
        self, graph: Digraph, family: Family, refused: Mapping[tuple[str, str], object], limits: int = 1
    ) -> None:
        self.name = f"HiGHS (scipy.milp) after pruning, {('no limits', 'one limit', 'two limits')[limits]}"
        self._graph, self._limits = graph, limits
        self._admitted = np.flatnonzero(graph.admitted(refused if family == EU else {}, family.gbps, MTU))
        self._usage: Ints = graph.usage(family.gbps)
        self._set_up: Ints = graph.set_up * graph.entry

    def solve(self, question: Question) -> int | None:
        """The least price, summed again in integers along the path that the program found."""
        path = self.path(question)
        return None if path is None else self.price(path)

    def solve_strictly(self, question: Question) -> int | None:
        """The least price of a path that keeps an availability however it is rounded."""
        path = self.path(question, strict=True)
        return None if path is None else self.price(path)

    def price(self, path: Ints) -> int:
        """What a path costs."""
        billed = 0
        for route_class in np.unique(self._graph.route_class[path]):
            along = path[self._graph.route_class[path] == route_class]
            billed += max(int(self._usage[along].sum()), int(self._graph.minimum[along[0]]))
        return billed + int(self._set_up[path].sum())

    def usage(self, path: Ints) -> int:
        """What a path would cost if there were no minimums."""
        return int(self._usage[path].sum() + self._set_up[path].sum())

    def path(self, question: Question, *, strict: bool = False) -> Ints | None:
        """The arcs used; `strict` tightens an availability by what rounding may take away."""
        kept = self._within_reach(question)
        program = _Program(self._graph, kept, self._usage[kept], self._set_up[kept])
        most = [(column[kept], limit) for column, limit in self._sums(question, strict=strict)]
        used = program.solve(question, most)
        return None if used is None else kept[used]

    def _sums(self, question: Question, *, strict: bool) -> list[tuple[Ints | Floats, float]]:
        """Columns, and the most that each may come to along a path."""
        graph, sums = self._graph, list[tuple[Ints | Floats, float]]()
        if self._limits >= 1:
            sums.append((graph.latency, question.latency_us))
        if self._limits == 2 and question.jitter_us is not None:
            sums.append((graph.jitter, question.jitter_us))
        if self._limits == 2 and question.availability_ppb is not None:
            most = -math.log(question.availability_ppb / PPB) - LOOSE * strict
            # In millionths, so that the solver's absolute tolerance is small beside it.
            sums.append((graph.down * MICRO, most * MICRO))
        return sums

    def _within_reach(self, question: Question) -> Ints:
        """Arcs whose quickest way from the source and to the target is within the limit."""
        graph, kept = self._graph, self._admitted
        tails, heads, latency = graph.tail[kept], graph.head[kept], graph.latency[kept].astype(np.float64)
        onward = csr_matrix((latency, (tails, heads)), shape=(graph.size,) * 2)
        total = dijkstra(onward, indices=question.source)[tails] + latency
        total += dijkstra(onward.T.tocsr(), indices=question.target)[heads]
        near: Ints = kept[total <= (question.latency_us if self._limits else np.finfo(np.float64).max)]
        return near


class _Program:
    """Variables: one per arc, then one per route class for what its usage costs, in units of money."""

    def __init__(self, graph: Digraph, kept: Ints, usage: Ints, set_up: Ints) -> None:
        self._graph, self._kept, self._usage, self._set_up = graph, kept, usage / MICRO, set_up / MICRO
        self._classes, self._class = np.unique(graph.route_class[kept], return_inverse=True)
        self._arcs, self._groups = np.arange(len(kept)), np.arange(len(self._classes))

    def solve(self, question: Question, most: list[tuple[Ints | Floats, float]]) -> Ints | None:
        """Places of the arcs used, or None."""
        if not len(self._kept):
            return None
        arcs, groups = len(self._arcs), len(self._groups)
        rows = [self._per_class(), self._per_operator(), self._flow(question)]
        rows += [LinearConstraint(self._row(column), -np.inf, limit) for column, limit in most]
        found = milp(
            np.concatenate([self._set_up, np.ones(groups)]),
            constraints=rows,
            integrality=np.concatenate([np.ones(arcs), np.zeros(groups)]),
            bounds=(0, np.concatenate([np.ones(arcs), np.full(groups, np.inf)])),
            options={"mip_rel_gap": 0.0},
        )
        assert found.status in (0, 2), found.message
        return None if found.x is None else np.flatnonzero(found.x[:arcs] > 0.5)

    def _matrix(self, values: Floats, rows: Ints, columns: Ints, count: int) -> csr_array:
        return coo_array((values, (rows, columns)), shape=(count, len(self._arcs) + len(self._groups))).tocsr()

    def _per_class(self) -> LinearConstraint:
        """u[c] covers the rates along c's arcs, and c's minimum where c is entered."""
        arcs, groups = self._arcs, self._groups
        own, ones = len(arcs) + groups, np.ones(len(groups))
        entered = -self._graph.minimum[self._kept] * self._graph.entry[self._kept] / MICRO
        values = np.concatenate([-self._usage, ones, entered, ones])
        rows = np.concatenate([self._class, groups, self._class + len(groups), groups + len(groups)])
        return LinearConstraint(
            self._matrix(values, rows, np.concatenate([arcs, own, arcs, own]), 2 * len(groups)), 0, np.inf
        )

    def _per_operator(self) -> LinearConstraint:
        entries = np.flatnonzero(self._graph.entry[self._kept])
        _, operator = np.unique(self._graph.operator[self._kept][entries], return_inverse=True)
        return LinearConstraint(self._matrix(np.ones(len(entries)), operator, entries, int(operator.max()) + 1), 0, 1)

    def _flow(self, question: Question) -> LinearConstraint:
        """What enters a vertex leaves it; one unit from the source to the target."""
        ends = np.concatenate([self._graph.tail[self._kept], self._graph.head[self._kept]])
        vertices, place = np.unique(ends, return_inverse=True)
        values = np.repeat([1.0, -1.0], len(self._arcs))
        balance = (vertices == question.source) * 1.0 - (vertices == question.target) * 1.0
        matrix = self._matrix(values, place, np.concatenate([self._arcs, self._arcs]), len(vertices))
        return LinearConstraint(matrix, balance, balance)

    def _row(self, column: Ints | Floats) -> csr_array:
        return self._matrix(column.astype(np.float64), np.zeros_like(self._arcs), self._arcs, 1)

"""Answers asks with the kernel, compiled or not, in the words of the solver: the same question, the same `Solved`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Final

import numpy as np

from federation.broker.paths.bounds import NEVER as NO_PATH
from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel import label as row
from federation.broker.paths.kernel import search as kernel
from federation.broker.paths.kernel.ahead import NEVER, ROWS, Ahead
from federation.broker.paths.kernel.ahead import PRICE as PRICE_ROW
from federation.broker.paths.kernel.arrays import CROSS, Arrays
from federation.broker.paths.kernel.compiled import Code
from federation.broker.paths.kernel.landmarks import with_marks
from federation.broker.paths.kernel.live import Write
from federation.broker.paths.kernel.plan import Planned, planned
from federation.broker.paths.kernel.replay import Replay, Trace
from federation.broker.paths.labels import Label
from federation.broker.paths.query import PRICE, Ask, Limit, Query
from federation.broker.paths.solver import limit_most
from federation.broker.paths.usable import Usable
from federation.broker.paths.work import Fixed, Solved, Work
from schemas.price import RateTable
from schemas.segment import window

ROWS_FIRST: Final = 4096
ROWS_KEPT: Final = 1 << 16
DESKS_MAX: Final = 2
BITS_MAX: Final = 62
COUNTED: Final = (Limit.LATENCY, Limit.JITTER, Limit.LOSS, Limit.AVAILABILITY, Limit.HOPS)


class Kept:
    """Bounds found for some ends and size: used by one search at a time.

    They leave out what is beyond the limits of their question, so they are good for the same or stricter ones; and
    they are good for the prices of version `number`, and of later ones until an arc undercuts them.
    """

    def __init__(self, ahead: Ahead, number: int) -> None:
        self.ahead, self.number = ahead, number
        self.bytes = sum(rows.nbytes for rows in ahead)
        self._most = [NEVER] * (1 + len(COUNTED))

    def begin_with(self, other: Kept) -> None:
        """Take over bounds on what is limited from a question that admits more.

        Not those on the price: a search that follows weaker ones sets more labels than making its own costs.
        """
        self.number, self._most = other.number, other._most
        ours, theirs = self.ahead, other.ahead
        for place, many in enumerate(theirs.count.tolist()):
            if many >= 0 and place != PRICE_ROW:
                ours.front[place], ours.count[place], ours.far[place] = theirs.front[place], many, theirs.far[place]
                ours.keys[place, :many] = theirs.keys[place, :many]
                ours.places[place, :many] = theirs.places[place, :many]

    def within(self, most: list[int]) -> None:
        """Get ready for a question with these limits, the budget first."""
        if any(ours < theirs for ours, theirs in zip(self._most, most, strict=True)):
            self.ahead.front[:] = self.ahead.count[:] = -1
        self._most = most

    def until(self, arrays: Arrays, planned: Planned, undercut: Callable[..., bool]) -> None:
        """Get ready for the prices of some arrays, later than those before."""
        lots = arrays.versions.better_since(self.number, arrays.number)
        self.number, ahead, net, plan = arrays.number, self.ahead, arrays.net, planned.plan
        if lots is None:
            ahead.front[:] = ahead.count[:] = -1
        elif ahead.count[PRICE_ROW] >= 0 and any(
            undercut(
                arrays.ends, net.live, net.vertices, net.marks, plan.admitted, plan.classes, plan.rates, plan.targets,
                plan.span, ahead.far, ahead.front, _ints(self._most), lot,
            )
            for lot in lots
        ):  # fmt: skip
            ahead.front[PRICE_ROW] = ahead.count[PRICE_ROW] = -1


def limits(ask: Ask) -> list[int]:
    """The budget of an ask, then its limits on sums; NEVER where there is none."""
    found = [ask.limit(Limit.BUDGET), *[limit_most(ask, name) for name in COUNTED]]
    return [NEVER if one is None or one >= NEVER else one for one in found]


class Engine:
    """The kernel over one graph after the other, its functions compiled or as they stand.

    Bounds are kept with the arrays of a graph: for the next search with the same ends, sizes and admitted classes.
    """

    def __init__(self, code: Code | None = None) -> None:
        self._code = code or Code()
        # What runs uncompiled would warn of numbers that wrap around.
        self._wraps: Callable[[], AbstractContextManager[object]] = (
            partial(np.errstate, over="ignore") if self._code.search is kernel.search else nullcontext
        )

    @property
    def write(self) -> Write:
        """What writes new rows of prices."""
        return self._code.write

    def warm(self) -> None:
        """Have the functions compiled, or read, by running them over a graph of one vertex and no offers."""
        vertices = np.zeros((1, 7), np.int64)
        vertices[0, CROSS] = -1
        empty = Graph.build({})
        nothing = Arrays(empty)
        net = nothing.net._replace(ptr=np.zeros(2, np.int64), vertices=vertices, marks=np.zeros((1, 1), np.int32))
        cells = np.zeros(2, np.int64)
        self._code.measure(net.ptr, net.hot, net.vertices, 0, cells[:1], cells, np.zeros(2, np.int32))
        query = Query(
            sources=(), targets=(), bandwidth_bps=1, window=window(0, 1), term_s=1, currency="EUR",
            rates=RateTable("1970-01-01", {}),
        )  # fmt: skip
        ask = Ask(query=query, aim=PRICE)
        usable = Usable(nothing.graph, ask)
        none = _ints(())
        plan, ahead = planned(nothing, usable, ask), _nothing_ahead(nothing)
        self._code.undercut(
            nothing.ends, net.live, net.vertices, net.marks, plan.plan.admitted, plan.plan.classes, plan.plan.rates,
            plan.plan.targets, plan.plan.span, ahead.far, ahead.front, _ints([0] * ROWS), none,
        )  # fmt: skip
        self._code.write(net.live, none, net.live, none, net.live, nothing.highest, none, cells)
        _Run(self._code, nothing, usable, plan, ahead, ask, limits(ask), Work(1), Fixed()).solved()

    def takes(self, ask: Ask) -> bool:
        """Whether an ask is one for the kernel: the cheapest or the fastest path, carbon unlimited, none required."""
        required = ask.query.operators_required and Limit.REQUIRED not in ask.waived
        return ask.aim in (PRICE, Limit.LATENCY) and ask.limit(Limit.CARBON) is None and not required

    def prepare(self, graph: Graph, before: Graph | None = None) -> Arrays:
        """The arrays of a graph, made if they are not there yet; what did not change is taken from another graph's."""
        if graph.arrays is None:
            earlier: Arrays | None = None if before is None else before.arrays
            renewed = earlier is not None and graph.since is not None and graph.since.before() is before
            few = renewed and earlier is not None and len(earlier.net.step_ptr) <= earlier.crowded
            figures = earlier.figures(graph) if few and earlier is not None else None
            if earlier is not None and figures is not None:
                graph.arrays = earlier.written(graph, figures, self._code.write)
            else:
                arrays = Arrays(graph, earlier)
                arrays.net = with_marks(arrays, self._code.measure, earlier)
                graph.arrays = arrays
        made: Arrays = graph.arrays
        return made

    def solve(self, usable: Usable, ask: Ask, work: Work, fixed: Fixed) -> Solved | None:
        """The best path; None where this ask has to be left to the solver."""
        arrays = self.prepare(usable.graph)
        if usable.judged.kernel_plan is None:
            usable.judged.kernel_plan = planned(arrays, usable, ask)
        plan: Planned = usable.judged.kernel_plan
        if not plan.fits or not usable.sources or not usable.targets:
            return None
        looser = usable.judged.looser
        most = limits(ask)
        kept = self._kept(arrays, plan, most, None if looser is None else looser.kernel_plan)
        state = plan.plan.state
        before, state[plan.places] = state[plan.places], plan.states
        try:
            with self._wraps():
                return _Run(self._code, arrays, usable, plan, kept.ahead, ask, most, work, fixed).solved()
        finally:
            state[plan.places] = before
            arrays.keep(plan.key, kept)

    def _kept(self, arrays: Arrays, plan: Planned, most: list[int], looser: Planned | None) -> Kept:
        """Bounds for a question: those of one before, or of one that admits more, as far as they still are bounds."""
        kept: Kept | None = arrays.kept.pop(plan.key, None)
        if kept is not None and kept.number > arrays.number:
            arrays.kept[plan.key] = kept  # of a later epoch than the one that this search has
            kept = None
        if kept is None:
            kept = Kept(arrays.spare.pop() if arrays.spare else _nothing_ahead(arrays), arrays.number)
            kept.ahead.front[:] = kept.ahead.count[:] = -1
            other: Kept | None = None if looser is None else arrays.kept.pop(looser.key, None)
            if looser is not None and other is not None:
                if other.number <= arrays.number:
                    kept.begin_with(other)
                arrays.keep(looser.key, other)
        if kept.number < arrays.number:
            kept.until(arrays, plan, self._code.undercut)
        kept.within(most)
        return kept


def _nothing_ahead(arrays: Arrays) -> Ahead:
    size, slots = arrays.graph.size, len(arrays.net.hot) + 1
    return Ahead(
        far=np.empty((ROWS + 1, size), np.int64),
        keys=np.empty((ROWS + 1, slots), np.int64),
        places=np.empty((ROWS + 1, slots), np.int32),
        front=np.full(ROWS + 1, -1, np.int64),
        count=np.full(ROWS + 1, -1, np.int64),
    )


class _Run:
    """One solve: rounds of the kernel, until the best path enters no operator twice."""

    def __init__(
        self,
        code: Code,
        arrays: Arrays,
        usable: Usable,
        planned: Planned,
        ahead: Ahead,
        ask: Ask,
        most: list[int],
        work: Work,
        fixed: Fixed,
    ) -> None:
        self._code, self._arrays, self._usable, self._work = code, arrays, usable, work
        self._planned, self._ahead, self._most = planned, ahead, most
        self._ask_, self._fixed = ask, fixed
        self._watched: Any = np.zeros(max(1, len(arrays.blocks)), np.int64)
        self._bits = len(planned.twins)
        self._best: tuple[Trace, int, int] | None = None
        if fixed.prefix:
            self._watch({arrays.owner(vertex) for vertex in fixed.prefix})

    def _watch(self, owners: Iterable[int]) -> None:
        for owner in sorted(owners):
            if not self._watched[owner] and self._bits < BITS_MAX:
                self._watched[owner] = 1 << self._bits
                self._bits += 1

    def solved(self) -> Solved | None:
        """The best path that keeps every limit; None where the kernel cannot tell."""
        while True:
            status, told, found = self._round()
            if status == kernel.TWICE:
                assert found is not None, "the path that enters twice is told"
                twice = self._twice(found)
                if all(self._watched[owner] for owner in twice) or self._bits + len(twice) > BITS_MAX:
                    return None
                self._watch(twice)
                continue
            label = None if self._best is None else self._label(*self._best)
            if self._best is not None and label is None:
                return None
            if self._best is not None and status == kernel.PROVEN:
                told = self._best[1]
            least = NO_PATH if told >= NEVER else told
            return Solved(label, complete=status == kernel.PROVEN, least=least)

    def _round(self) -> tuple[int, int, Trace | None]:
        asked, work, degree = self._asked(), self._fresh(), self._arrays.degree + 1
        net, cells = self._arrays.net, work.cells
        while True:
            status = int(self._code.search(*net, *self._planned.plan, *self._ahead, *asked, *work, degree))
            if status != kernel.FULL:
                break
            work = _grown(work)
        told: list[int] = cells.tolist()
        self._work.left, self._work.done = told[kernel.LEFT], self._work.done + told[kernel.DONE]
        if told[kernel.BEST] >= 0:
            best = _trace(work, kernel.BEST_WAY, told[kernel.BEST_STEPS])
            self._best = best, told[kernel.BEST_FIRST], told[kernel.BEST_SECOND]
        found = _trace(work, kernel.FOUND_WAY, told[kernel.FOUND_STEPS]) if status == kernel.TWICE else None
        self._put_back(work)
        return status, told[kernel.LEAST_KEY], found

    def _asked(self) -> kernel.Ask:
        ask, planned, fixed = self._ask_, self._planned, self._fixed
        shares = (-1 if one is None else one for one in (ask.limit(Limit.LOSS), ask.limit(Limit.AVAILABILITY)))
        aim = row.CHEAPEST if ask.aim == PRICE else row.FASTEST
        return kernel.Ask(
            most=_ints((*self._most, *shares, aim)),
            sources=planned.sources,
            watched=self._watched,
            ending=self._watched[planned.ending],
            twins=planned.twins,
            prefix=_ints(fixed.prefix) if fixed.prefix else NONE,
            banned=_ints(sorted(fixed.banned)) if fixed.banned else NONE,
        )

    def _fresh(self) -> kernel.Work:
        rows = max(ROWS_FIRST, 2 * self._arrays.degree + len(self._planned.sources) + 2)
        work: kernel.Work = self._arrays.desks.pop() if self._arrays.desks else _desk(rows, self._arrays.graph.size)
        if len(work.labels) < rows:
            work = _desk(rows, self._arrays.graph.size)
        work.cells[:] = 0
        work.cells[kernel.LEFT], work.cells[kernel.BEST] = min(self._work.left, NEVER), -2
        if self._best is not None:
            work.cells[kernel.BEST], (work.cells[kernel.BEST_FIRST], work.cells[kernel.BEST_SECOND]) = (
                -1,
                self._best[1:],
            )
        elif self._fixed.below is not None and self._fixed.below < NEVER:
            work.cells[kernel.BEST], work.cells[kernel.BEST_FIRST], work.cells[kernel.BEST_SECOND] = (
                -1,
                self._fixed.below,
                0,
            )
        return work

    def _put_back(self, work: kernel.Work) -> None:
        """Let the next search have the memory."""
        if len(work.labels) <= ROWS_KEPT and len(self._arrays.desks) < DESKS_MAX:
            self._arrays.desks.append(work)

    def _twice(self, trace: Trace) -> list[int]:
        owners = [self._arrays.owner(self._arrays.tail(slot)) for slot in trace.slots]
        entered = [owner for place, owner in enumerate(owners) if trace.enters[place]]
        return sorted({owner for owner in entered if entered.count(owner) > 1})

    def _label(self, trace: Trace, first: int, second: int) -> Label | None:
        """The path as the solver would tell it, all figures computed again; None where labels do not go through."""
        replay = Replay(self._arrays, self._usable, self._ask_, self._planned.meters)
        label = replay.label(trace)
        if label is None:
            return None
        told = (label.past_micro, label.sums[0]) if self._ask_.aim == PRICE else (label.sums[0], label.past_micro)
        assert told == (first, second), "the kernel counts something else"
        return label


def _trace(work: kernel.Work, column: int, many: int) -> Trace:
    """The slots of a path, in order, and whether each begins a segment."""
    *steps, source = work.heap[: many + 1, column].tolist()
    steps.reverse()
    return Trace(source, tuple([step >> 1 for step in steps]), tuple([step & 1 == 1 for step in steps]))


def _desk(rows: int, size: int) -> kernel.Work:
    return kernel.Work(
        labels=np.empty((rows, row.FIELDS), np.int64),
        heap=np.empty((rows, 3), np.int64),
        first=np.full(size, -1, np.int64),
        cells=np.zeros(kernel.CELLS, np.int64),
    )


def _grown(work: kernel.Work) -> kernel.Work:
    rows = 2 * len(work.labels)
    labels, heap = np.empty((rows, row.FIELDS), np.int64), np.empty((rows, 3), np.int64)
    labels[: len(work.labels)], heap[: len(work.heap)] = work.labels, work.heap
    return kernel.Work(labels, heap, work.first, work.cells)


def _ints(values: Sequence[int]) -> Any:
    return np.array(values, dtype=np.int64)


NONE: Final = _ints(())

"""Label setting over the arrays, best first: `federation.broker.paths.solver` says the same over objects.

Plain Python over numpy arrays that numba compiles as it stands. A label is a row of `Work.labels`; a path that does
not keep a limit is never finished, prices of complete segments are exact, and what is left out is dominated.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from federation.broker.paths.kernel.ahead import (
    BASE,
    BEFORE,
    FLAT,
    JITTER,
    LATENCY,
    LEAST,
    NEVER,
    PRICE,
    ROWS,
    Ahead,
    Plan,
    advance,
    has_room,
    judged,
)
from federation.broker.paths.kernel.arrays import (
    ARC,
    CLS,
    CROSS,
    CROSS_US,
    HEAD,
    INSIDE,
    OPEN,
    OWNER,
    TARGET,
    UNKNOWN,
    Net,
)
from federation.broker.paths.kernel.heaps import HEAP, queue, unqueue
from federation.broker.paths.kernel.label import (
    AIM,
    ALIVE,
    AVAILABLE,
    CHEAPEST,
    CLASS,
    DEAD,
    DELIVERED,
    DOMINATED,
    FASTEST,
    GOAL,
    LAT,
    MASK,
    NEXT,
    PARENT,
    PAST,
    PAST_AVAILABLE,
    PAST_DELIVERED,
    PPB,
    SEGMENTS,
    USED,
    VERTEX,
    along,
    broken,
    complete,
    dominates,
    twice,
    twin_bit,
)
from federation.broker.paths.kernel.live import STEPS

# Cells of `Work.cells`.
BEGUN, COUNT, REACH, LEFT, DONE, BEST, BEST_FIRST, BEST_SECOND, LEAST_KEY, FOUND, LEFT_OUT = 0, 1, *range(3, 12)
CELLS: Final = 12
# How a search ends: at a path that enters an operator twice, proven, out of work, or out of rows for labels.
TWICE, PROVEN, SPENT, FULL = range(4)
REACH_SHARE: Final = 8


class Ask(NamedTuple):
    """What a search may come to. `most` per row of `Ahead`, the budget first, NEVER without a limit; then more.

    `watched` has a bit per operator that must not be entered twice, `ending` those of the operators where a path may
    end. `twins` are UNIs that are source and target, each with a bit. `prefix` and `banned` are of `work.Fixed`.
    """

    most: Any
    sources: Any
    watched: Any
    ending: Any
    twins: Any
    prefix: Any
    banned: Any


class Work(NamedTuple):
    """Labels, the heap of those to be expanded (two keys and a row each), the first label per vertex, and cells."""

    labels: Any
    heap: Any
    first: Any
    cells: Any


def no_better(cells: Any, first: int, second: int) -> bool:
    """Whether a key is no better than that of the best path so far, or than what is asked for; it is left out then."""
    if cells[BEST] == -2:
        return False
    found = bool(first > cells[BEST_FIRST] or (first == cells[BEST_FIRST] and second >= cells[BEST_SECOND]))
    if found:
        cells[LEFT_OUT] = 1
    return found


def has(values: Any, value: int) -> bool:
    """Whether a short array has a value."""
    for each in values:  # noqa: SIM110 - compiled: a loop, not a generator
        if each == value:
            return True
    return False


def finish(vertices: Any, most: Any, twins: Any, labels: Any, heap: Any, cells: Any) -> None:
    """A whole path in the next free row: kept if it breaks no limit and is the best so far."""
    number = cells[COUNT]
    if labels[number, MASK] & twin_bit(twins, labels[number, VERTEX]) or broken(most, labels, number):
        return
    first, second = labels[number, PAST], labels[number, LAT]
    if most[AIM] == FASTEST:
        first, second = second, first
    if no_better(cells, first, second):
        return
    labels[number, DEAD] = GOAL
    cells[COUNT] = number + 1
    if twice(vertices, labels, number):
        queue(heap, cells, first, second, number)
    else:
        cells[BEST], cells[BEST_FIRST], cells[BEST_SECOND] = number, first, second


def place_label(classes: Any, most: Any, labels: Any, heap: Any, first: Any, cells: Any, low: int, second: int) -> None:
    """Take the label in the next free row among those of its vertex, unless one of them makes it superfluous."""
    number = cells[COUNT]
    vertex = labels[number, VERTEX]
    other = first[vertex]
    while other >= 0:
        if dominates(classes, most, labels, other, number):
            return
        other = labels[other, NEXT]
    last, other = -1, first[vertex]
    while other >= 0:
        following = labels[other, NEXT]
        if dominates(classes, most, labels, number, other):
            labels[other, DEAD] = DOMINATED
            if last < 0:
                first[vertex] = following
            else:
                labels[last, NEXT] = following
        else:
            last = other
        other = following
    labels[number, NEXT] = first[vertex]
    first[vertex] = number
    cells[COUNT] = number + 1
    queue(heap, cells, low, second, number)


def price_key(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, shut: Any, targets: Any, size: Any,
    span: Any, far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, labels: Any, cells: Any, number: int,
) -> int:  # fmt: skip
    """The least that a path through a label costs; NEVER where that is over the budget."""
    cls, vertex, price, budget = labels[number, CLASS], labels[number, VERTEX], labels[number, PAST], most[PRICE]
    if cls >= 0:
        used = labels[number, USED]
        price += classes[cls, BASE] + (max(classes[cls, LEAST], used) if classes[cls, FLAT] else used)
    if most[AIM] == FASTEST and budget >= NEVER:
        return int(price)
    need = budget - price if budget < NEVER else NEVER
    if need < 0:
        return NEVER
    if most[AIM] == CHEAPEST and cells[REACH] > 0:
        need = min(need, max(0, cells[REACH] - price))
    if count[PRICE] >= 0 and (far[PRICE, vertex] <= front[PRICE] or front[PRICE] > need):
        price += min(far[PRICE, vertex], front[PRICE])
    else:
        price += advance(
            ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
            targets, size, span, far, keys, places, front, count, most, PRICE, vertex, need,
        )  # fmt: skip
    if price >= NEVER or price > budget:
        return NEVER
    if cells[REACH] == 0:
        cells[REACH] = price + price // REACH_SHARE
    return int(price)


def keep(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, shut: Any, targets: Any, size: Any,
    span: Any, far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, labels: Any, heap: Any, first: Any, cells: Any,
    number: int,
) -> None:  # fmt: skip
    """Queue a label under the least that a path through it can come to, unless it cannot lead anywhere.

    It is the one in the next free row, or one that comes back because bounds on price now say more.
    """
    vertex = labels[number, VERTEX]
    for row in range(LATENCY, ROWS):
        if most[row] < NEVER and labels[number, LAT + row - LATENCY] + far[row, vertex] > most[row]:
            return
    price = price_key(
        ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
        targets, size, span, far, keys, places, front, count, most, labels, cells, number,
    )  # fmt: skip
    if price >= NEVER:
        return
    low, second = price, labels[number, LAT]
    if most[AIM] == FASTEST:
        if count[LATENCY] < 0 or far[LATENCY, vertex] > front[LATENCY]:
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
                targets, size, span, far, keys, places, front, count, most, LATENCY, vertex, most[LATENCY],
            )  # fmt: skip
        if far[LATENCY, vertex] >= NEVER:
            return
        low, second = second + far[LATENCY, vertex], price
    if no_better(cells, low, second):
        return
    if number == cells[COUNT]:
        place_label(classes, most, labels, heap, first, cells, low, second)
    else:
        queue(heap, cells, low, second, number)


def look_ahead(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, shut: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, sources: Any,
) -> None:  # fmt: skip
    """Make the bounds on everything under a limit, as far as the limits go."""
    if front[LATENCY] < most[LATENCY] < NEVER:
        # From both ends: half way from the sources, all the way back where that leaves a chance, then the rest.
        for row, ends, need in (
            (BEFORE, sources, most[LATENCY] // 2),
            (LATENCY, targets, most[LATENCY]),
            (BEFORE, sources, most[LATENCY]),
        ):
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
                ends, size, span, far, keys, places, front, count, most, row, -1, need,
            )  # fmt: skip
    for row in range(JITTER, ROWS):
        if front[row] < most[row] < NEVER:
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
                targets, size, span, far, keys, places, front, count, most, row, -1, most[row],
            )  # fmt: skip


def search(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work, degree: int) -> int:
    """Run until an end; called again after FULL with more rows, it goes on."""
    ptr, hot, live, cool, vertices, step_ptr, steps = (
        net.ptr, net.hot, net.live, net.cool, net.vertices, net.step_ptr, net.steps
    )  # fmt: skip
    marks, span = net.marks, plan.span
    admitted, classes, rates, state = plan.admitted, plan.classes, plan.rates, plan.state
    fits, shut, targets, size = plan.fits, plan.shut, plan.targets, plan.size
    far, keys, places, front, count = ahead.far, ahead.keys, ahead.places, ahead.front, ahead.count
    most, watched, ending, twins = ask.most, ask.watched, ask.ending, ask.twins
    prefix, banned = ask.prefix, ask.banned
    labels, heap, first, cells = work.labels, work.heap, work.first, work.cells
    if cells[BEGUN] == 0:
        cells[BEGUN] = 1
        look_ahead(
            ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
            targets, size, span, far, keys, places, front, count, most, ask.sources,
        )  # fmt: skip
        for source in ask.sources:
            if (prefix.size > 0 and prefix[0] != source) or (prefix.size == 0 and has(banned, source)):
                continue
            number = cells[COUNT]
            labels[number, :] = 0
            labels[number, VERTEX], labels[number, PARENT], labels[number, CLASS] = source, -1, -1
            labels[number, DELIVERED], labels[number, AVAILABLE] = PPB, PPB
            labels[number, PAST_DELIVERED], labels[number, PAST_AVAILABLE] = PPB, PPB
            labels[number, MASK] = watched[vertices[source, OWNER]] | twin_bit(twins, source)
            keep(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
                targets, size, span, far, keys, places, front, count, most, labels, heap, first, cells, number,
            )  # fmt: skip
    while cells[HEAP] > 0:
        if cells[COUNT] + degree >= labels.shape[0]:
            return FULL
        low, second, label = heap[0, 0], heap[0, 1], heap[0, 2]
        if no_better(cells, low, second):
            break
        if labels[label, DEAD] == ALIVE and cells[LEFT] <= 0:
            cells[LEAST_KEY] = low
            return SPENT
        unqueue(heap, cells)
        if labels[label, DEAD] == GOAL:
            cells[LEAST_KEY], cells[FOUND] = low, label
            return TWICE
        if labels[label, DEAD] == DOMINATED:
            continue
        if most[AIM] == CHEAPEST and low > cells[REACH]:
            # Bounds on price had stopped early for this label; now they say more.
            cells[REACH] = low + low // REACH_SHARE
            keep(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
                targets, size, span, far, keys, places, front, count, most, labels, heap, first, cells, label,
            )  # fmt: skip
            continue
        cells[LEFT] -= 1
        cells[DONE] += 1
        here, place = labels[label, VERTEX], labels[label, SEGMENTS] + 1
        for slot in range(ptr[here], ptr[here + 1]):
            if admitted[hot[slot, CLS]] == 0:
                continue
            to, arc = hot[slot, HEAD], hot[slot, ARC]
            found = state[to]
            ends = found != INSIDE
            if ends:
                if found == UNKNOWN:
                    found = judged(vertices, step_ptr, steps, fits, state, size, to)
                if not found & (OPEN | TARGET):
                    continue
                if place < prefix.size:
                    if prefix[place] != to:
                        continue
                elif place == prefix.size and has(banned, to):
                    continue
            if shut.size > 0 and shut[arc] == 1:
                continue
            if not has_room(step_ptr, steps, fits, size, live[arc, STEPS]):
                continue
            number = cells[COUNT]
            labels[number, PARENT] = label
            along(hot, live, cool, rates, labels, number, slot, to)
            if ends:
                if found & OPEN:
                    entered = vertices[to, CROSS]
                    bit, mask = watched[vertices[entered, OWNER]], labels[number, MASK]
                    all_left = True
                    for end in ending:
                        if not mask & end:
                            all_left = False
                    if mask & bit or all_left:
                        continue
                    complete(classes, rates, labels, number)
                    labels[number, VERTEX], labels[number, MASK] = entered, mask | bit
                    labels[number, LAT] += vertices[to, CROSS_US]
                else:
                    complete(classes, rates, labels, number)
                    finish(vertices, most, twins, labels, heap, cells)
                    continue
            keep(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, shut,
                targets, size, span, far, keys, places, front, count, most, labels, heap, first, cells, number,
            )  # fmt: skip
    nothing = cells[BEST] == -2 or (cells[BEST] == -1 and cells[LEFT_OUT] == 0)
    cells[LEAST_KEY] = NEVER if nothing else cells[BEST_FIRST]
    return PROVEN

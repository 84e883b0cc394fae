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
    advance,
    judged,
    spanned,
    usable,
)
from federation.broker.paths.kernel.arrays import (
    ARC,
    CLS,
    CROSS,
    CROSS_US,
    HEAD,
    INSIDE,
    LATENCY_US,
    OPEN,
    OWNER,
    TARGET,
    UNKNOWN,
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
    SLOT,
    USED,
    VERTEX,
    along,
    broken,
    complete,
    dominates,
    twice,
    twin_bit,
)

# Cells of `Work.cells`.
BEGUN, COUNT, REACH, LEFT, DONE, BEST, BEST_FIRST, BEST_SECOND, LEAST_KEY, FOUND, LEFT_OUT = 0, 1, *range(3, 12)
BEST_STEPS, FOUND_STEPS = 12, 13
CELLS: Final = 14
# Where an ended search tells ways: the columns of `Work.heap`, as then nothing is queued any more.
BEST_WAY, FOUND_WAY = 0, 1
# How a search ends: at a path that enters an operator twice, proven, out of work, or out of rows for labels.
TWICE, PROVEN, SPENT, FULL = range(4)
REACH_SHARE: Final = 8
STRIDES: Final = 32  # of the limit on latency: how far one end goes on before the other may have its turn


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


def told(labels: Any, heap: Any, column: int, number: int) -> int:
    """Tell the way to a label, last slot first, then its source; slots doubled, and one more where a segment begins."""
    many = 0
    while labels[number, PARENT] >= 0:
        parent = labels[number, PARENT]
        heap[many, column] = 2 * labels[number, SLOT] + (1 if labels[parent, CLASS] < 0 else 0)
        many += 1
        number = parent
    heap[many, column] = labels[number, VERTEX]
    return many


def ended(labels: Any, heap: Any, first: Any, cells: Any, status: int) -> int:
    """Tell the best path, and the one that enters twice; leave no label at any vertex."""
    if cells[BEST] >= 0:
        cells[BEST_STEPS] = told(labels, heap, BEST_WAY, cells[BEST])
    if status == TWICE:
        cells[FOUND_STEPS] = told(labels, heap, FOUND_WAY, cells[FOUND])
    for number in range(cells[COUNT]):
        first[labels[number, VERTEX]] = -1
    return status


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
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, opened: Any, targets: Any, size: Any,
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
            ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
            targets, size, span, far, keys, places, front, count, most, PRICE, vertex, need,
        )  # fmt: skip
    if price >= NEVER or price > budget:
        return NEVER
    if cells[REACH] == 0:
        cells[REACH] = price + price // REACH_SHARE
    return int(price)


def keep(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, opened: Any, targets: Any, size: Any,
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
        ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
        targets, size, span, far, keys, places, front, count, most, labels, cells, number,
    )  # fmt: skip
    if price >= NEVER:
        return
    low, second = price, labels[number, LAT]
    if most[AIM] == FASTEST:
        if count[LATENCY] < 0 or far[LATENCY, vertex] > front[LATENCY]:
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
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


def least_onward(vertices: Any, far: Any, most: Any, found: int, to: int) -> int:
    """What latency is at least still to come behind an arc that leads to a vertex in some state; none if unlimited."""
    if most[LATENCY] >= NEVER or found & TARGET:
        return 0
    if found & OPEN:
        return int(vertices[to, CROSS_US] + far[LATENCY, vertices[to, CROSS]])
    return int(far[LATENCY, to])


def look_ahead(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, opened: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, sources: Any,
) -> None:  # fmt: skip
    """Make the bounds on everything under a limit, as far as the limits go."""
    limit = most[LATENCY]
    if front[LATENCY] < limit < NEVER:
        spanned(marks, sources, targets, span)
        # From both ends, always where less is queued, until they have met; then the rest of either.
        stride, back, ahead = limit // STRIDES + 1, min(front[BEFORE], limit), min(front[LATENCY], limit)
        while back + ahead < limit:
            row, ends, need = BEFORE, sources, back + stride
            if count[LATENCY] < count[BEFORE]:
                row, ends, need = LATENCY, targets, ahead + stride
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
                ends, size, span, far, keys, places, front, count, most, row, -1, need,
            )  # fmt: skip
            back, ahead = max(back, min(front[BEFORE], limit)), min(front[LATENCY], limit)
        for row, ends in ((LATENCY, targets), (BEFORE, sources)):
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
                ends, size, span, far, keys, places, front, count, most, row, -1, limit,
            )  # fmt: skip
    for row in range(JITTER, ROWS):
        if front[row] < most[row] < NEVER:
            advance(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
                targets, size, span, far, keys, places, front, count, most, row, -1, most[row],
            )  # fmt: skip


def search(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, opened: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, sources: Any, watched: Any, ending: Any, twins: Any, prefix: Any, banned: Any,
    labels: Any, heap: Any, first: Any, cells: Any, degree: int,
) -> int:  # fmt: skip
    """Run until an end; called again after FULL with more rows, it goes on.

    Arrays are those of a `Net`, a `Plan`, an `Ahead`, an `Ask` and a `Work`, in order: what is passed one by one is
    read in half the time.
    """
    if cells[BEGUN] == 0:
        cells[BEGUN] = 1
        look_ahead(
            ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
            targets, size, span, far, keys, places, front, count, most, sources,
        )  # fmt: skip
        for source in sources:
            if (prefix.size > 0 and prefix[0] != source) or (prefix.size == 0 and has(banned, source)):
                continue
            number = cells[COUNT]
            labels[number, :] = 0
            labels[number, VERTEX], labels[number, PARENT], labels[number, CLASS] = source, -1, -1
            labels[number, DELIVERED], labels[number, AVAILABLE] = PPB, PPB
            labels[number, PAST_DELIVERED], labels[number, PAST_AVAILABLE] = PPB, PPB
            labels[number, MASK] = watched[vertices[source, OWNER]] | twin_bit(twins, source)
            keep(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
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
            return ended(labels, heap, first, cells, SPENT)
        unqueue(heap, cells)
        if labels[label, DEAD] == GOAL:
            cells[LEAST_KEY], cells[FOUND] = low, label
            return ended(labels, heap, first, cells, TWICE)
        if labels[label, DEAD] == DOMINATED:
            continue
        if most[AIM] == CHEAPEST and low > cells[REACH]:
            # Bounds on price had stopped early for this label; now they say more.
            cells[REACH] = low + low // REACH_SHARE
            keep(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
                targets, size, span, far, keys, places, front, count, most, labels, heap, first, cells, label,
            )  # fmt: skip
            continue
        cells[LEFT] -= 1
        cells[DONE] += 1
        here, place, late = labels[label, VERTEX], labels[label, SEGMENTS] + 1, labels[label, LAT]
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
            # Most labels would break the limit on latency: this is told before one is written.
            if late + hot[slot, LATENCY_US] + least_onward(vertices, far, most, found, to) > most[LATENCY]:
                continue
            if not usable(live, step_ptr, steps, fits, opened, size, arc):
                continue
            number = cells[COUNT]
            labels[number, PARENT] = label
            along(hot, live, cool, rates, most, labels, number, slot, to)
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
                    complete(classes, rates, most, labels, number)
                    labels[number, VERTEX], labels[number, MASK] = entered, mask | bit
                    labels[number, LAT] += vertices[to, CROSS_US]
                else:
                    complete(classes, rates, most, labels, number)
                    finish(vertices, most, twins, labels, heap, cells)
                    continue
            keep(
                ptr, hot, live, cool, vertices, step_ptr, steps, marks, admitted, classes, rates, state, fits, opened,
                targets, size, span, far, keys, places, front, count, most, labels, heap, first, cells, number,
            )  # fmt: skip
    nothing = cells[BEST] == -2 or (cells[BEST] == -1 and cells[LEFT_OUT] == 0)
    cells[LEAST_KEY] = NEVER if nothing else cells[BEST_FIRST]
    return ended(labels, heap, first, cells, PROVEN)

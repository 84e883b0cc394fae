"""Label setting over the arrays, best first: `federation.broker.paths.solver` says the same over objects.

Plain Python over numpy arrays that numba compiles as it stands. A label is a row of `Work.labels`; a path that does
not keep a limit is never finished, prices of complete segments are exact, and what is left out is dominated.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from federation.broker.paths.kernel.ahead import (
    ADMITTED,
    ALL_BEGUN,
    BASE,
    FLAT,
    FRACTIONS,
    HOPS,
    LATENCY,
    LEAST,
    MINIMUM,
    NEVER,
    PER_GBPS,
    PER_HOURLY,
    PRICE,
    RATIOS,
    ROWS,
    SET_UP,
    SLACK,
    WANTED_BPS,
    Ahead,
    Plan,
    advance,
    judged,
    least_free,
)
from federation.broker.paths.kernel.arrays import (
    ARC,
    AVAILABLE_PPB,
    CLS,
    CROSS,
    CROSS_US,
    DELIVERED_PPB,
    GBPS,
    HEAD,
    HOURLY,
    IS_INTERFACE,
    JITTER_US,
    LATENCY_US,
    OPEN,
    OWNER,
    ROOM,
    STEPS,
    TARGET,
    UNKNOWN,
    Net,
)

PPB: Final = 1_000_000_000
# Columns of a label. LAT begins five sums in the order of the rows of `Ahead`.
VERTEX, PARENT, SLOT, CLASS, PAST, PORT, BAND, USED, LAT, JIT, LOG_LOST, LOG_DOWN, SEGMENTS = range(13)
DELIVERED, AVAILABLE, PAST_DELIVERED, PAST_AVAILABLE, MASK, NEXT, DEAD = range(13, 20)
FIELDS: Final = 20
ALIVE, DOMINATED, GOAL = 0, 1, 2
# Cells of `Work.cells`.
BEGUN, COUNT, HEAP, REACH, LEFT, DONE, BEST, BEST_FIRST, BEST_SECOND, LEAST_KEY, FOUND = range(11)
CELLS: Final = 11
# How a search ends: at a path that enters an operator twice, proven, out of work, or out of rows for labels.
TWICE, PROVEN, SPENT, FULL = range(4)
REACH_SHARE: Final = 8
# Aims, and cells of `Ask.most` behind those per row: the most loss, the least availability (exact, -1 without), aim.
CHEAPEST, FASTEST = 0, 1
LOSS, AVAILABILITY, AIM = range(ROWS, ROWS + 3)


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


def ratio_up(amount: int, numerator: int, denominator: int, ratio: float) -> int:
    """`amount` times a fraction, rounded up, exactly: the remainder is small, so 64 bits that wrap around suffice."""
    found = int(amount * ratio)
    rest = amount * numerator - found * denominator
    while rest > 0:
        found += 1
        rest -= denominator
    while rest <= -denominator:
        found -= 1
        rest += denominator
    return found


def billed(classes: Any, rates: Any, cls: int, hourly: int, gbps: int) -> int:
    """A whole segment's price, exactly as `schemas.price.charge` bills it and `RateTable.convert` converts it."""
    port = ratio_up(hourly, classes[cls, FRACTIONS], classes[cls, FRACTIONS + 1], rates[cls, RATIOS])
    band = ratio_up(gbps, classes[cls, FRACTIONS + 2], classes[cls, FRACTIONS + 3], rates[cls, RATIOS + 1])
    total = classes[cls, SET_UP] + max(classes[cls, MINIMUM], port + band)
    return ratio_up(total, classes[cls, FRACTIONS + 4], classes[cls, FRACTIONS + 5], rates[cls, RATIOS + 2])


def cheaper(classes: Any, labels: Any, a: int, b: int) -> int:
    """Whether `a` will cost less (2), no more (1), or it is unknown (0): `labels.cheaper`."""
    ahead = labels[b, PAST] - labels[a, PAST]
    if ahead >= 0 and labels[a, PORT] <= labels[b, PORT] and labels[a, BAND] <= labels[b, BAND]:
        return 2 if ahead > 0 else 1
    cls = labels[a, CLASS]
    if cls < 0:
        return 0
    ours, theirs, least = labels[a, USED], labels[b, USED], classes[cls, LEAST]
    ahead -= classes[cls, SLACK]
    return 2 if ours - theirs <= ahead and max(least, ours) - max(least, theirs) <= ahead else 0


def dominates(classes: Any, most: Any, labels: Any, a: int, b: int) -> bool:
    """Whether everything that label `b` leads to can be had through `a`, as well or better."""
    if labels[a, MASK] & ~labels[b, MASK]:
        return False
    if most[LATENCY] < NEVER and labels[a, LAT] > labels[b, LAT]:
        return False
    if most[LATENCY + 1] < NEVER and labels[a, JIT] > labels[b, JIT]:
        return False
    if most[HOPS] < NEVER and labels[a, SEGMENTS] > labels[b, SEGMENTS]:
        return False
    if most[LOSS] >= 0 and (
        labels[a, DELIVERED] < labels[b, DELIVERED] or labels[a, PAST_DELIVERED] < labels[b, PAST_DELIVERED]
    ):
        return False
    if most[AVAILABILITY] >= 0 and (
        labels[a, AVAILABLE] < labels[b, AVAILABLE] or labels[a, PAST_AVAILABLE] < labels[b, PAST_AVAILABLE]
    ):
        return False
    found = cheaper(classes, labels, a, b)
    if most[AIM] == CHEAPEST:
        return found == 2 or (found == 1 and labels[a, LAT] <= labels[b, LAT])
    if labels[a, LAT] != labels[b, LAT] and most[PRICE] >= NEVER:
        return bool(labels[a, LAT] < labels[b, LAT])
    return labels[a, LAT] <= labels[b, LAT] and found > 0


def queue(heap: Any, cells: Any, first: int, second: int, number: int) -> None:
    """Put a label into the heap."""
    place = cells[HEAP]
    cells[HEAP] = place + 1
    while place > 0:
        above = (place - 1) >> 1
        if heap[above, 0] < first or (heap[above, 0] == first and heap[above, 1] <= second):
            break
        heap[place, 0], heap[place, 1], heap[place, 2] = heap[above, 0], heap[above, 1], heap[above, 2]
        place = above
    heap[place, 0], heap[place, 1], heap[place, 2] = first, second, number


def unqueue(heap: Any, cells: Any) -> None:
    """Drop the first place of the heap."""
    last = cells[HEAP] - 1
    cells[HEAP] = last
    first, second, number = heap[last, 0], heap[last, 1], heap[last, 2]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and (
            heap[child + 1, 0] < heap[child, 0]
            or (heap[child + 1, 0] == heap[child, 0] and heap[child + 1, 1] < heap[child, 1])
        ):
            child += 1
        if first < heap[child, 0] or (first == heap[child, 0] and second <= heap[child, 1]):
            break
        heap[place, 0], heap[place, 1], heap[place, 2] = heap[child, 0], heap[child, 1], heap[child, 2]
        place = child
    heap[place, 0], heap[place, 1], heap[place, 2] = first, second, number


def no_better(cells: Any, first: int, second: int) -> bool:
    """Whether a key is no better than that of the best path so far."""
    if cells[BEST] == -2:
        return False
    return bool(first > cells[BEST_FIRST] or (first == cells[BEST_FIRST] and second >= cells[BEST_SECOND]))


def has(values: Any, value: int) -> bool:
    """Whether a short array has a value."""
    for each in values:  # noqa: SIM110 - compiled: a loop, not a generator
        if each == value:
            return True
    return False


def twin_bit(twins: Any, vertex: int) -> int:
    """The bit of a UNI that is source and target, else 0."""
    for place in range(twins.size):
        if twins[place] == vertex:
            return 1 << place
    return 0


def broken(most: Any, labels: Any, number: int) -> bool:
    """Whether a whole path breaks a limit: all values are exact."""
    if labels[number, LAT] > most[LATENCY] or labels[number, JIT] > most[LATENCY + 1]:
        return True
    if labels[number, SEGMENTS] > most[HOPS] or labels[number, PAST] > most[PRICE]:
        return True
    if most[LOSS] >= 0 and PPB - labels[number, PAST_DELIVERED] > most[LOSS]:
        return True
    return bool(labels[number, PAST_AVAILABLE] < most[AVAILABILITY])


def twice(vertices: Any, labels: Any, number: int) -> bool:
    """Whether a path enters an operator more than once."""
    here = labels[number, PARENT]
    while here >= 0:
        if labels[here, CLASS] < 0:
            owner, other = vertices[labels[here, VERTEX], OWNER], labels[here, PARENT]
            while other >= 0:
                if labels[other, CLASS] < 0 and vertices[labels[other, VERTEX], OWNER] == owner:
                    return True
                other = labels[other, PARENT]
        here = labels[here, PARENT]
    return False


def along(hot: Any, cool: Any, rates: Any, labels: Any, number: int, slot: int, to: int) -> None:
    """Write the label that is one arc further than its parent, within the segment, into row `number`."""
    cls, parent = hot[slot, CLS], labels[number, PARENT]
    labels[number, VERTEX], labels[number, SLOT], labels[number, CLASS] = to, slot, cls
    labels[number, PAST] = labels[parent, PAST]
    port, band = labels[parent, PORT] + hot[slot, HOURLY], labels[parent, BAND] + hot[slot, GBPS]
    labels[number, PORT], labels[number, BAND] = port, band
    labels[number, USED] = int(port * rates[cls, PER_HOURLY] + band * rates[cls, PER_GBPS])
    labels[number, LAT] = labels[parent, LAT] + hot[slot, LATENCY_US]
    for sum_ in range(3):
        labels[number, JIT + sum_] = labels[parent, JIT + sum_] + cool[slot, JITTER_US + sum_]
    labels[number, SEGMENTS] = labels[parent, SEGMENTS]
    labels[number, DELIVERED] = labels[parent, DELIVERED] * cool[slot, DELIVERED_PPB] // PPB
    labels[number, AVAILABLE] = labels[parent, AVAILABLE] * cool[slot, AVAILABLE_PPB] // PPB
    labels[number, PAST_DELIVERED] = labels[parent, PAST_DELIVERED]
    labels[number, PAST_AVAILABLE] = labels[parent, PAST_AVAILABLE]
    labels[number, MASK], labels[number, DEAD] = labels[parent, MASK], ALIVE


def complete(classes: Any, rates: Any, labels: Any, number: int) -> None:
    """End the segment under way: from here on its price and shares are part of the past, exact."""
    cls = labels[number, CLASS]
    labels[number, PAST] += billed(classes, rates, cls, labels[number, PORT], labels[number, BAND])
    labels[number, PAST_DELIVERED] = labels[number, PAST_DELIVERED] * labels[number, DELIVERED] // PPB
    labels[number, PAST_AVAILABLE] = labels[number, PAST_AVAILABLE] * labels[number, AVAILABLE] // PPB
    labels[number, SEGMENTS] += 1
    labels[number, CLASS], labels[number, PORT], labels[number, BAND], labels[number, USED] = -1, 0, 0, 0
    labels[number, DELIVERED], labels[number, AVAILABLE] = PPB, PPB


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
    ptr: Any, hot: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    classes: Any, rates: Any, state: Any, shut: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
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
            ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
            far, keys, places, front, count, most, PRICE, vertex, need,
        )  # fmt: skip
    if price >= NEVER or price > budget:
        return NEVER
    if cells[REACH] == 0:
        cells[REACH] = price + price // REACH_SHARE
    return int(price)


def keep(
    ptr: Any, hot: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    classes: Any, rates: Any, state: Any, shut: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
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
        ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
        far, keys, places, front, count, most, labels, cells, number,
    )  # fmt: skip
    if price >= NEVER:
        return
    low, second = price, labels[number, LAT]
    if most[AIM] == FASTEST:
        if count[LATENCY] < 0 or far[LATENCY, vertex] > front[LATENCY]:
            advance(
                ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
                far, keys, places, front, count, most, LATENCY, vertex, most[LATENCY],
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


def search(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work, degree: int) -> int:
    """Run until an end; called again after FULL with more rows, it goes on."""
    ptr, hot, cool, vertices, step_ptr, steps = net.ptr, net.hot, net.cool, net.vertices, net.step_ptr, net.steps
    marks, span = net.marks, plan.span
    classes, rates, state = plan.classes, plan.rates, plan.state
    shut, targets, size = plan.shut, plan.targets, plan.size
    far, keys, places, front, count = ahead.far, ahead.keys, ahead.places, ahead.front, ahead.count
    most, watched, ending, twins = ask.most, ask.watched, ask.ending, ask.twins
    prefix, banned = ask.prefix, ask.banned
    labels, heap, first, cells = work.labels, work.heap, work.first, work.cells
    if cells[BEGUN] == 0:
        cells[BEGUN] = 1
        for row in range(LATENCY, ROWS):
            if front[row] < most[row] < NEVER:
                advance(
                    ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
                    far, keys, places, front, count, most, row, -1, most[row],
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
                ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
                far, keys, places, front, count, most, labels, heap, first, cells, number,
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
                ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
                far, keys, places, front, count, most, labels, heap, first, cells, label,
            )  # fmt: skip
            continue
        cells[LEFT] -= 1
        cells[DONE] += 1
        here, place = labels[label, VERTEX], labels[label, SEGMENTS] + 1
        for slot in range(ptr[here], ptr[here + 1]):
            to = hot[slot, HEAD]
            if classes[hot[slot, CLS], ADMITTED] == 0:
                continue
            ends = vertices[to, IS_INTERFACE] == 1
            found = OPEN
            if ends:
                found = state[to]
                if found == UNKNOWN:
                    found = judged(vertices, step_ptr, steps, state, size, to)
                if not found & (OPEN | TARGET):
                    continue
                if place < prefix.size:
                    if prefix[place] != to:
                        continue
                elif place == prefix.size and has(banned, to):
                    continue
            if shut.size > 0 and shut[hot[slot, ARC]] == 1:
                continue
            fits = size[ALL_BEGUN] == 1 and hot[slot, ROOM] >= size[WANTED_BPS]
            if not fits and least_free(step_ptr, steps, hot[slot, STEPS], size) < size[WANTED_BPS]:
                continue
            number = cells[COUNT]
            labels[number, PARENT] = label
            along(hot, cool, rates, labels, number, slot, to)
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
                ptr, hot, cool, vertices, step_ptr, steps, marks, classes, rates, state, shut, targets, size, span,
                far, keys, places, front, count, most, labels, heap, first, cells, number,
            )  # fmt: skip
    cells[LEAST_KEY] = NEVER if cells[BEST] == -2 else cells[BEST_FIRST]
    return PROVEN

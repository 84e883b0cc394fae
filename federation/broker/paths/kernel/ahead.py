"""How much of each resource is at least still to come: Dijkstra backwards over the arrays, as far as asked.

Plain Python over numpy arrays that numba compiles as it stands; `federation.broker.paths.bounds` says the same over
objects. One row per resource. All numbers are whole and never exceed the exact value. Arrays are passed one by one:
compiled code counts references whenever it takes one out of a tuple.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from federation.broker.paths.kernel.arrays import (
    ARC,
    CLS,
    CROSS,
    CROSS_US,
    FREE,
    GBPS,
    HEAD,
    HOURLY,
    IS_INTERFACE,
    LATENCY_US,
    MTU,
    OPEN,
    ROOM,
    SHUT,
    SIDE_ROOM,
    SPEED,
    STEPS,
    UNKNOWN,
)

NEVER: Final = 1 << 60
PRICE, LATENCY, JITTER, LOST, DOWN, HOPS = range(6)
ROWS: Final = 6
# Columns of `Plan.classes`; then three fractions, of port, bandwidth and conversion.
ADMITTED, FLAT, BASE, LEAST, ENTRY, SLACK, SET_UP, MINIMUM, FRACTIONS = range(9)
CLASS_COLUMNS: Final = FRACTIONS + 6
# Columns of `Plan.rates`; then the ratios of the three fractions.
PER_HOURLY, PER_GBPS, RATIOS = range(3)
RATE_COLUMNS: Final = RATIOS + 3
# Cells of `Plan.size`.
WANTED_BPS, WANTED_MTU, START_S, END_S, ALL_BEGUN = range(5)


class Plan(NamedTuple):
    """What one question admits, and what things cost it, as the compiled functions read it.

    `span` says between which distances from each landmark the sources lie.

    `classes` and `rates` have a row per route class: whether it is admitted, bounds on its price, and the exact price.
    `state` is what is known of interfaces. `shut` has a byte per arc where an offer is excluded, else nothing.
    """

    classes: Any
    rates: Any
    state: Any
    shut: Any
    targets: Any
    size: Any
    span: Any


class Ahead(NamedTuple):
    """Rows of a search backwards: `far` is the least known, final up to `front`; `keys` and `places` are heaps.

    `count` is the size of each heap, -1 before the search began.
    """

    far: Any
    keys: Any
    places: Any
    front: Any
    count: Any


def least_free(step_ptr: Any, steps: Any, number: int, size: Any) -> int:
    """The least capacity within the window; nothing is free before the first step."""
    first, last = step_ptr[number], step_ptr[number + 1]
    if first == last or steps[first, 0] > size[START_S]:
        return 0
    least = -1
    for place in range(first, last):
        if steps[place, 0] >= size[END_S]:
            break
        if place + 1 == last or steps[place + 1, 0] > size[START_S]:
            bps = steps[place, 1]
            if least < 0 or bps < least:
                least = bps
    return max(least, 0)


def judged(vertices: Any, step_ptr: Any, steps: Any, state: Any, size: Any, vertex: int) -> int:
    """The state of an interface, and of the other side of its interconnect: wide enough, with room, or not."""
    there, found = vertices[vertex, CROSS], SHUT
    if there >= 0:
        found = OPEN
        for side in (vertex, there):
            wide = vertices[side, MTU] >= size[WANTED_MTU] and vertices[side, SPEED] >= size[WANTED_BPS]
            room = size[ALL_BEGUN] == 1 and vertices[side, SIDE_ROOM] >= size[WANTED_BPS]
            if not wide or (not room and least_free(step_ptr, steps, vertices[side, FREE], size) < size[WANTED_BPS]):
                found = SHUT
        state[there] = found
    state[vertex] = found
    return found


def least_latency(marks: Any, span: Any, vertex: int) -> int:
    """What light and detours need from the nearest source to a vertex at least, told by the landmarks."""
    found = 0
    for place in range(marks.shape[1]):
        distance = marks[vertex, place]
        found = max(found, distance - span[1, place], span[0, place] - distance)
    return found


def hopeless(marks: Any, span: Any, far: Any, most: Any, row: int, to: int, reached: int) -> bool:
    """Whether every path through a vertex breaks a limit, by what has been found before this row and in it."""
    if reached > most[row]:
        return True
    if row == LATENCY:
        return bool(most[row] < NEVER and reached + least_latency(marks, span, to) > most[row])
    for other in range(LATENCY, ROWS if row == PRICE else row):
        if most[other] < NEVER and far[other, to] > most[other]:
            return True
    return False


def advance(
    ptr: Any, hot: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    classes: Any, rates: Any, state: Any, shut: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, row: int, vertex: int, need: int,
) -> int:  # fmt: skip
    """Go on backwards until a vertex is reached, or what is left lies beyond `need`.

    A target is scanned as an interface to leave by, a node as itself, and an ENNI means the one across. One function,
    because this is where the time goes. Rows under a limit come before the price, and close vertices to later rows.
    """
    wanted, all_begun = size[WANTED_BPS], size[ALL_BEGUN] == 1
    mine, heap, held = far[row], keys[row], places[row]
    many, first, bound = count[row], targets.size, front[row]
    if many < 0:
        many, first, bound = 0, 0, 0
        mine[:] = NEVER
    while True:
        if first < targets.size:
            here, settled = targets[first], -2
            total = vertices[here, CROSS_US] if row == LATENCY else (1 if row == HOPS else 0)
            direct = True
            first += 1
        else:
            if many == 0:
                bound = NEVER
                break
            total = heap[0]
            if total > need:
                bound = total
                break
            settled = held[0]
            many -= 1
            sink(heap, held, many)
            if total != mine[settled]:
                continue
            bound, here, direct = total, settled, False
            if vertices[here, IS_INTERFACE] == 1:
                if row == LATENCY:
                    total += vertices[here, CROSS_US]
                elif row == HOPS:
                    total += 1
                here = vertices[here, CROSS]
                direct = True
        for slot in range(ptr[here], ptr[here + 1] if here >= 0 else 0):
            to = hot[slot, HEAD]
            known = mine[to]
            if known <= total:
                continue
            cls = hot[slot, CLS]
            if classes[cls, ADMITTED] == 0:
                continue
            ends = vertices[to, IS_INTERFACE] == 1
            reached = total
            if row == PRICE:
                used = int(hot[slot, HOURLY] * rates[cls, PER_HOURLY] + hot[slot, GBPS] * rates[cls, PER_GBPS])
                if ends and direct:
                    reached += classes[cls, BASE] + max(classes[cls, LEAST], used)
                else:
                    if classes[cls, FLAT] == 0:
                        reached += used
                    if ends:
                        reached += classes[cls, ENTRY]
            elif row == LATENCY:
                reached += hot[slot, LATENCY_US]
            elif row != HOPS:
                reached += cool[slot, row - JITTER]
            if reached >= known or hopeless(marks, span, far, most, row, to, reached):
                continue
            fits = all_begun and hot[slot, ROOM] >= wanted
            if not fits and least_free(step_ptr, steps, hot[slot, STEPS], size) < wanted:
                continue
            if shut.size > 0 and shut[hot[slot, ARC]] == 1:
                continue
            if ends:
                found = state[to]
                if found == UNKNOWN:
                    found = judged(vertices, step_ptr, steps, state, size, to)
                if found & SHUT:
                    continue
            mine[to] = reached
            lift(heap, held, many, reached, to)
            many += 1
        if settled == vertex:
            break
    front[row], count[row] = bound, many
    return int(min(bound, mine[vertex]) if vertex >= 0 else bound)


def lift(keys: Any, places: Any, place: int, key: int, vertex: int) -> None:
    """Put a vertex into a heap of `place` others; four children to a place."""
    while place > 0:
        above = (place - 1) >> 2
        if keys[above] <= key:
            break
        keys[place] = keys[above]
        places[place] = places[above]
        place = above
    keys[place] = key
    places[place] = vertex


def sink(keys: Any, places: Any, many: int) -> None:
    """Fill the first place of a heap with its last, `many`, which is no part of it any more."""
    key, vertex = keys[many], places[many]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= many:
            break
        best, least = child, keys[child]
        for other in range(child + 1, min(child + 4, many)):
            if keys[other] < least:
                best, least = other, keys[other]
        if least >= key:
            break
        keys[place] = least
        places[place] = places[best]
        place = best
    keys[place] = key
    places[place] = vertex

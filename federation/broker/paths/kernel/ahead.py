"""How much of each resource is at least still to come: Dijkstra backwards over the arrays, as far as asked.

Plain Python over numpy arrays that numba compiles as it stands; `federation.broker.paths.bounds` says the same over
objects. One row per resource. All numbers are whole and never exceed the exact value. Arrays are passed one by one:
compiled code counts references whenever it takes one out of a tuple.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from federation.broker.paths.kernel.arrays import (
    ARC,
    CLS,
    CROSS,
    CROSS_US,
    FREE,
    HEAD,
    INSIDE,
    IS_INTERFACE,
    LATENCY_US,
    MTU,
    OPEN,
    SHUT,
    SPEED,
    UNKNOWN,
)
from federation.broker.paths.kernel.heaps import lift, sink
from federation.broker.paths.kernel.live import GBPS, HOURLY, STEPS

NEVER: Final = 1 << 60
UNSEEN: Final = 2 * NEVER  # of a vertex that no search backwards has come to
PRICE, LATENCY, JITTER, LOST, DOWN, HOPS, BEFORE = range(7)
ROWS: Final = 6  # resources; `BEFORE` is latency once more, from the sources
# Columns of `Plan.classes`; then three fractions, of port, bandwidth and conversion.
FLAT, BASE, LEAST, ENTRY, SLACK, SET_UP, MINIMUM, FRACTIONS = range(8)
CLASS_COLUMNS: Final = FRACTIONS + 6
# Columns of `Plan.rates`; then the ratios of the three fractions.
PER_HOURLY, PER_GBPS, RATIOS = range(3)
RATE_COLUMNS: Final = RATIOS + 3
SOURCES, TARGETS = 1, 3  # rows of `Plan.span`
MARKS_USED: Final = 4
FAR_AWAY: Final = 1 << 40
# Cells of `Plan.size`.
WANTED_BPS, WANTED_MTU, START_S, END_S = range(4)


UNSPANNED: Final = np.full((5, MARKS_USED), FAR_AWAY)  # says nothing of any distance
UNSPANNED[[0, SOURCES, TARGETS]] = [[0], [-FAR_AWAY], [-FAR_AWAY]]


class Plan(NamedTuple):
    """What one question admits, and what things cost it, as the compiled functions read it.

    `admitted`, `classes` and `rates` have a row per route class: whether it is admitted, bounds on its price, and the
    exact price. `state` is what is known of vertices, `fits` of functions of time, `opened` of arcs (OPEN where there
    is room, SHUT where there is none or the offer is excluded). `span` has a column per landmark used: which one, then
    between which distances from it the sources lie, and the targets; `spanned` fills it.
    """

    admitted: Any
    classes: Any
    rates: Any
    state: Any
    fits: Any
    opened: Any
    targets: Any
    size: Any
    span: Any


class Ahead(NamedTuple):
    """Rows of a search backwards: `far` is the least known, final up to `front`; `keys` and `places` are heaps.

    From NEVER on `far` says that there is no way: UNSEEN, or NEVER and what came so far and breaks a limit.
    `count` is the size of each heap, -1 before the search began. Row `BEFORE` is such a search for latency from the
    sources, as if they were the targets.
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


def has_room(step_ptr: Any, steps: Any, fits: Any, size: Any, number: int) -> bool:
    """Whether a function of time leaves what is wanted; told once per question, as many offers share one."""
    found = fits[number]
    if found == UNKNOWN:
        found = OPEN if least_free(step_ptr, steps, number, size) >= size[WANTED_BPS] else SHUT
        fits[number] = found
    return bool(found == OPEN)


def usable(live: Any, step_ptr: Any, steps: Any, fits: Any, opened: Any, size: Any, arc: int) -> bool:
    """Whether an offer has room for what is wanted and is not excluded; told once."""
    if opened[arc] == UNKNOWN:
        opened[arc] = OPEN if has_room(step_ptr, steps, fits, size, live[arc, STEPS]) else SHUT
    return bool(opened[arc] == OPEN)


def judged(vertices: Any, step_ptr: Any, steps: Any, fits: Any, state: Any, size: Any, vertex: int) -> int:
    """The state of an interface, and of the other side of its interconnect: wide enough, with room, or not."""
    there, found = vertices[vertex, CROSS], SHUT
    if there >= 0:
        found = OPEN
        for side in (vertex, there):
            wide = vertices[side, MTU] >= size[WANTED_MTU] and vertices[side, SPEED] >= size[WANTED_BPS]
            if not wide or not has_room(step_ptr, steps, fits, size, vertices[side, FREE]):
                found = SHUT
        state[there] = found
    state[vertex] = found
    return found


def spanned(marks: Any, sources: Any, targets: Any, span: Any) -> None:
    """Choose the landmarks that say most of how far apart the ends are, and tell between which distances these lie."""
    for place in range(span.shape[1]):
        span[0, place], best = 0, -1
        for mark in range(marks.shape[1]):
            used = False
            for other in range(place):
                if span[0, other] == mark:
                    used = True
            if used:
                continue
            first, last = marks[sources[0], mark], marks[sources[0], mark]
            for source in sources:
                first, last = min(first, marks[source, mark]), max(last, marks[source, mark])
            near, far = marks[targets[0], mark], marks[targets[0], mark]
            for target in targets:
                near, far = min(near, marks[target, mark]), max(far, marks[target, mark])
            apart = max(near - last, first - far, 0)
            if apart > best:
                best = apart
                span[0, place] = mark
                span[SOURCES, place], span[SOURCES + 1, place] = first, last
                span[TARGETS, place], span[TARGETS + 1, place] = near, far


def least_latency(marks: Any, span: Any, side: int, vertex: int) -> int:
    """What light and detours need from a vertex to the nearest end of one side at least, told by the landmarks."""
    found = 0
    for place in range(span.shape[1]):
        distance = marks[vertex, span[0, place]]
        found = max(found, distance - span[side + 1, place], span[side, place] - distance)
    return found


def across(vertices: Any, far: Any, front: Any, row: int, vertex: int) -> int:
    """The least latency on the other side of a vertex: of what leads to it in row `BEFORE`, of what follows else.

    Offers and interconnects take as long in either direction, so a search from the other end tells.
    """
    if vertices[vertex, IS_INTERFACE] == 0:
        return int(min(far[row, vertex], front[row]))
    there = vertices[vertex, CROSS]
    return 0 if there < 0 else int(min(far[row, there], front[row]) + vertices[vertex, CROSS_US])


def hopeless(
    vertices: Any, marks: Any, span: Any, far: Any, front: Any, most: Any, row: int, to: int, reached: int
) -> bool:
    """Whether every path through a vertex breaks a limit, by what has been found before this row and in it."""
    limit = most[LATENCY]
    if row in (LATENCY, BEFORE):
        if limit >= NEVER:
            return False
        other = BEFORE if row == LATENCY else LATENCY
        if front[other] >= 0 and reached + across(vertices, far, front, other, to) > limit:
            return True
        return bool(reached + least_latency(marks, span, SOURCES if row == LATENCY else TARGETS, to) > limit)
    if reached > most[row]:
        return True
    if limit < NEVER and far[LATENCY, to] + across(vertices, far, front, BEFORE, to) > limit:
        return True
    for other in range(JITTER, ROWS if row == PRICE else row):
        if most[other] < NEVER and far[other, to] > most[other]:
            return True
    return False


def undercut(
    ends: Any, live: Any, vertices: Any, marks: Any, admitted: Any, classes: Any, rates: Any, targets: Any, span: Any,
    far: Any, front: Any, most: Any, arcs: Any,
) -> bool:  # fmt: skip
    """Whether some arcs are so cheap now that bounds on price are none any more.

    They still are while no arc leads from a vertex that has been scanned to another one for less than is known there:
    distances that no arc undercuts are never more than the true ones.
    """
    for arc in arcs:
        cls = ends[arc, 2]
        if admitted[cls] == 0:
            continue
        used = int(live[arc, HOURLY] * rates[cls, PER_HOURLY] + live[arc, GBPS] * rates[cls, PER_GBPS])
        for side in range(2):
            here, to = ends[arc, side], ends[arc, 1 - side]
            known = NEVER
            if vertices[here, IS_INTERFACE] == 0:
                known = far[PRICE, here]
            elif vertices[here, CROSS] >= 0:
                known = far[PRICE, vertices[here, CROSS]]
            for target in targets:
                if target == here:
                    known = 0
            if known > front[PRICE] or known >= NEVER:
                continue
            reached = known if classes[cls, FLAT] else known + used
            if reached < far[PRICE, to] and not hopeless(vertices, marks, span, far, front, most, PRICE, to, reached):
                return True
    return False


def advance(
    ptr: Any, hot: Any, live: Any, cool: Any, vertices: Any, step_ptr: Any, steps: Any, marks: Any,
    admitted: Any, classes: Any, rates: Any, state: Any, fits: Any, opened: Any, targets: Any, size: Any, span: Any,
    far: Any, keys: Any, places: Any, front: Any, count: Any,
    most: Any, row: int, vertex: int, need: int,
) -> int:  # fmt: skip
    """Go on backwards until the least of a vertex is known, or what is left lies beyond `need`.

    A target is scanned as an interface to leave by, a node as itself, and an ENNI means the one across. One function,
    because this is where the time goes; what is cheapest to test comes first. Rows under a limit come before the
    price, and close vertices to later rows.
    """
    mine, heap, held = far[row], keys[row], places[row]
    timed = row in (LATENCY, BEFORE)
    many, first, bound = count[row], targets.size, front[row]
    if many < 0:
        many, first, bound = 0, 0, 0
        mine[:] = UNSEEN
    while True:
        if first < targets.size:
            here = targets[first]
            total = vertices[here, CROSS_US] if timed else (1 if row == HOPS else 0)
            direct = True
            first += 1
        else:
            if many == 0:
                bound = NEVER
                break
            total = heap[0]
            if total > need or (vertex >= 0 and total >= mine[vertex]):
                bound = total
                break
            here = held[0]
            many -= 1
            sink(heap, held, many)
            if total != mine[here]:
                continue
            bound, direct = total, False
            if state[here] != INSIDE:
                if timed:
                    total += vertices[here, CROSS_US]
                elif row == HOPS:
                    total += 1
                here = vertices[here, CROSS]
                direct = True
        for slot in range(ptr[here], ptr[here + 1] if here >= 0 else 0):
            cls = hot[slot, CLS]
            if admitted[cls] == 0:
                continue
            to = hot[slot, HEAD]
            known = mine[to]
            if known >= NEVER:
                known -= NEVER
            if known <= total:
                continue
            found = state[to]
            if found & SHUT:
                continue
            arc, ends = hot[slot, ARC], found != INSIDE
            reached = total
            if timed:
                reached += hot[slot, LATENCY_US]
            elif row == PRICE:
                used = int(live[arc, HOURLY] * rates[cls, PER_HOURLY] + live[arc, GBPS] * rates[cls, PER_GBPS])
                if ends and direct:
                    reached += classes[cls, BASE] + max(classes[cls, LEAST], used)
                else:
                    if classes[cls, FLAT] == 0:
                        reached += used
                    if ends:
                        reached += classes[cls, ENTRY]
            elif row != HOPS:
                reached += cool[arc, row - JITTER]
            if reached >= known:
                continue
            if mine[to] >= NEVER and hopeless(vertices, marks, span, far, front, most, row, to, reached):
                mine[to] = NEVER + reached
                continue
            if not usable(live, step_ptr, steps, fits, opened, size, arc):
                continue
            if found == UNKNOWN and judged(vertices, step_ptr, steps, fits, state, size, to) & SHUT:
                continue
            mine[to] = reached
            lift(heap, held, many, reached, to)
            many += 1
    front[row], count[row] = bound, many
    return int(min(bound, mine[vertex]) if vertex >= 0 else bound)

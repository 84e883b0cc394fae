"""How much of each resource is at least still to come: Dijkstra backwards over the arrays, as far as asked.

Plain Python over numpy arrays that numba compiles as it stands; `federation.broker.paths.bounds` says the same over
objects. One row per resource. All numbers are whole and never exceed the exact value.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from federation.broker.paths.kernel.arrays import OPEN, SHUT, UNKNOWN, Net

NEVER: Final = 1 << 60
PRICE, LATENCY, JITTER, LOST, DOWN, HOPS = range(6)
ROWS: Final = 6


class Plan(NamedTuple):
    """What one question admits, and what things cost it, as the compiled functions read it.

    Per class: `admitted`, bounds on price (`per_hourly`, `per_gbps`, `base`, `least`, `entry`, `flat`, `slack`) and
    the exact price (numerators, denominators and ratios of port, bandwidth and conversion; set-up and minimum). Per
    interface `state`: unknown, or a sum of the constants above. `shut` has a byte per arc where an offer is excluded.
    """

    admitted: Any
    per_hourly: Any
    per_gbps: Any
    base: Any
    least: Any
    entry: Any
    flat: Any
    slack: Any
    exact: Any
    ratio: Any
    state: Any
    shut: Any
    targets: Any
    size: Any  # bit/s wanted, MTU, first and last second, whether every step function has begun


class Ahead(NamedTuple):
    """Rows of a search backwards: `far` is the least known, final up to `front`; `keys` and `places` are heaps.

    `count` is the size of each heap, -1 before the search began.
    """

    far: Any
    front: Any
    keys: Any
    places: Any
    count: Any


def least_free(net: Net, plan: Plan, steps: int) -> int:
    """The least capacity within the window; nothing is free before the first step."""
    first, last = net.step_ptr[steps], net.step_ptr[steps + 1]
    start_s, end_s = plan.size[2], plan.size[3]
    if first == last or net.step_at[first] > start_s:
        return 0
    least = -1
    for place in range(first, last):
        if net.step_at[place] >= end_s:
            break
        if place + 1 == last or net.step_at[place + 1] > start_s:
            bps = net.step_bps[place]
            least = bps if least < 0 or bps < least else least
    return max(least, 0)


def has_room(net: Net, plan: Plan, room: int, steps: int) -> bool:
    """Whether the bandwidth fits all the time; mostly told by the least there ever is."""
    if plan.size[4] and room >= plan.size[0]:
        return True
    return least_free(net, plan, steps) >= plan.size[0]


def side_fits(net: Net, plan: Plan, vertex: int) -> bool:
    """Whether an interface is wide enough for the MTU and the bandwidth."""
    if net.mtu[vertex] < plan.size[1] or net.speed[vertex] < plan.size[0]:
        return False
    return has_room(net, plan, net.side_room[vertex], net.free[vertex])


def opens(net: Net, plan: Plan, vertex: int) -> int:
    """The state of an interface: judged once, together with the other side of its interconnect."""
    found = plan.state[vertex]
    if found != UNKNOWN:
        return found
    there = net.cross[vertex]
    found = SHUT
    if there >= 0:
        if side_fits(net, plan, vertex) and side_fits(net, plan, there):
            found = OPEN
        plan.state[there] = found
    plan.state[vertex] = found
    return found


def serves(net: Net, plan: Plan, slot: int) -> bool:
    """Whether an arc serves the question, its ends aside."""
    if not plan.admitted[net.cls[slot]]:
        return False
    if plan.shut.size > 0 and plan.shut[net.arc[slot]]:
        return False
    return has_room(net, plan, net.room[slot], net.steps[slot])


def usage(plan: Plan, cls: int, hourly: int, gbps: int) -> int:
    """At most what is billed for the two rates over the window, in the buyer's money."""
    return int(hourly * plan.per_hourly[cls] + gbps * plan.per_gbps[cls])


def cost(net: Net, plan: Plan, row: int, slot: int, ends: bool, direct: bool) -> int:
    """What an arc adds: inside a segment, on its first arc (`ends`), or as a whole segment (`direct` too)."""
    if row == PRICE:
        cls = net.cls[slot]
        used = usage(plan, cls, net.hourly[slot], net.gbps[slot])
        if ends and direct:
            return plan.base[cls] + max(plan.least[cls], used)
        inner = 0 if plan.flat[cls] else used
        return plan.entry[cls] + inner if ends else inner
    if row == HOPS:
        return 0
    return net.sums[row - 1, slot]


def leave(net: Net, row: int, vertex: int) -> int:
    """What leaving an operator through an interface adds."""
    if row == LATENCY:
        return net.cross_us[vertex]
    return 1 if row == HOPS else 0


def push(ahead: Ahead, row: int, key: int, vertex: int) -> None:
    """Into the heap of a row, four children to a place."""
    keys, places = ahead.keys, ahead.places
    place = ahead.count[row]
    ahead.count[row] = place + 1
    while place > 0:
        above = (place - 1) >> 2
        if keys[row, above] <= key:
            break
        keys[row, place] = keys[row, above]
        places[row, place] = places[row, above]
        place = above
    keys[row, place] = key
    places[row, place] = vertex


def pop(ahead: Ahead, row: int) -> int:
    """The vertex with the least key, out of the heap."""
    keys, places = ahead.keys, ahead.places
    found = places[row, 0]
    last = ahead.count[row] - 1
    ahead.count[row] = last
    key, vertex = keys[row, last], places[row, last]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= last:
            break
        best = child
        least = keys[row, child]
        for other in range(child + 1, min(child + 4, last)):
            if keys[row, other] < least:
                best, least = other, keys[row, other]
        if least >= key:
            break
        keys[row, place] = least
        places[row, place] = places[row, best]
        place = best
    keys[row, place] = key
    places[row, place] = vertex
    return found


def spread(net: Net, plan: Plan, ahead: Ahead, row: int, here: int, total: int, direct: bool) -> None:
    """Everything next to `here` from where `total` is to come once `here` has been reached."""
    far = ahead.far
    for slot in range(net.ptr[here], net.ptr[here + 1]):
        to = net.head[slot]
        if far[row, to] <= total:
            continue
        ends = net.is_interface[to] == 1
        reached = total + cost(net, plan, row, slot, ends, direct)
        if reached < far[row, to] and serves(net, plan, slot) and not (ends and opens(net, plan, to) & SHUT):
            far[row, to] = reached
            push(ahead, row, reached, to)


def begin(net: Net, plan: Plan, ahead: Ahead, row: int) -> None:
    """The start of a row: what leads to a target."""
    ahead.far[row, :] = NEVER
    ahead.front[row] = 0
    ahead.count[row] = 0
    for target in plan.targets:
        spread(net, plan, ahead, row, target, leave(net, row, target), True)


def at(net: Net, plan: Plan, ahead: Ahead, row: int, vertex: int, need: int) -> int:
    """The least from a vertex to a target; what is above `need` may be answered by less that is above `need` too."""
    if ahead.count[row] < 0:
        begin(net, plan, ahead, row)
    found = ahead.far[row, vertex]
    if found <= ahead.front[row]:
        return found
    if ahead.front[row] > need:
        return ahead.front[row]
    return advance(net, plan, ahead, row, vertex, need)


def advance(net: Net, plan: Plan, ahead: Ahead, row: int, vertex: int, need: int) -> int:
    """Go on backwards until a vertex is reached, or what is left lies beyond `need`."""
    while ahead.count[row] > 0:
        key = ahead.keys[row, 0]
        if key > need:
            ahead.front[row] = key
            return key
        here = pop(ahead, row)
        if key != ahead.far[row, here]:
            continue
        ahead.front[row] = key
        if net.is_interface[here]:
            there = net.cross[here]
            if there >= 0 and opens(net, plan, here) & OPEN:
                spread(net, plan, ahead, row, there, key + leave(net, row, here), True)
        else:
            spread(net, plan, ahead, row, here, key, False)
        if here == vertex:
            return key
    ahead.front[row] = NEVER
    return NEVER

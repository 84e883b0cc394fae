"""Label setting over the arrays, best first: `federation.broker.paths.solver` says the same over objects.

Plain Python over numpy arrays that numba compiles as it stands. A label is a row of `Work.labels`; a path that does
not keep a limit is never finished, prices of complete segments are exact, and what is left out is dominated.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from federation.broker.paths.kernel.ahead import (
    HOPS,
    LATENCY,
    NEVER,
    PRICE,
    ROWS,
    Ahead,
    Plan,
    at,
    opens,
    serves,
    usage,
)
from federation.broker.paths.kernel.arrays import OPEN, SHUT, TARGET, Net

PPB: Final = 1_000_000_000
# Columns of a label. SUMS begins five sums in the order of the rows of `Ahead`, LATENCY first.
VERTEX, PARENT, SLOT, CLS, PAST, HOURLY, GBPS, USED, SUMS = range(9)
DELIVERED, AVAILABLE, PAST_DELIVERED, PAST_AVAILABLE, MASK, NEXT, DEAD = range(14, 21)
FIELDS: Final = 21
ALIVE, DOMINATED, GOAL = 0, 1, 2
# Cells of `Work.cells`.
BEGUN, COUNT, HEAP, REACH, LEFT, DONE, BEST, BEST_FIRST, BEST_SECOND, LEAST, FOUND = range(11)
CELLS: Final = 11
# How a search ends: at a path that enters an operator twice, proven, out of work, or out of rows for labels.
TWICE, PROVEN, SPENT, FULL = range(4)
REACH_SHARE: Final = 8
# Aims.
CHEAPEST, FASTEST = 0, 1


class Ask(NamedTuple):
    """What a search may come to. `most` per row of `Ahead`, the budget first, NEVER where there is no limit.

    `shares` are the most loss and the least availability, exact; -1 without. `aim` is CHEAPEST or FASTEST. `watched`
    has a bit per operator that must not be entered twice, `ending` those of the operators where a path may end.
    `twins` are UNIs that are source and target, `twin_bits` their bits. `prefix` and `banned` are of `solver.Fixed`.
    """

    most: Any
    shares: Any
    aim: Any
    sources: Any
    watched: Any
    ending: Any
    twins: Any
    twin_bits: Any
    prefix: Any
    banned: Any


class Work(NamedTuple):
    """Labels, the heap of those to be expanded (two keys and a row each), the first label per vertex, and cells."""

    labels: Any
    keys: Any
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


def billed(plan: Plan, cls: int, hourly: int, gbps: int) -> int:
    """A whole segment's price, exactly as `schemas.price.charge` bills it and `RateTable.convert` converts it."""
    exact, ratio = plan.exact, plan.ratio
    port = ratio_up(hourly, exact[0, cls], exact[1, cls], ratio[0, cls])
    used = port + ratio_up(gbps, exact[2, cls], exact[3, cls], ratio[1, cls])
    total = exact[6, cls] + max(exact[7, cls], used)
    return ratio_up(total, exact[4, cls], exact[5, cls], ratio[2, cls])


def price_least(plan: Plan, label: Any) -> int:
    """What the path has cost so far at least, the set-up of the present segment included."""
    cls = label[CLS]
    if cls < 0:
        return label[PAST]
    used = max(plan.least[cls], label[USED]) if plan.flat[cls] else label[USED]
    return label[PAST] + plan.base[cls] + used


def cheaper(plan: Plan, a: Any, b: Any) -> int:
    """Whether `a` will cost less (2), no more (1), or it is unknown (0): `labels.cheaper`."""
    if a[HOURLY] <= b[HOURLY] and a[GBPS] <= b[GBPS] and a[PAST] <= b[PAST]:
        return 2 if a[PAST] < b[PAST] else 1
    cls = a[CLS]
    if cls < 0:
        return 0
    ours, theirs, least = a[USED], b[USED], plan.least[cls]
    ahead = b[PAST] - a[PAST] - plan.slack[cls]
    return 2 if ours - theirs <= ahead and max(least, ours) - max(least, theirs) <= ahead else 0


def dominates(plan: Plan, ask: Ask, a: Any, b: Any) -> bool:
    """Whether everything that `b` leads to can be had through `a`, as well or better."""
    if a[MASK] & ~b[MASK]:
        return False
    for row in range(LATENCY, ROWS):
        if ask.most[row] < NEVER and row != LATENCY + 2 and row != LATENCY + 3 and a[SUMS + row - 1] > b[SUMS + row - 1]:
            return False
    if ask.shares[0] >= 0 and (a[DELIVERED] < b[DELIVERED] or a[PAST_DELIVERED] < b[PAST_DELIVERED]):
        return False
    if ask.shares[1] >= 0 and (a[AVAILABLE] < b[AVAILABLE] or a[PAST_AVAILABLE] < b[PAST_AVAILABLE]):
        return False
    found = cheaper(plan, a, b)
    if ask.aim == CHEAPEST:
        return found == 2 or (found == 1 and a[SUMS] <= b[SUMS])
    if a[SUMS] != b[SUMS] and ask.most[PRICE] >= NEVER:
        return a[SUMS] < b[SUMS]
    return a[SUMS] <= b[SUMS] and found > 0


def before(keys: Any, a: int, b: int) -> bool:
    """Whether heap place `a` comes before `b`."""
    return keys[a, 0] < keys[b, 0] or (keys[a, 0] == keys[b, 0] and keys[a, 1] < keys[b, 1])


def swap(keys: Any, a: int, b: int) -> None:
    """Exchange two heap places."""
    for column in range(3):
        keys[a, column], keys[b, column] = keys[b, column], keys[a, column]


def queue(work: Work, first: int, second: int, label: int) -> None:
    """Put a label into the heap."""
    keys, place = work.keys, work.cells[HEAP]
    work.cells[HEAP] = place + 1
    keys[place, 0], keys[place, 1], keys[place, 2] = first, second, label
    while place > 0 and before(keys, place, (place - 1) // 2):
        swap(keys, place, (place - 1) // 2)
        place = (place - 1) // 2


def unqueue(work: Work) -> None:
    """Drop the first place of the heap."""
    keys, last = work.keys, work.cells[HEAP] - 1
    work.cells[HEAP] = last
    swap(keys, 0, last)
    place = 0
    while 2 * place + 1 < last:
        child = 2 * place + 1
        if child + 1 < last and before(keys, child + 1, child):
            child += 1
        if not before(keys, child, place):
            break
        swap(keys, child, place)
        place = child


def key_of(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work, label: Any) -> tuple[int, int]:
    """The least that a path through a label can come to; NEVER where it comes to nothing within the budget."""
    price, cells, budget = price_least(plan, label), work.cells, ask.most[PRICE]
    if ask.aim == CHEAPEST or budget < NEVER:
        need = budget - price if budget < NEVER else NEVER
        if need < 0:
            return NEVER, 0
        if ask.aim == CHEAPEST and cells[REACH] > 0:
            need = min(need, max(0, cells[REACH] - price))
        price += at(net, plan, ahead, PRICE, label[VERTEX], need)
        if price >= NEVER or price > budget:
            return NEVER, 0
        if cells[REACH] == 0:
            cells[REACH] = price + price // REACH_SHARE
    if ask.aim == CHEAPEST:
        return price, label[SUMS]
    rest = at(net, plan, ahead, LATENCY, label[VERTEX], NEVER)
    return (NEVER, 0) if rest >= NEVER else (label[SUMS] + rest, price)


def keep(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work) -> None:
    """Take the label in the next free row, unless it cannot lead anywhere or another is as good."""
    labels, cells = work.labels, work.cells
    number = cells[COUNT]
    label = labels[number]
    vertex = label[VERTEX]
    for row in range(LATENCY, ROWS):
        if ask.most[row] < NEVER:
            left = ask.most[row] - label[SUMS + row - 1]
            if left < 0 or at(net, plan, ahead, row, vertex, left) > left:
                return
    first, second = key_of(net, plan, ahead, ask, work, label)
    if first >= NEVER or no_better(cells, first, second):
        return
    other = work.first[vertex]
    while other >= 0:
        if dominates(plan, ask, labels[other], label):
            return
        other = labels[other, NEXT]
    weed(plan, ask, work, number)
    label[NEXT] = work.first[vertex]
    label[DEAD] = ALIVE
    work.first[vertex] = number
    cells[COUNT] = number + 1
    queue(work, first, second, number)


def no_better(cells: Any, first: int, second: int) -> bool:
    """Whether a key is no better than that of the best path so far."""
    if cells[BEST] == -2:
        return False
    return first > cells[BEST_FIRST] or (first == cells[BEST_FIRST] and second >= cells[BEST_SECOND])


def weed(plan: Plan, ask: Ask, work: Work, number: int) -> None:
    """Drop the labels of a vertex that a new one makes superfluous."""
    labels = work.labels
    label = labels[number]
    vertex = label[VERTEX]
    last, other = -1, work.first[vertex]
    while other >= 0:
        following = labels[other, NEXT]
        if dominates(plan, ask, label, labels[other]):
            labels[other, DEAD] = DOMINATED
            if last < 0:
                work.first[vertex] = following
            else:
                labels[last, NEXT] = following
        else:
            last = other
        other = following


def start(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work) -> None:
    """A label per source."""
    for source in ask.sources:
        if ask.prefix.size == 0 and bans(ask, source):
            continue
        if ask.prefix.size > 0 and ask.prefix[0] != source:
            continue
        label = work.labels[work.cells[COUNT]]
        label[:] = 0
        label[VERTEX], label[PARENT], label[SLOT], label[CLS] = source, -1, -1, -1
        label[DELIVERED], label[AVAILABLE], label[PAST_DELIVERED], label[PAST_AVAILABLE] = PPB, PPB, PPB, PPB
        label[MASK] = ask.watched[net.owner[source]] | twin_bit(ask, source)
        keep(net, plan, ahead, ask, work)


def bans(ask: Ask, vertex: int) -> bool:
    """Whether paths of this part may not go on with a vertex."""
    for banned in ask.banned:
        if banned == vertex:
            return True
    return False


def twin_bit(ask: Ask, vertex: int) -> int:
    """The bit of a UNI that is source and target, else 0."""
    for place in range(ask.twins.size):
        if ask.twins[place] == vertex:
            return ask.twin_bits[place]
    return 0


def allows(ask: Ask, place: int, vertex: int) -> bool:
    """Whether a path of this part may have a vertex at a place of its sequence."""
    if place < ask.prefix.size:
        return ask.prefix[place] == vertex
    return place > ask.prefix.size or not bans(ask, vertex)


def expand(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work, number: int) -> None:
    """Every label one arc further."""
    here = work.labels[number, VERTEX]
    for slot in range(net.ptr[here], net.ptr[here + 1]):
        to = net.head[slot]
        if not plan.admitted[net.cls[slot]]:
            continue
        if net.is_interface[to] == 0:
            if serves(net, plan, slot):
                along(net, plan, ask, work, number, slot)
                keep(net, plan, ahead, ask, work)
            continue
        state = opens(net, plan, to)
        if not state & SHUT and serves(net, plan, slot) and allows(ask, work.labels[number, SUMS + HOPS - 1] + 1, to):
            if state & TARGET:
                along(net, plan, ask, work, number, slot)
                finish(net, plan, ask, work)
            elif state & OPEN:
                along(net, plan, ask, work, number, slot)
                enter(net, plan, ahead, ask, work)


def along(net: Net, plan: Plan, ask: Ask, work: Work, number: int, slot: int) -> None:
    """Write the label one arc further into the next free row, as within the segment."""
    labels = work.labels
    label, parent, cls = labels[work.cells[COUNT]], labels[number], net.cls[slot]
    label[VERTEX], label[PARENT], label[SLOT], label[CLS] = net.head[slot], number, slot, cls
    label[PAST] = parent[PAST]
    label[HOURLY] = parent[HOURLY] + net.hourly[slot]
    label[GBPS] = parent[GBPS] + net.gbps[slot]
    label[USED] = usage(plan, cls, label[HOURLY], label[GBPS])
    for row in range(4):
        label[SUMS + row] = parent[SUMS + row] + net.sums[row, slot]
    label[SUMS + HOPS - 1] = parent[SUMS + HOPS - 1]
    label[DELIVERED] = parent[DELIVERED] * net.shares[0, slot] // PPB
    label[AVAILABLE] = parent[AVAILABLE] * net.shares[1, slot] // PPB
    label[PAST_DELIVERED], label[PAST_AVAILABLE] = parent[PAST_DELIVERED], parent[PAST_AVAILABLE]
    label[MASK] = parent[MASK]


def complete(plan: Plan, label: Any) -> None:
    """End the segment under way: from here on its price and shares are part of the past, exact."""
    label[PAST] += billed(plan, label[CLS], label[HOURLY], label[GBPS])
    label[PAST_DELIVERED] = label[PAST_DELIVERED] * label[DELIVERED] // PPB
    label[PAST_AVAILABLE] = label[PAST_AVAILABLE] * label[AVAILABLE] // PPB
    label[SUMS + HOPS - 1] += 1
    label[CLS], label[HOURLY], label[GBPS], label[USED] = -1, 0, 0, 0
    label[DELIVERED], label[AVAILABLE] = PPB, PPB


def enter(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work) -> None:
    """From an ENNI into the next operator, unless that is watched and has been entered."""
    label = work.labels[work.cells[COUNT]]
    leaving = label[VERTEX]
    entered = net.cross[leaving]
    watched = ask.watched[net.owner[entered]]
    if label[MASK] & watched or all_left(ask, label[MASK]):
        return
    complete(plan, label)
    label[VERTEX] = entered
    label[SUMS] += net.cross_us[leaving]
    label[MASK] |= watched
    keep(net, plan, ahead, ask, work)


def all_left(ask: Ask, mask: int) -> bool:
    """Whether every operator where a path may end has been entered and left."""
    for bit in ask.ending:
        if not mask & bit:
            return False
    return True


def finish(net: Net, plan: Plan, ask: Ask, work: Work) -> None:
    """A whole path: judged on exact values, kept if it is the best so far."""
    labels, cells = work.labels, work.cells
    number = cells[COUNT]
    label = labels[number]
    if label[MASK] & twin_bit(ask, label[VERTEX]):
        return
    complete(plan, label)
    if broken(ask, label):
        return
    first, second = (label[PAST], label[SUMS]) if ask.aim == CHEAPEST else (label[SUMS], label[PAST])
    if no_better(cells, first, second):
        return
    label[DEAD] = GOAL
    cells[COUNT] = number + 1
    if twice(net, labels, number):
        queue(work, first, second, number)
    else:
        cells[BEST], cells[BEST_FIRST], cells[BEST_SECOND] = number, first, second


def broken(ask: Ask, label: Any) -> bool:
    """Whether a whole path breaks a limit."""
    for row in (0, 1, 4):
        if label[SUMS + row] > ask.most[LATENCY + row]:
            return True
    if ask.shares[0] >= 0 and PPB - label[PAST_DELIVERED] > ask.shares[0]:
        return True
    return label[PAST_AVAILABLE] < ask.shares[1] or label[PAST] > ask.most[PRICE]


def twice(net: Net, labels: Any, number: int) -> bool:
    """Whether a path enters an operator more than once."""
    here = labels[number, PARENT]
    while here >= 0:
        if labels[here, CLS] < 0:
            owner, other = net.owner[labels[here, VERTEX]], labels[here, PARENT]
            while other >= 0:
                if labels[other, CLS] < 0 and net.owner[labels[other, VERTEX]] == owner:
                    return True
                other = labels[other, PARENT]
        here = labels[here, PARENT]
    return False


def sharpened(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work, first: int, second: int, number: int) -> bool:
    """Whether a label went back into the heap, because a bound that had stopped early now says more."""
    cells = work.cells
    if ask.aim != CHEAPEST or first <= cells[REACH]:
        return False
    cells[REACH] = first + first // REACH_SHARE
    again, then = key_of(net, plan, ahead, ask, work, work.labels[number])
    if again >= NEVER:
        return True
    if again > first or (again == first and then > second):
        queue(work, again, then, number)
        return True
    return False


def search(net: Net, plan: Plan, ahead: Ahead, ask: Ask, work: Work, degree: int) -> int:
    """Run until an end; called again after FULL with more rows, it goes on."""
    labels, keys, cells = work.labels, work.keys, work.cells
    if cells[BEGUN] == 0:
        cells[BEGUN] = 1
        start(net, plan, ahead, ask, work)
    while cells[HEAP] > 0:
        if cells[COUNT] + degree >= labels.shape[0]:
            return FULL
        first, second, number = keys[0, 0], keys[0, 1], keys[0, 2]
        if no_better(cells, first, second):
            break
        state = labels[number, DEAD]
        if state != DOMINATED and state != GOAL and cells[LEFT] <= 0:
            cells[LEAST] = first
            return SPENT
        unqueue(work)
        if state == GOAL:
            cells[LEAST], cells[FOUND] = first, number
            return TWICE
        if state == ALIVE and not sharpened(net, plan, ahead, ask, work, first, second, number):
            cells[LEFT] -= 1
            cells[DONE] += 1
            expand(net, plan, ahead, ask, work, number)
    cells[LEAST] = NEVER if cells[BEST] == -2 else cells[BEST_FIRST]
    return PROVEN

"""A label of the compiled search: a row of `search.Work.labels`; `federation.broker.paths.labels` says the same.

What a complete segment costs is exact. Plain Python over numpy arrays that numba compiles as it stands.
"""

from __future__ import annotations

from typing import Any, Final

from federation.broker.paths.kernel.ahead import (
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
)
from federation.broker.paths.kernel.arrays import (
    ARC,
    AVAILABLE_PPB,
    CLS,
    DELIVERED_PPB,
    JITTER_US,
    LATENCY_US,
    OWNER,
)
from federation.broker.paths.kernel.live import GBPS, HOURLY

PPB: Final = 1_000_000_000
# Columns of a label. LAT begins five sums in the order of the rows of `Ahead`.
VERTEX, PARENT, SLOT, CLASS, PAST, PORT, BAND, USED, LAT, JIT, LOG_LOST, LOG_DOWN, SEGMENTS = range(13)
DELIVERED, AVAILABLE, PAST_DELIVERED, PAST_AVAILABLE, MASK, NEXT, DEAD = range(13, 20)
FIELDS: Final = 20
ALIVE, DOMINATED, GOAL = 0, 1, 2
# Aims, and cells of `Ask.most` behind those per row: the most loss, the least availability (exact, -1 without), aim.
CHEAPEST, FASTEST = 0, 1
LOSS, AVAILABILITY, AIM = range(ROWS, ROWS + 3)


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


def twin_bit(twins: Any, vertex: int) -> int:
    """The bit of a UNI that is source and target, else 0."""
    for place in range(twins.size):
        if twins[place] == vertex:
            return 1 << place
    return 0


def counts(most: Any) -> bool:
    """Whether there is a limit on jitter, loss or availability: without one, labels do not say how much of it is."""
    return bool(most[LATENCY + 1] < NEVER or most[LOSS] >= 0 or most[AVAILABILITY] >= 0)


def broken(most: Any, labels: Any, number: int) -> bool:
    """Whether a whole path breaks a limit: all values are exact."""
    if labels[number, LAT] > most[LATENCY] or (most[LATENCY + 1] < NEVER and labels[number, JIT] > most[LATENCY + 1]):
        return True
    if labels[number, SEGMENTS] > most[HOPS] or labels[number, PAST] > most[PRICE]:
        return True
    if most[LOSS] >= 0 and PPB - labels[number, PAST_DELIVERED] > most[LOSS]:
        return True
    return bool(most[AVAILABILITY] >= 0 and labels[number, PAST_AVAILABLE] < most[AVAILABILITY])


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


def along(hot: Any, live: Any, cool: Any, rates: Any, most: Any, labels: Any, number: int, slot: int, to: int) -> None:
    """Write the label that is one arc further than its parent, within the segment, into row `number`."""
    cls, arc, parent = hot[slot, CLS], hot[slot, ARC], labels[number, PARENT]
    labels[number, VERTEX], labels[number, SLOT], labels[number, CLASS] = to, slot, cls
    labels[number, PAST] = labels[parent, PAST]
    port, band = labels[parent, PORT] + live[arc, HOURLY], labels[parent, BAND] + live[arc, GBPS]
    labels[number, PORT], labels[number, BAND] = port, band
    labels[number, USED] = int(port * rates[cls, PER_HOURLY] + band * rates[cls, PER_GBPS])
    labels[number, LAT] = labels[parent, LAT] + hot[slot, LATENCY_US]
    labels[number, SEGMENTS] = labels[parent, SEGMENTS]
    labels[number, MASK], labels[number, DEAD] = labels[parent, MASK], ALIVE
    if not counts(most):
        return
    for sum_ in range(3):
        labels[number, JIT + sum_] = labels[parent, JIT + sum_] + cool[arc, JITTER_US + sum_]
    labels[number, DELIVERED] = labels[parent, DELIVERED] * cool[arc, DELIVERED_PPB] // PPB
    labels[number, AVAILABLE] = labels[parent, AVAILABLE] * cool[arc, AVAILABLE_PPB] // PPB
    labels[number, PAST_DELIVERED] = labels[parent, PAST_DELIVERED]
    labels[number, PAST_AVAILABLE] = labels[parent, PAST_AVAILABLE]


def complete(classes: Any, rates: Any, most: Any, labels: Any, number: int) -> None:
    """End the segment under way: from here on its price and shares are part of the past, exact."""
    cls = labels[number, CLASS]
    labels[number, PAST] += billed(classes, rates, cls, labels[number, PORT], labels[number, BAND])
    labels[number, SEGMENTS] += 1
    labels[number, CLASS], labels[number, PORT], labels[number, BAND], labels[number, USED] = -1, 0, 0, 0
    if counts(most):
        labels[number, PAST_DELIVERED] = labels[number, PAST_DELIVERED] * labels[number, DELIVERED] // PPB
        labels[number, PAST_AVAILABLE] = labels[number, PAST_AVAILABLE] * labels[number, AVAILABLE] // PPB
        labels[number, DELIVERED], labels[number, AVAILABLE] = PPB, PPB

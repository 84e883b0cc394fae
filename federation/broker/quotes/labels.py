"""Which label a path uses at each place it crosses (pure; design section 3, "Labels").

A path of n segments has n + 1 places: its first UNI, its interconnects, its last UNI. A place comes as the mask of
labels free there, an interconnect as the intersection of both sides. A segment that cannot swap labels keeps one
value from place to place, so such places form a run and share a value. Values are spread over everything free: two
brokers that look at the same sheets at once should rarely pick the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from schemas.problem import Problem

Labels = tuple[int | None, ...]


def pick(masks: Sequence[int], keeps: Sequence[bool], token: str) -> Labels:
    """A label per place; None at a UNI whose segment swaps, where the operator picks.

    `masks[i]` is free at place i; `keeps[i]` says that the segment from place i to i + 1 cannot swap. The same
    `token` picks the same values. Raises LABEL_TAKEN (`extra`: place) where a run has nothing in common.
    """
    return repick(masks, keeps, token, (None,) * len(masks))


def repick(masks: Sequence[int], keeps: Sequence[bool], token: str, chosen: Labels) -> Labels:
    """Like `pick`, but a run keeps its `chosen` value while that is free at every place of it."""
    assert len(masks) == len(keeps) + 1 == len(chosen), "one more place than segments"
    labels: list[int | None] = list(chosen)
    for first, last in runs(keeps):
        if last == 0 or first == len(keeps):
            labels[first] = None
            continue
        if first == 0 and last == len(keeps) and len(keeps) == 1:
            continue  # one segment from UNI to UNI: its operator picks both ends
        value = _value(masks, first, last, token, chosen[first])
        labels[first : last + 1] = [value] * (last + 1 - first)
    return tuple(labels)


def runs(keeps: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """First and last place of every stretch of places that share a label, in order."""
    first = 0
    for place, kept in enumerate(keeps):
        if not kept:
            yield first, place
            first = place + 1
    yield first, len(keeps)


def _value(masks: Sequence[int], first: int, last: int, token: str, present: int | None) -> int:
    common = masks[first]
    for mask in masks[first + 1 : last + 1]:
        common &= mask
    if not common:
        raise Problem("LABEL_TAKEN", "no label is free on both sides of an interconnect", extra={"place": first})
    if present is not None and common >> present & 1:
        return present
    return nth(common, spread(token, first) % common.bit_count())


def spread(token: str, place: int) -> int:
    """A number that is as unpredictable as `token`, and another at every place."""
    return int.from_bytes(hashlib.sha256(f"{token}.{place}".encode()).digest()[:8], "big")


def nth(mask: int, rank: int) -> int:
    """The label of which exactly `rank` smaller ones are in the mask."""
    assert 0 <= rank < mask.bit_count(), "the mask has no such label"
    low, high = 0, mask.bit_length()
    while high - low > 1:
        middle = (low + high) // 2
        if (mask & ((1 << middle) - 1)).bit_count() <= rank:
            low = middle
        else:
            high = middle
    return low

"""What is left to search once some paths are known: regions below limits on all objectives but the first.

A region is a tuple of values that a path in it stays below, one per objective behind the first. A path that comes
first in its region beats all in there that are no better on the others; what is left of the region are its parts
below one of the path's values each.
"""

from __future__ import annotations

from collections.abc import Iterable

Region = tuple[int, ...]


def inside(region: Region, values: tuple[int, ...]) -> bool:
    """Whether values lie below every limit of a region."""
    return all(value < limit for value, limit in zip(values, region, strict=True))


def without(region: Region, values: tuple[int, ...]) -> tuple[Region, ...]:
    """The parts of a region in which something is better than `values`, which lie in it."""
    return tuple((*region[:place], value, *region[place + 1 :]) for place, value in enumerate(values))


def maximal(regions: Iterable[Region]) -> list[Region]:
    """The regions that lie in no other one, each once, in order."""
    every = sorted(set(regions))
    return [one for one in every if not any(one != other and _covers(other, one) for other in every)]


def _covers(outer: Region, inner: Region) -> bool:
    return all(ours >= theirs for ours, theirs in zip(outer, inner, strict=True))

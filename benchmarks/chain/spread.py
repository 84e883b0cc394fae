"""What a list of times comes to."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import median

from msgspec import Struct, structs


class Spread(Struct, frozen=True):
    """How many there are, the middle one, and the one that 95 or 99 in a hundred do not exceed."""

    count: int
    p50: float
    p95: float
    p99: float

    def rounded(self) -> dict[str, float]:
        """For a file."""
        return {name: round(value, 2) for name, value in structs.asdict(self).items()}


def spread(times: Sequence[float]) -> Spread:
    """Of at least one time."""
    ordered = sorted(times)
    return Spread(len(ordered), median(ordered), _most(ordered, 0.95), _most(ordered, 0.99))


def _most(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, ceil(len(ordered) * share) - 1)]

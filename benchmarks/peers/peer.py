"""What the benchmark asks of a peer."""

from __future__ import annotations

from typing import Protocol

from benchmarks.question import Question


class Peer(Protocol):
    """A contender."""

    @property
    def name(self) -> str:
        """Its row in the table."""
        ...

    def prepare(self, question: Question) -> None:
        """What may be done before the clock starts."""
        ...

    def solve(self, question: Question) -> int | None:
        """The least price of a path in micro-units, None where there is none."""
        ...


class Ready:
    """A peer with nothing left to prepare for a question."""

    def prepare(self, question: Question) -> None:
        """Nothing."""


def whole(price: float) -> int | None:
    """A price as the integer that it is."""
    if price == float("inf"):
        return None
    assert price == int(price), "sums of integers below 2^53 are exact in a float"
    return int(price)

"""What a solve is given and what it gives back: the work left, a part of all paths, the best path in it."""

from __future__ import annotations

from dataclasses import dataclass

from federation.broker.paths import effort
from federation.broker.paths.labels import Label


class Work:
    """Labels that may still be expanded, shared by the solves of one question, and the steps that may be taken.

    Labels differ thirtyfold in the time that they take, steps hardly: once these are spent, no labels are `left`.
    """

    def __init__(self, left: int) -> None:
        self.left, self.done = left, 0
        self.effort = effort.LEAST + effort.EACH * left

    def spend(self, taken: int) -> None:
        """Count steps that were taken."""
        self.effort -= taken
        if self.effort <= 0:
            self.left = 0

    def take(self) -> bool:
        """Use one; False when none is left."""
        if self.left <= 0:
            return False
        self.left -= 1
        self.done += 1
        return True


@dataclass(frozen=True)
class Fixed:
    """A part of all paths: those that begin with `prefix` (source, then exits) and go on with none of `banned`.

    Of these, only what comes to less than `below` is asked for, in units of the aim; whoever finds another may tell it.
    """

    prefix: tuple[int, ...] = ()
    banned: frozenset[int] = frozenset()
    below: int | None = None

    def allows(self, place: int, vertex: int) -> bool:
        """Whether a path of this part may have `vertex` at a place of its sequence."""
        if place < len(self.prefix):
            return self.prefix[place] == vertex
        return place > len(self.prefix) or vertex not in self.banned


@dataclass(frozen=True)
class Solved:
    """The best path as its last label, or None. `complete` is False when the work ran out first.

    `least` is then a bound below which no path lies, in units of the aim; so it is where there is none below what was
    asked for, and there may be others.
    """

    label: Label | None
    complete: bool
    least: int

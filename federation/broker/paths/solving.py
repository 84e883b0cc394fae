"""Who solves an ask: a kernel where one is at hand and takes it, otherwise the solver; the answer is the same."""

from __future__ import annotations

from typing import Final, Protocol

from federation.broker.paths import effort
from federation.broker.paths.bounds import Bounds
from federation.broker.paths.query import Ask
from federation.broker.paths.solver import Solve
from federation.broker.paths.usable import Usable
from federation.broker.paths.work import Fixed, Solved, Work

EVERY: Final = Fixed()  # all paths


class Kernel(Protocol):
    """A faster way to the same answers."""

    def takes(self, ask: Ask) -> bool:
        """Whether an ask is of a kind that it can solve."""
        ...

    def solve(self, usable: Usable, ask: Ask, work: Work, fixed: Fixed) -> Solved | None:
        """The best path; None where it finds that this ask has to be left to the solver."""
        ...


class Prepared:
    """What serves some asks, with bounds for it (those of a question that admits more will do), and who solves them."""

    def __init__(self, usable: Usable, kernel: Kernel | None = None, bounds: Bounds | None = None) -> None:
        self.usable, self._kernel, self.bounds = usable, kernel, bounds or Bounds(usable)

    def taken(self, ask: Ask) -> bool:
        """Whether a kernel is at hand that takes an ask."""
        return self._kernel is not None and self._kernel.takes(ask)

    def solve(self, ask: Ask, work: Work, fixed: Fixed | None = None) -> Solved:
        """The best path of an ask, of those that begin as `fixed` says."""
        if self._kernel is not None and self._kernel.takes(ask):
            done = work.done
            solved = self._kernel.solve(self.usable, ask, work, fixed or EVERY)
            work.spend(effort.SOLVE + effort.COMPILED * (work.done - done))
            if solved is not None:
                return solved
        return Solve(self.usable, self.bounds, ask, work, fixed).run()

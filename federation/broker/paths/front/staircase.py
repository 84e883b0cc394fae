"""What has been reached on one or two objectives: the values that nothing else reached beats, in order."""

from __future__ import annotations

from bisect import bisect_right, insort

from federation.broker.paths.bounds import NEVER

Step = tuple[int, int]


class Staircase:
    """Steps from least to most of the first value, so from most to least of the second; one value counts as both."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def covers(self, values: tuple[int, ...]) -> bool:
        """Whether something reached is no worse on any of one or two values."""
        place = bisect_right(self._steps, (values[0], 2 * NEVER))
        return place > 0 and self._steps[place - 1][1] <= values[-1]

    def add(self, values: tuple[int, ...]) -> None:
        """Reach values; what they beat is no step any more."""
        if not self.covers(values):
            first, second = values[0], values[-1]
            self._steps = [step for step in self._steps if step[0] < first or step[1] < second]
            insort(self._steps, (first, second))

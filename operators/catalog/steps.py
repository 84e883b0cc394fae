"""Free capacity over time as published: steps of (Unix second, bit/s), rounded down in detail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Final

STEPS_MAX: Final = 48

Steps = tuple[tuple[int, int], ...]


def least(functions: Sequence[Steps]) -> Steps:
    """At every second the least of some step functions that start at the same second."""
    assert functions, "the least of nothing is not defined"
    if len(functions) == 1:
        return functions[0]
    levels = [steps[0][1] for steps in functions]
    changes = sorted((at, index, bps) for index, steps in enumerate(functions) for at, bps in steps[1:])
    merged: list[tuple[int, int]] = [(functions[0][0][0], min(levels))]
    for at, index, bps in changes:
        levels[index] = bps
        if merged[-1][0] == at:
            merged[-1] = (at, min(levels))
        else:
            merged.append((at, min(levels)))
    return _joined(merged)


def published(steps: Steps, from_s: int, horizon_s: int) -> Steps:
    """At most `STEPS_MAX` steps, from `from_s` on; nothing after the horizon.

    Where there are more steps, the last one left holds the least of all that follow: never more than is free.
    """
    inside = [step for step in steps if step[0] < horizon_s]
    short = _coarse(_joined([(from_s, inside[0][1]), *inside[1:]]))
    return _joined([*short, (horizon_s, 0)])


def near(was: Steps, now: Steps, share: int) -> bool:
    """Whether a step function differs from another by at most one part in `share`, at every second of both."""
    since, levels = max(was[0][0], now[0][0]), [0, 0]
    changes = sorted((at, index, bps) for index, steps in enumerate((was, now)) for at, bps in steps)
    for at, together in groupby(changes, itemgetter(0)):
        for _, index, bps in together:
            levels[index] = bps
        if at >= since and abs(levels[0] - levels[1]) * share > levels[0]:
            return False
    return True


def _coarse(steps: Steps) -> Steps:
    if len(steps) < STEPS_MAX:
        return steps
    kept, rest = steps[: STEPS_MAX - 2], steps[STEPS_MAX - 2 :]
    return (*kept, (rest[0][0], min(bps for _, bps in rest)))


def _joined(steps: Iterable[tuple[int, int]]) -> Steps:
    """Without steps that change nothing."""
    joined: list[tuple[int, int]] = []
    for at, bps in steps:
        if not joined or joined[-1][1] != bps:
            joined.append((at, bps))
    return tuple(joined)

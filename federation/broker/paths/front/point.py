"""A path as a front sees it: its values on the objectives, in their order."""

from __future__ import annotations

from typing import NamedTuple

from federation.broker.paths.front.objective import SUMS
from federation.broker.paths.labels import Label
from schemas.intent import Objective

Values = tuple[int, ...]


class Point(NamedTuple):
    """Exact values, and the last label of a path that has them."""

    values: Values
    label: Label


def point_of(label: Label, objectives: tuple[Objective, ...]) -> Point:
    """The point of a whole path."""
    return Point(tuple(SUMS[objective].of(label) for objective in objectives), label)


def beats(a: Values, b: Values) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    return a != b and all(ours <= theirs for ours, theirs in zip(a, b, strict=True))

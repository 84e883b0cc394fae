"""Contenders that solve the same problem gave the same answers; where one solves an easier one, it is no dearer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from benchmarks.digraph import Digraph
from benchmarks.timing import Timed
from benchmarks.ways import Ways


def same(timed: Timed, names: Sequence[str]) -> None:
    """All of these have the same price for every question."""
    first = timed.answers[names[0]]
    for name in names[1:]:
        assert timed.answers[name] == first, f"{name} and {names[0]} disagree"


def no_dearer(timed: Timed, easier: str, harder: str) -> None:
    """A path under more limits does not cost less."""
    for less, more in zip(timed.answers[easier], timed.answers[harder], strict=True):
        assert less is not None, f"{easier} found no path"
        assert more is not None, f"{harder} found no path"
        assert less <= more, f"{harder} found a path for {more}, {easier} needs {less}"


def except_twice(ours: Sequence[int | None], theirs: Sequence[int | None], enters_twice: Callable[[int], bool]) -> int:
    """Prices are the same, except where the peer's path is cheaper because it enters an operator twice.

    Returns how often that is so.
    """
    twice = 0
    for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if mine != other:
            assert mine is not None, "ours found no path"
            assert other is not None, "the peer found no path"
            assert other < mine, f"question {number}: ours is cheaper, {mine} against {other}"
            assert enters_twice(number), f"question {number}: the peer is cheaper, {other} against {mine}"
            twice += 1
    return twice


def arcs_of(graph: Digraph, vertices: Sequence[int]) -> list[int]:
    """The arcs between vertices in a row."""
    place = {ends: arc for arc, ends in enumerate(zip(graph.tail.tolist(), graph.head.tolist(), strict=True))}
    return [place[ends] for ends in pairwise(vertices)]


def cheapest_enters_twice(ways: Ways, source: int, target: int) -> bool:
    """Whether the cheapest path without limits enters an operator twice."""
    return ways.graph.enters_twice(ways.path(ways.tree(ways.price, source), target))

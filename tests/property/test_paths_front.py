"""Fronts against trying every path, on small random federations full of ties. A failing case names its seed."""

from __future__ import annotations

import pytest

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.front.search import front_of
from federation.broker.paths.graph import Graph
from federation.broker.paths.query import Query
from federation.broker.paths.solving import Kernel
from schemas.intent import Objective
from tests.property.test_paths import LONG, Walk, case, naming, pointed
from tests.support.brute_paths import keeps
from tests.support.route_check import faults

CASES = 3000 if LONG else 160
CHUNKS = 8
Values = tuple[int, ...]
World = tuple[dict[str, OperatorSheet], Query, list[Walk]]
CHOICES = ((Objective.PRICE, Objective.LATENCY),)


def values_of(walk: Walk, objectives: tuple[Objective, ...]) -> Values:
    worth = {
        Objective.PRICE: walk.price,
        Objective.LATENCY: walk.promise.latency_us,
    }
    return tuple(worth[objective] for objective in objectives)


def expected(query: Query, every: list[Walk], objectives: tuple[Objective, ...]) -> list[Values]:
    """Every combination of values that no other one beats."""
    found = {values_of(walk, objectives) for walk in every if keeps(walk, query)}
    return sorted(one for one in found if not any(beaten(one, other) for other in found))


def beaten(one: Values, by: Values) -> bool:
    return one != by and all(theirs <= ours for ours, theirs in zip(one, by, strict=True))


def compare(world: World, objectives: tuple[Objective, ...], kernel: Kernel | None = None) -> None:
    """The front is that of the enumeration, and every route of it holds by itself."""
    sheets, query, every = world
    answer = front_of(Graph.build(sheets), query, objectives, kernel=kernel)
    assert answer.complete
    assert list(answer.values) == expected(query, every, objectives)
    for route, values in zip(answer.routes, answer.values, strict=True):
        assert not list(faults(sheets, query, route))
        worth = {Objective.PRICE: route.total_micro, Objective.LATENCY: route.promise.latency_us}
        assert values == tuple(worth[objective] for objective in objectives)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
def test_a_front_is_that_of_all_paths(chunk: int, share: float, objectives: tuple[Objective, ...]) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(case(seed, share), objectives)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("trouble", ["labels", "shares", "sums", "price"])
@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
def test_where_there_is_much_choice_too(chunk: int, trouble: str, objectives: tuple[Objective, ...]) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(pointed(seed, trouble), objectives)

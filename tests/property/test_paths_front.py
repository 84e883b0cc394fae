"""Fronts against trying every path, on small random federations full of ties. A failing case names its seed."""

from __future__ import annotations

from itertools import combinations

import pytest
from msgspec import structs

pytest.importorskip("numpy")

from federation.broker.paths import effort
from federation.broker.paths.front.search import Front, front_of
from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.compiled import Code
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from federation.broker.paths.solving import Kernel
from schemas.intent import Objective
from tests.support.brute_paths import Walk, keeps
from tests.support.kernels import Counting
from tests.support.path_worlds import LONG, World, case, naming, pointed
from tests.support.route_check import faults

CASES = 3000 if LONG else 32
CHUNKS = 8
Values = tuple[int, ...]
ALL = (Objective.PRICE, Objective.LATENCY, Objective.CARBON)
CHOICES = (*combinations(ALL, 2), ALL)


def values_of(walk: Walk, objectives: tuple[Objective, ...]) -> Values:
    worth = {
        Objective.PRICE: walk.price,
        Objective.LATENCY: walk.promise.latency_us,
        Objective.CARBON: walk.promise.carbon_mg_gb,
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
        worth = {
            Objective.PRICE: route.total_micro,
            Objective.LATENCY: route.promise.latency_us,
            Objective.CARBON: route.promise.carbon_mg_gb,
        }
        assert values == tuple(worth[objective] for objective in objectives)


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_a_front_is_that_of_all_paths(chunk: int, share: float, objectives: tuple[Objective, ...]) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(case(seed, share), objectives)


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("trouble", ["labels", "shares", "sums", "price"])
def test_where_there_is_much_choice_too(chunk: int, trouble: str, objectives: tuple[Objective, ...]) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(pointed(seed, trouble), objectives)


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("trouble", ["required", "avoided", "marks", "weights"])
def test_rules_hold_along_a_front(trouble: str, objectives: tuple[Objective, ...]) -> None:
    """Operators required, places avoided, marks lacked, limits on carbon: each by itself."""
    for seed in range(0, CASES, 1 if LONG else 4):
        with naming(seed):
            compare(pointed(seed, trouble), objectives)


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("trouble", ["shares", "sums", "price"])
def test_its_ends_are_what_single_searches_find(trouble: str, objectives: tuple[Objective, ...]) -> None:
    for seed in range(CASES):
        sheets, query, _ = pointed(seed, trouble)
        graph = Graph.build(sheets)
        answer = front_of(graph, query, objectives)
        for place, objective in enumerate(answer.objectives):
            alone = find(graph, structs.replace(query, objective=objective), explain=False)
            with naming(seed):
                if isinstance(alone, Found):
                    assert min(values[place] for values in answer.values) == alone.bound
                else:
                    assert not answer.routes


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("trouble", ["sums", "price"])
def test_out_of_work_or_room_it_says_what_is_settled(trouble: str, objectives: tuple[Objective, ...]) -> None:
    cut, seeds = 0, range(0, CASES, 1 if LONG else 2)
    for seed in seeds:
        sheets, query, every = pointed(seed, trouble)
        graph, whole = Graph.build(sheets), expected(query, every, objectives)
        for work in (0, 2, 9, 20, 40, 90):
            for most in (1, 2, 100):
                answer = front_of(graph, structs.replace(query, work=work), objectives, most=most)
                with naming(seed):
                    settled_right(answer, whole)
                    assert answer.work <= work
                cut += bool(not answer.complete and 0 < len(answer.values) < len(whole))
    assert cut > len(seeds)


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("trouble", ["sums", "price"])
def test_out_of_steps_it_says_what_is_settled(
    monkeypatch: pytest.MonkeyPatch, trouble: str, objectives: tuple[Objective, ...]
) -> None:
    """However many labels are left: steps are what a hostile question spends."""
    monkeypatch.setattr(effort, "EACH", 0)
    cut = 0
    for seed in range(0, CASES, 4):
        sheets, query, every = pointed(seed, trouble)
        graph, whole = Graph.build(sheets), expected(query, every, objectives)
        for steps in (1, 300, 1000, 3000):
            monkeypatch.setattr(effort, "LEAST", steps)
            answer = front_of(graph, query, objectives)
            with naming(seed):
                settled_right(answer, whole)
            cut += not answer.complete
    assert cut > CASES // 4


@pytest.mark.parametrize("trouble", ["shares", "sums", "price"])
def test_near_the_most_a_walk_counts_as_a_sweep_does(code: Code, trouble: str) -> None:
    engine, full = Counting(code), 0
    for seed in range(0, CASES, 4):
        sheets, query, every = pointed(seed, trouble)
        whole = expected(query, every, CHOICES[0])
        for most in (1, 2, 3, len(whole) - 1, len(whole)):
            graph = Graph.build(sheets)
            walked = front_of(graph, query, CHOICES[0], kernel=engine, most=most)
            swept = front_of(graph, query, CHOICES[0], most=most)
            with naming(seed):
                assert (walked.values, walked.full, walked.least) == (swept.values, swept.full, swept.least)
                assert len(swept.values) <= max(most, 2)
                assert swept.full == (len(whole) > max(most, 2)) == (not swept.complete)
            full += walked.full
    assert engine.answered
    assert full


def settled_right(answer: Front, whole: list[Values]) -> None:
    """What is listed is on the front; what is missing has at least what is said of the first objective."""
    listed = list(answer.values)
    assert listed == sorted(set(listed) & set(whole))
    if answer.complete:
        assert listed == whole
        assert answer.least is None
    else:
        assert answer.least is not None
        assert all(values in listed for values in whole if values[0] < answer.least)


@pytest.mark.parametrize("objectives", CHOICES, ids="-".join)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_kernel_finds_the_same(code: Code, chunk: int, objectives: tuple[Objective, ...]) -> None:
    engine = Counting(code)
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(case(seed, 0.15), objectives, engine)
            compare(pointed(seed, ("labels", "shares", "sums", "price")[seed % 4]), objectives, engine)
    assert engine.answered

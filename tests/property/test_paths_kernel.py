"""The kernel against trying every path: as it stands, and compiled where numba is. A failing case names its seed."""

from __future__ import annotations

from random import Random

import pytest
from msgspec import structs

pytest.importorskip("numpy")

from federation.broker.paths.graph import Graph
from federation.broker.paths.kernel.compiled import Code
from federation.broker.paths.kernel.engine import Engine
from federation.broker.paths.search import Found, find
from schemas.segment import Limits
from tests.support.brute_paths import walks
from tests.support.federations import focused
from tests.support.kernels import Counting, mostly, taken
from tests.support.path_queries import question
from tests.support.path_worlds import LONG, World, case, naming, pointed, ranked, route_key
from tests.support.route_check import faults

CASES = 3000 if LONG else 96
CHUNKS = 8
TROUBLES = ("labels", "shares", "sums", "price", "avoided")


def compare(engine: Engine, world: World, k: int) -> None:
    """The best `k` paths are those of the enumeration, proven, and each holds by itself."""
    sheets, query, every = world
    if query.operators_required:  # which the enumeration has noted of every path
        every = walks(sheets, structs.replace(query, operators_required=frozenset()))
    query = taken(query)
    answer = find(Graph.build(sheets), structs.replace(query, k=k), explain=False, kernel=engine)
    found = answer.routes if isinstance(answer, Found) else ()
    assert [route_key(query, route) for route in found] == ranked(query, every)[:k]
    assert answer.proven
    for route in found:
        assert not list(faults(sheets, query, route))


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_best_paths_are_the_best_of_all(code: Code, chunk: int, share: float) -> None:
    engine = Counting(code)
    with mostly(engine):
        for seed in range(chunk, CASES, CHUNKS):
            with naming(seed):
                compare(engine, case(seed, share), 4)


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_where_there_is_much_choice_the_best_is_found_too(code: Code, chunk: int, trouble: str) -> None:
    engine = Counting(code)
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(engine, pointed(seed, trouble), 5)
    assert engine.answered


def test_what_is_kept_from_one_question_does_not_mislead_the_next(code: Code) -> None:
    for seed in range(CASES // 4):
        rng = Random(seed)
        sheets = focused(rng, "sums")
        query = question(rng, sheets)
        graph, engine = Graph.build(sheets), Engine(code)
        with naming(seed):
            for latency_us in (None, 30, 60, 20, 40, None, 10):
                for jitter_us in (None, 5, 9):
                    asked = structs.replace(query, limits=Limits(latency_us=latency_us, jitter_us=jitter_us))
                    told = find(graph, asked, explain=False, kernel=engine)
                    cold = find(Graph.build(sheets), asked, explain=False)
                    routes = [
                        [route_key(asked, route) for route in one.routes] if isinstance(one, Found) else []
                        for one in (told, cold)
                    ]
                    assert routes[0] == routes[1]


def test_out_of_work_it_says_how_good_an_answer_could_be(code: Code) -> None:
    for seed in range(CASES // 4):
        sheets, query, every = pointed(seed, "sums")
        best = ranked(query, every)[:1]
        for work in (0, 1, 3, 8):
            answer = find(Graph.build(sheets), structs.replace(query, work=work), explain=False, kernel=Engine(code))
            with naming(seed):
                if isinstance(answer, Found):
                    assert answer.bound <= best[0][0] <= route_key(query, answer.routes[0])[0]
                    assert answer.proven is False or [route_key(query, answer.routes[0])] == best
                elif answer.proven:
                    assert not best


def test_nothing_is_left_to_compile_once_it_is_warm(code: Code) -> None:
    if not hasattr(code.search, "signatures"):
        pytest.skip("not compiled")
    engine = Engine(code)
    engine.warm()
    sheets, query, _ = pointed(1, "sums")
    graph = Graph.build(sheets)
    engine.prepare(graph)
    find(graph, structs.replace(taken(query), limits=Limits(latency_us=60)), explain=False, kernel=engine)
    assert {name: len(getattr(code, name).signatures) for name in code._fields} == dict.fromkeys(code._fields, 1)

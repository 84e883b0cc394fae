"""The search against trying every path, on small random federations. A failing case names its seed."""

from __future__ import annotations

import os
from random import Random

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.graph import Graph
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from federation.broker.paths.search import Found, find
from schemas.intent import Objective
from tests.support.brute_paths import Walk, keeps, walks
from tests.support.federations import small
from tests.support.path_queries import cranked, limited, question, ruled
from tests.support.route_check import faults

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
CASES = 6000 if LONG else 208
CHUNKS = 16


def case(seed: int, share: float) -> tuple[dict[str, OperatorSheet], Query, list[Walk]]:
    rng = Random(seed)
    sheets = small(rng)
    query = question(rng, sheets)
    if rng.random() < 0.5:
        query = ruled(rng, sheets, query)
    if rng.random() < 0.3:
        query = cranked(rng, sheets, query)
    every = walks(sheets, query)
    return sheets, limited(rng, query, every, share), every


def key(query: Query, walk: Walk) -> tuple[int, int]:
    order = (walk.price, walk.promise.latency_us)
    return order if query.objective is Objective.PRICE else order[::-1]


def route_key(query: Query, route: Route) -> tuple[int, int]:
    order = (route.total_micro, route.promise.latency_us)
    return order if query.objective is Objective.PRICE else order[::-1]


def ranked(query: Query, every: list[Walk]) -> list[tuple[int, int]]:
    """The best figures of each interface sequence, best first."""
    best: dict[object, tuple[int, int]] = {}
    for walk in every:
        if keeps(walk, query):
            found = key(query, walk)
            best[walk.interfaces] = min(found, best.get(walk.interfaces, found))
    return sorted(best.values())


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_the_best_paths_are_the_best_of_all(chunk: int, share: float) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        sheets, query, every = case(seed, share)
        expected = ranked(query, every)
        answer = find(Graph.build(sheets), structs.replace(query, k=4), explain=False)
        found = [route_key(query, route) for route in answer.routes] if isinstance(answer, Found) else []
        assert found == expected[:4], f"seed {seed}"
        assert isinstance(answer, Infeasible) or (answer.proven and answer.complete), f"seed {seed}"
        for route in answer.routes if isinstance(answer, Found) else ():
            assert not list(faults(sheets, query, route)), f"seed {seed}"

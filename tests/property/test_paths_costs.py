"""What limits are said to cost, against trying every path. A failing case names its seed."""

from __future__ import annotations

import os

import pytest
from msgspec import structs

from federation.broker.paths.graph import Graph
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from schemas.intent import Objective
from tests.support.brute_paths import Walk, keeps
from tests.support.path_worlds import case, naming

CASES = 2000 if os.environ.get("PEERWAY_TEST_LONG") == "1" else 160
CHUNKS = 4
SUMS = ("latency_us", "jitter_us", "loss_ppb", "availability_ppb", "carbon_mg_gb", "hops")
RULES = ("countries", "domicile", "parents", "marks_required", "route_classes", "operators_allowed", "operators_denied")
NAMES = (*SUMS, *RULES, "operators_required", "sites_denied", "cities_denied")


def cheapest(query: Query, every: list[Walk], waived: frozenset[str] = frozenset()) -> int:
    return min(walk.price for walk in every if keeps(walk, query, waived))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_each_limit_costs_what_the_cheapest_path_without_it_saves(chunk: int) -> None:
    told = 0
    for seed in range(chunk, CASES, CHUNKS):
        sheets, query, every = case(seed, 0.4)
        query = structs.replace(query, objective=Objective.PRICE)
        graph = Graph.build(sheets)
        found = find(graph, query, explain=False, costs=True)
        if isinstance(found, Found):
            costs, paid = found.costs, found.routes[0].total_micro
            alone = {name: paid - cheapest(query, every, frozenset({name})) for name in NAMES}
            with naming(seed):
                if len(costs) == 1 and len(costs[0].limits) > 1:
                    assert not any(alone.values())
                    assert costs[0].saved_micro == paid - cheapest(query, every, frozenset(NAMES))
                else:
                    assert {cost.limits[0]: cost.saved_micro for cost in costs} == {
                        name: saved for name, saved in alone.items() if saved
                    }
            told += len(costs)
    assert told

"""The search against trying every path, on small random federations. A failing case names its seed."""

from __future__ import annotations

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.graph import Graph
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from tests.support.brute_paths import Walk
from tests.support.path_worlds import LONG, case, meant, naming, pointed, ranked, route_key
from tests.support.route_check import faults

CASES = 3000 if LONG else 208
POINTED = 4000 if LONG else 320
CHUNKS = 16
TROUBLES = ("labels", "shares", "sums", "price", "weights", "required", "avoided", "marks", "nearest")


def compare(sheets: dict[str, OperatorSheet], query: Query, every: list[Walk], k: int) -> None:
    """The search and the enumeration agree on the best `k`, and every route holds by itself."""
    answer = find(Graph.build(sheets), structs.replace(query, k=k), explain=False)
    found = answer.routes if isinstance(answer, Found) else ()
    assert [route_key(query, route) for route in found] in [ranked(query, some)[:k] for some in meant(query, every)]
    assert isinstance(answer, Infeasible) or (answer.proven and answer.complete)
    for route in found:
        assert not list(faults(sheets, query, route))


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_best_paths_are_the_best_of_all(chunk: int, share: float) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        with naming(seed):
            compare(*case(seed, share), 4)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("trouble", TROUBLES)
def test_where_there_is_much_choice_the_best_is_found_too(chunk: int, trouble: str) -> None:
    for seed in range(chunk, POINTED, CHUNKS):
        with naming(seed):
            compare(*pointed(seed, trouble), 5)

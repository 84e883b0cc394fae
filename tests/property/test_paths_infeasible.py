"""What an infeasible query is told, against trying every path: minimal conflicts, floors, least changes that help."""

from __future__ import annotations

import os
from itertools import combinations

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.changes import Change, Stand
from federation.broker.paths.graph import Graph
from federation.broker.paths.infeasible import NEEDS, Infeasible, Relaxed
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from schemas.segment import Limits
from tests.support.brute_paths import Walk, keeps, key, price, walks
from tests.support.path_queries import RULES
from tests.support.path_worlds import case, meant, naming, route_key
from tests.support.route_check import faults

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
CASES = 1500 if LONG else 120
CHUNKS = 8
NUMBERS = (
    "latency_us",
    "jitter_us",
    "loss_ppb",
    "availability_ppb",
    "carbon_mg_gb",
    "hops",
    "budget",
    "bandwidth_bps",
    "mtu",
    "duration_s",
)
NAMED = (
    *(*RULES, "route_classes", "operators_allowed", "operators_denied"),
    *("operators_required", "sites_denied", "cities_denied"),
)
EVERY = frozenset((*NUMBERS, *NAMED))


class Oracle:
    """All paths of one question, as it stands after some changes."""

    def __init__(self, sheets: dict[str, OperatorSheet], stand: Stand) -> None:
        self.sheets, self.query, self.stand = sheets, stand.query, stand
        self.every = walks(sheets, stand.query)

    def feasible(self, waived: frozenset[str] = frozenset()) -> list[Walk]:
        waived |= self.stand.dropped
        return [walk for walk in self.every if keeps(walk, self.query, waived, self.stand.granted)]

    def least(self, name: str, waived: frozenset[str] = frozenset()) -> int | None:
        """The value of a numeric limit nearest to what was asked at which there is a path; None if there is none."""
        if name == "bandwidth_bps":
            return self.most_bandwidth(waived)
        found = [self.value(name, walk) for walk in self.feasible(waived | {name})]
        return (max(found) if name in ("availability_ppb", "mtu") else min(found)) if found else None

    def value(self, name: str, walk: Walk) -> int:
        values = {"hops": walk.hops, "budget": walk.price, "mtu": walk.mtu, "duration_s": walk.term_s}
        return values[name] if name in values else int(getattr(walk.promise, name))

    def most_bandwidth(self, waived: frozenset[str]) -> int | None:
        """The widest that any path goes, at a price within the budget."""
        found = []
        for walk in self.feasible(waived | {"bandwidth_bps", "budget"}):
            low, high = 0, min(walk.width, self.query.bandwidth_bps - 1)
            while low < high:
                middle = (low + high + 1) // 2
                cost = price(self.sheets, self.query, walk.pieces, middle)
                if "budget" in waived or self.query.budget_micro is None or cost <= self.query.budget_micro:
                    low = middle
                else:
                    high = middle - 1
            found.append(low)
        return max(found, default=0) or None

    def additions(self, rule: str, waived: frozenset[str] = frozenset()) -> int | None:
        """How many names a rule lacks at least."""
        found = [walk for walk in self.feasible(waived | {rule}) if rule not in walk.absent]
        return min((sum(n[0] == rule for n in walk.lacking - self.stand.granted) for walk in found), default=None)

    def helps(self, name: str, waived: frozenset[str] = frozenset()) -> bool:
        if name == "duration_s":
            return False  # a longer window is another question; `verify` asks it
        return (self.least(name, waived) if name in NUMBERS else self.additions(name, waived)) is not None


def verify(sheets: dict[str, OperatorSheet], query: Query, relaxed: Relaxed) -> None:
    """The path is the best there is after the changes, keeps them, and no smaller last change would do."""
    stand, before = Stand(query), Stand(query)
    for change in relaxed.changes:
        before, stand = stand, stand.changed(change)
    feasible = Oracle(sheets, stand).feasible()
    best = [min(key(query, walk) for walk in some) for some in meant(_easiest(query), feasible)]
    assert route_key(query, relaxed.route) in best
    free_of_rules = structs.replace(
        stand.query,
        refused={},
        route_classes=None,
        operators_allowed=None,
        operators_denied=frozenset(),
        operators_required=frozenset(),
        closed={},
    )
    assert not list(faults(sheets, free_of_rules, relaxed.route))
    least(Oracle(sheets, before), relaxed.changes[-1])


def _easiest(query: Query) -> Query:
    """The question without limits, for paths that keep the changed ones already."""
    return structs.replace(
        query, limits=Limits(), hops=None, budget_micro=None, bandwidth_bps=1, mtu=64, term_s=10**9,
        operators_allowed=None, operators_denied=frozenset(), operators_required=frozenset(), route_classes=None,
        refused={}, closed={},
    )  # fmt: skip


def least(oracle: Oracle, change: Change) -> None:
    """A change is as small as it can be."""
    if change.value is None:
        assert not oracle.feasible()
    elif isinstance(change.value, tuple):
        assert len(set(change.value)) == oracle.additions(change.limit)
    elif change.limit != "duration_s":
        assert change.value == oracle.least(change.limit)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("share", [0.15, 0.5])
def test_an_infeasible_query_is_told_why_and_what_would_help(chunk: int, share: float) -> None:
    for seed in range(chunk, CASES, CHUNKS):
        sheets, query, _ = case(seed, share)
        query = structs.replace(query, nearest_source=seed % 7 == 0, nearest_target=seed % 3 == 0)
        oracle = Oracle(sheets, Stand(query))
        if not oracle.feasible():
            with naming(seed):
                judge(oracle, find(Graph.build(sheets), query))


def judge(oracle: Oracle, answer: Found | Infeasible) -> None:
    assert isinstance(answer, Infeasible)
    assert answer.proven
    assert answer.complete
    conflict(oracle, answer)
    relaxations(oracle, answer)


def conflict(oracle: Oracle, answer: Infeasible) -> None:
    """No path keeps the limits that bind; leave any one out, and one does. Each floor is what a path can do."""
    names = {bind.limit for bind in answer.binding}
    assert bool(names) == bool(oracle.feasible(EVERY))
    if not names:
        return
    assert not oracle.feasible(EVERY - names)
    for bind in answer.binding:
        assert oracle.feasible(EVERY - names | {bind.limit})
        others = EVERY - {bind.limit} - NEEDS
        if bind.limit in NAMED:
            fewest = oracle.additions(bind.limit, others)
            assert (None if bind.floor is None else len(bind.floor)) == fewest
        else:
            assert bind.floor == oracle.least(bind.limit, others)


def relaxations(oracle: Oracle, answer: Infeasible) -> None:
    """Every change that helps alone is offered; pairs only when none does; dropped rules only when no pair does."""
    for relaxed in answer.relaxations:
        verify(oracle.sheets, oracle.query, relaxed)
    totals = [relaxed.route.total_micro for relaxed in answer.relaxations]
    assert totals == sorted(totals)
    offered = {tuple(change.limit for change in relaxed.changes) for relaxed in answer.relaxations}
    singles = {name for name in EVERY if oracle.helps(name)}
    dropped = [c for r in answer.relaxations for c in r.changes if c.value is None]
    if singles:
        assert singles <= {names[0] for names in offered if len(names) == 1} | {"duration_s"}
    elif any(len(names) == 2 for names in offered) and not dropped:
        assert all(len(names) == 2 for names in offered)
    elif not offered:
        pairs = combinations(sorted(EVERY - {"duration_s", "bandwidth_bps"}), 2)
        assert not any(oracle.feasible(frozenset(p)) and not _absent(oracle, p) for p in pairs)


def _absent(oracle: Oracle, pair: tuple[str, ...]) -> bool:
    return all(walk.absent & set(pair) for walk in oracle.feasible(frozenset(pair)))

"""The best pair against trying every pair, on small random federations. A failing case names its seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.backup.finding import SHARED_MAX, Backup, Missing, Paired, Unpaired, find_pair
from federation.broker.paths.backup.items import Item
from federation.broker.paths.graph import Graph
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from schemas.backup import Apart
from schemas.intent import Objective
from tests.support.braids import braided
from tests.support.brute_pairs import Key, Thing, Tried, always, scattered, things, tried, unavoidable
from tests.support.brute_paths import Walk, judged, keeps, key, walks
from tests.support.federations import focused, small
from tests.support.path_queries import cranked, limited, marked, question, required, ruled
from tests.support.path_worlds import LONG, naming, route_key
from tests.support.paths import ask
from tests.support.route_check import faults, piece_of

CASES = 3000 if LONG else 96
OBJECTIVES = Objective.PRICE, Objective.LATENCY
Sheets = dict[str, OperatorSheet]
World = tuple[Sheets, Query, Query, list[Walk]]


def world(seed: int, apart: Apart) -> World:
    """A federation, the queries of both paths, and every path there is."""
    rng = Random(f"{seed} {apart}")
    makers = small, braided, braided, lambda rng: focused(rng, "labels"), lambda rng: focused(rng, "price")
    sheets = scattered(rng, rng.choice(makers)(rng))
    query = structs.replace(question(rng, sheets), mtu=1500)
    if rng.random() < 0.1:
        query = ruled(rng, sheets, query)
    if rng.random() < 0.1:
        query = cranked(rng, sheets, query)
    every = walks(sheets, query)
    query = limited(rng, query, every, rng.choice((0.0, 0.0, 0.0, 0.1, 0.3)))
    if rng.random() < 0.5:
        return sheets, query, query, every
    own = limited(rng, query, every, rng.choice((0.0, 0.1, 0.3)))
    return sheets, query, own, every


def backup_of(apart: Apart, own: Query) -> Backup:
    return Backup(apart=apart, limits=own.limits, hops=own.hops, budget_micro=own.budget_micro)


def by_trying(case: World, apart: Apart, own: Query | None = None) -> Tried:
    sheets, query, second, every = case
    kept = [w for w in every if keeps(w, query)], [w for w in every if keeps(w, own or second)]
    return tried(sheets, query, apart, kept, lambda walk: key(query, walk))


def check_pair(case: World, apart: Apart, pair: Paired, own: Query) -> Key:
    """Both paths hold by themselves and share nothing; their sum."""
    sheets, query = case[:2]
    for asked, route in ((query, pair.primary), (own, pair.backup)):
        assert not list(faults(sheets, asked, route))
    exempt = unavoidable(sheets, query)
    used = [things(sheets, walk_of(sheets, query, route), apart) for route in (pair.primary, pair.backup)]
    assert not (used[0] & used[1]) - exempt
    one, other = route_key(query, pair.primary), route_key(query, pair.backup)
    return one[0] + other[0], one[1] + other[1]


def walk_of(sheets: Sheets, query: Query, route: Route) -> Walk:
    found = judged(sheets, query, tuple(piece_of(sheets, segment) for segment in route.segments))
    assert found is not None
    return found


def check(case: World, apart: Apart) -> Iterator[str]:
    """Compares one answer with all pairs; what kind of case it was."""
    sheets, query, own, _ = case
    found = find_pair(Graph.build(sheets), query, backup_of(apart, own))
    expected = by_trying(case, apart)
    assert found.proven
    if isinstance(found, Unpaired):
        assert expected.best is None
        yield str(found.missing)
        check_missing(case, apart, found)
        return
    assert check_pair(case, apart, found, own) == expected.best
    yield "pair"
    if expected.greedy != expected.best:
        yield "trapped" if expected.greedy is None else "dearer"


def check_missing(case: World, apart: Apart, found: Unpaired) -> None:
    sheets, query, own, every = case
    first, second = [w for w in every if keeps(w, query)], [w for w in every if keeps(w, own)]
    assert (found.missing is Missing.PRIMARY) == (not first)
    assert (found.missing is Missing.BACKUP) == (bool(first) and not second)
    if first and second:
        both = always(sheets, query, apart, first) & always(sheets, query, apart, second)
        told = {thing_of(item) for item in found.shared}
        all_ = {thing for thing in both if not implied(sheets, thing)}
        if apart is not Apart.SEGMENT:
            all_ = {thing for thing in all_ if thing[0] == apart} or all_
        assert told <= all_
        assert len(told) == min(len(all_), SHARED_MAX)
    if first:
        free = Backup(apart=apart)
        unlimited = structs.replace(query, limits=free.limits, hops=None, budget_micro=None)
        best = None if backup_of(apart, own) == free else by_trying(case, apart, unlimited).best
        assert best == (found.unlimited and check_pair(case, apart, found.unlimited, unlimited))


def implied(sheets: Sheets, thing: Thing) -> bool:
    """Whether something is shared whenever an interconnect is, which is told instead."""
    if thing[0] not in ("segment", "stretch"):
        return False
    interfaces, points = sheets[str(thing[1])].interfaces, thing[-1]
    assert isinstance(points, frozenset)
    return any(point in interfaces and interfaces[point].peer is not None for point in points)


def thing_of(item: Item) -> Thing:
    """An item as the enumeration has it."""
    match item:
        case ("interconnect", a, b, c, d):
            return "interconnect", frozenset({(a, b), (c, d)})
        case ("segment", operator, route_class, a, z):
            return "segment", operator, route_class, frozenset({a, z})
        case ("stretch", operator, a, z):
            return "stretch", operator, frozenset({a, z})
        case ("city", country, city):
            return "city", country, city.replace(" ", "")
        case ("site", lat, lon):
            return "site", int(lat), int(lon)
    return item


@pytest.mark.parametrize("apart", list(Apart))
def test_the_best_pair_is_the_best_of_all(apart: Apart) -> None:
    kinds = Counter[str]()
    for seed in range(CASES):
        with naming(seed):
            kinds.update(check(world(seed, apart), apart))
    assert kinds["pair"] > CASES // 8
    assert kinds["dearer"] + kinds["trapped"]
    assert kinds[Missing.SHARED]
    assert kinds[Missing.BACKUP]


@pytest.mark.parametrize("apart", list(Apart))
def test_a_best_path_that_is_in_no_best_pair_traps_nobody(apart: Apart) -> None:
    kinds = Counter[str]()
    for seed in range(CASES):
        rng = Random(f"{seed} {apart}")
        sheets = scattered(rng, braided(rng))
        query = structs.replace(ask((0, "u0"), (len(sheets) - 1, "u0")), objective=rng.choice(OBJECTIVES))
        every = walks(sheets, query)
        own = limited(rng, query, every, rng.choice((0.0, 0.2)))
        with naming(seed):
            kinds.update(check((sheets, query, own, every), apart))
    # Taking the best path first would have made the pair dearer, or left it without a backup.
    assert kinds["dearer"] > 2
    assert kinds["trapped"] > 2


def ruled_world(seed: int, apart: Apart, trouble: str) -> World:
    """A federation with much choice, and a question with one rule or objective that pairs must keep to."""
    rng = Random(f"{seed} {apart} {trouble}")
    sheets = scattered(rng, rng.choice((braided(rng), focused(rng, "price"))))
    query = structs.replace(question(rng, sheets), mtu=1500)
    if trouble == "required":
        query = structs.replace(query, operators_required=required(rng, sorted(sheets)))
    elif trouble == "marks":
        query = structs.replace(query, refused=marked(rng, sheets))
    else:
        query = structs.replace(query, objective=Objective(trouble))
    every = walks(sheets, query)
    query = limited(rng, query, every, rng.choice((0.0, 0.0, 0.1)))
    own = limited(rng, query, every, 0.1) if rng.random() < 0.5 else query
    return sheets, query, own, every


@pytest.mark.parametrize("trouble", ["required", "marks", "carbon", "weighted"])
@pytest.mark.parametrize("apart", list(Apart))
def test_pairs_keep_to_rules_and_objectives(apart: Apart, trouble: str) -> None:
    kinds = Counter[str]()
    for seed in range(0, CASES, 1 if LONG else 6):
        with naming(seed):
            kinds.update(check(ruled_world(seed, apart, trouble), apart))
    assert kinds["pair"]
    assert len(kinds) > 1


@pytest.mark.parametrize("apart", list(Apart))
def test_out_of_work_it_says_how_good_a_pair_could_be(apart: Apart) -> None:
    cut = 0
    for seed in range(CASES // 4):
        case = world(seed, apart)
        sheets, query, own, _ = case
        best = by_trying(case, apart).best
        for work in (0, 260, 520, 800, 1600):
            found = find_pair(Graph.build(sheets), structs.replace(query, work=work), backup_of(apart, own))
            with naming(seed):
                if isinstance(found, Paired):
                    total = check_pair(case, apart, found, own)
                    assert best is not None
                    assert found.bound <= best[0] <= total[0]
                    assert not found.proven or total == best
                else:
                    assert best is None or not found.proven
                cut += not found.proven and best is not None
    assert cut


@pytest.mark.parametrize("apart", list(Apart))
def test_the_kernel_finds_the_same_pairs(apart: Apart) -> None:
    pytest.importorskip("numpy")
    from federation.broker.paths.kernel.engine import Engine

    engine = Engine()
    for seed in range(CASES // 4):
        case = world(seed, apart)
        sheets, query, own, _ = case
        found = find_pair(Graph.build(sheets), query, backup_of(apart, own), kernel=engine)
        with naming(seed):
            best = by_trying(case, apart).best
            assert (check_pair(case, apart, found, own) if isinstance(found, Paired) else None) == best
            assert found.proven

"""What the search owes a buyer, case by case; that it is exact everywhere is shown in tests/property."""

from __future__ import annotations

import pytest
from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.graph import Graph
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from federation.broker.paths.search import Found, find
from federation.policy.limits import Refusal
from schemas.intent import Objective
from schemas.offer import ClassTerms
from schemas.segment import Limits
from tests.support.federations import GBPS, entity
from tests.support.path_worlds import case, ranked, route_key
from tests.support.paths import ask, interface, offer, operator, to


def graph(*sheets: OperatorSheet) -> Graph:
    return Graph.build({sheet.entity: sheet for sheet in sheets})


def routes(of: Graph, query: Query) -> tuple[Route, ...]:
    found = find(of, query)
    assert isinstance(found, Found), found
    assert found.proven
    assert found.complete
    return found.routes


def refused(of: Graph, query: Query) -> Infeasible:
    found = find(of, query)
    assert isinstance(found, Infeasible)
    assert found.proven
    assert found.complete
    return found


def through(route: Route) -> list[str]:
    return [segment.operator.removeprefix("https://op").partition(".")[0] for segment in route.segments]


def line(*prices: int, **enni: object) -> Graph:
    """Operators in a row, each with a UNI, an ENNI to either side, and an offer between any two of these."""
    sheets = []
    for number, hourly in enumerate(prices):
        left = [interface("l", to(number - 1, "r"), **enni)] if number else []
        right = [interface("r", to(number + 1, "l"), **enni)] if number + 1 < len(prices) else []
        ends = [interface("u"), *left, *right]
        pairs = [(a.id, z.id) for i, a in enumerate(ends) for z in ends[i + 1 :]]
        sheets.append(operator(number, *ends, *(offer(a, z, hourly) for a, z in pairs)))
    return graph(*sheets)


def test_set_up_and_minimum_count_once_for_all_arcs_of_one_operator() -> None:
    terms = ClassTerms(id="any", set_up_micro=100, minimum_micro=50)
    arcs = (offer("u", "n1", 7), offer("n1", "n2", 7), offer("n2", "v", 7))
    sheet = operator(0, terms, interface("u"), interface("v"), "n1", "n2", *arcs)
    (route,) = routes(graph(sheet), ask((0, "u"), (0, "v")))
    (segment,) = route.segments
    assert segment.offers == ("u-n1", "n1-n2", "n2-v")
    assert (segment.tariff.hourly_micro, segment.price.micro, route.total_micro) == (21, 150, 150)
    day = ask((0, "u"), (0, "v"))
    day = structs.replace(day, window=structs.replace(day.window, end=day.window.end.replace(hour=23)), term_s=1)
    (longer,) = routes(graph(sheet), day)
    assert longer.total_micro == 100 + 21 * day.window.duration_s // 3600


def test_each_segment_is_converted_and_rounded_up_on_its_own() -> None:
    a = operator(0, interface("u"), interface("r", to(1, "l")), offer("u", "r", 1), currency="USD")
    z = operator(1, interface("v"), interface("l", to(0, "r")), offer("l", "v", 1), currency="USD")
    (route,) = routes(graph(a, z), ask((0, "u"), (1, "v")))
    assert [segment.price.micro for segment in route.segments] == [1, 1]
    assert [segment.total.micro for segment in route.segments] == [1, 1]  # 2/3 of a micro-unit each, not 4/3 of both
    assert route.total_micro == 2


def test_an_operator_without_a_rate_is_left_out() -> None:
    sheet = operator(0, interface("u"), interface("v"), offer("u", "v"), currency="JPY")
    assert refused(graph(sheet), ask((0, "u"), (0, "v"))).binding == ()


def test_an_interconnect_adds_the_worse_latency_of_its_sides() -> None:
    a = operator(0, interface("u"), interface("r", to(1, "l"), latency_us=5), offer("u", "r"))
    z = operator(1, interface("v"), interface("l", to(0, "r"), latency_us=8), offer("l", "v"))
    (route,) = routes(graph(a, z), ask((0, "u"), (1, "v")))
    assert (route.interconnect_us, route.promise.latency_us) == ((8,), 10)


def test_a_path_does_not_enter_an_operator_twice_however_cheap() -> None:
    """Operator 0 sells no way from its UNI to the ENNI towards 2, but 1 would bring the path back to it."""
    zero = operator(
        0,
        interface("u"),
        interface("a", to(1, "a")),
        interface("b", to(1, "b")),
        interface("c", to(2, "c")),
        offer("u", "a", 1),
        offer("b", "c", 1),
    )
    one = operator(
        1,
        interface("a", to(0, "a")),
        interface("b", to(0, "b")),
        interface("d", to(2, "d")),
        offer("a", "b", 1),
        offer("a", "d", 1000),
    )
    two = operator(
        2, interface("v"), interface("c", to(0, "c")), interface("d", to(1, "d")), offer("c", "v"), offer("d", "v")
    )
    (route,) = routes(graph(zero, one, two), ask((0, "u"), (2, "v"), k=3))
    assert through(route) == ["0", "1", "2"]
    assert route.total_micro == 1001


def test_an_operator_that_cannot_swap_keeps_the_label() -> None:
    def chain(swap: bool, last: str) -> Graph:
        a = operator(0, interface("u"), interface("r", to(1, "l"), labels="5-7"), offer("u", "r"))
        b = operator(1, interface("l", to(0, "r"), swap=swap), interface("r", to(2, "l"), labels=last), offer("l", "r"))
        return graph(a, b, operator(2, interface("v"), interface("l", to(1, "r")), offer("l", "v")))

    query = ask((0, "u"), (2, "v"))
    (kept,) = routes(chain(False, "6-9"), query)
    assert kept.keeps == (False, True, False)
    assert kept.labels[1] == kept.labels[2] == (1 << 6) | (1 << 7)
    (swapped,) = routes(chain(True, "8-9"), query)
    assert swapped.labels[1:3] == ((1 << 5) | (1 << 6) | (1 << 7), (1 << 8) | (1 << 9))
    assert refused(chain(False, "8-9"), query).binding == ()
    banned = structs.replace(query, banned_labels={(entity(1), "l"): 1 << 6, (entity(0), "r"): 1 << 7})
    assert refused(chain(False, "6-9"), banned).binding == ()


@pytest.mark.parametrize("item", ["u-r", "r"])
def test_what_is_excluded_is_not_used_again(item: str) -> None:
    query = ask((0, "u"), (1, "u"))
    assert routes(line(1, 1), query)
    assert refused(line(1, 1), structs.replace(query, excluded=frozenset({(entity(0), item)}))).relaxations == ()


def test_fewer_alternatives_than_asked_for_are_all_there_are() -> None:
    assert len(routes(line(1, 1, 1), ask((0, "u"), (2, "u"), k=5))) == 1


@pytest.mark.parametrize(("source", "target"), [((0, "nowhere"), (1, "u")), ((0, "r"), (1, "u")), ((7, "u"), (1, "u"))])
def test_what_is_no_uni_is_no_endpoint(source: tuple[int, str], target: tuple[int, str]) -> None:
    found = refused(line(1, 1), ask(source, target))
    assert (found.binding, found.relaxations) == ((), ())


def test_a_path_needs_two_different_ends() -> None:
    sheet = operator(0, interface("u"), "n", offer("u", "n"))
    assert refused(graph(sheet), ask((0, "u"), (0, "u"))).binding == ()


def test_less_than_light_needs_is_refused_without_a_search() -> None:
    far = operator(0, interface("u"), interface("v", lat_udeg=45_000_000), offer("u", "v", latency_us=5000))
    query = ask((0, "u"), (0, "v"), limits=Limits(latency_us=2000))
    found = find(graph(far), query, explain=False)
    assert isinstance(found, Infeasible)
    assert (found.impossible, found.proven, found.work) == (True, True, 0)
    assert found.floor_us == 2596  # 7 degrees of latitude are 778 km
    told = refused(graph(far), query)
    assert [(bind.limit, bind.asked, bind.floor) for bind in told.binding] == [("latency_us", 2000, 5000)]
    assert [change.value for relaxed in told.relaxations for change in relaxed.changes] == [5000]


def test_a_missing_attestation_is_offered_only_when_nothing_else_helps_and_by_name() -> None:
    def query(*lacking: frozenset[str] | None) -> Query:
        reasons = tuple(Refusal(rule="countries", detail="for a test", lacking=names) for names in lacking)
        return ask((0, "u"), (2, "u"), refused={(entity(1), "any"): reasons})

    (named,) = refused(line(1, 1, 1), query(frozenset({"CH"}))).relaxations
    assert [(change.limit, change.value) for change in named.changes] == [("countries", ("CH",))]
    (dropped,) = refused(line(1, 1, 1), query(None)).relaxations
    assert [(change.limit, change.value) for change in dropped.changes] == [("countries", None)]


def test_budget_too_small_may_be_met_by_less_bandwidth() -> None:
    sheet = operator(0, interface("u"), interface("v"), offer("u", "v", gbps_hourly_micro=1000))
    found = refused(graph(sheet), ask((0, "u"), (0, "v"), budget_micro=250))
    assert [bind.limit for bind in found.binding] == ["budget"]
    changes = [relaxed.changes[0] for relaxed in found.relaxations]
    assert [(change.limit, change.value) for change in changes] == [("bandwidth_bps", GBPS // 4), ("budget", 1000)]


def test_less_bandwidth_is_as_little_less_as_any_path_allows_within_the_budget() -> None:
    """The widest path is affordable up to 1 Gb/s; another goes up to 3 Gb/s for the same money."""
    wide = offer("u", "v", id="wide", gbps_hourly_micro=1000)
    cheap = offer("u", "v", id="cheap", gbps_hourly_micro=333, free=((0, 5 * GBPS),))
    sheet = operator(0, interface("u"), interface("v"), wide, cheap)
    asked = ask((0, "u"), (0, "v"), bandwidth_bps=10 * GBPS, budget_micro=1000)
    changes = [relaxed.changes for relaxed in refused(graph(sheet), asked).relaxations]
    most = 10**12 // 333  # bit/s at which 333 micro-units per Gb/s come to 1000
    assert [[(c.limit, c.value) for c in each] for each in changes] == [[("bandwidth_bps", most)], [("budget", 10_000)]]


def test_a_longer_lease_and_the_money_for_it_are_offered_together() -> None:
    terms = ClassTerms(id="any", minimum_term_s=7200)
    sheet = operator(0, terms, interface("u"), interface("v"), offer("u", "v", 1000))
    (relaxed,) = refused(graph(sheet), ask((0, "u"), (0, "v"), budget_micro=500)).relaxations
    assert [(change.limit, change.value) for change in relaxed.changes] == [("duration_s", 7200), ("budget", 2000)]
    assert relaxed.route.total_micro == 2000


@pytest.mark.parametrize("objective", list(Objective))
def test_when_the_work_runs_out_the_answer_says_so_and_gives_a_bound(objective: Objective) -> None:
    unproven = 0
    for seed in range(60):
        sheets, query, every = case(seed, 0.15)
        query = structs.replace(query, objective=objective)
        best = min(ranked(query, every), default=None)
        for work in (0, 1, 2, 4, 8, 16):
            found = find(Graph.build(sheets), structs.replace(query, work=work), explain=False)
            if isinstance(found, Infeasible):
                assert not found.proven or best is None, f"seed {seed}"
            elif found.proven:
                assert route_key(query, found.routes[0]) == best, f"seed {seed}"
            else:
                assert best is not None
                unproven += 1
                assert found.bound <= best[0] <= route_key(query, found.routes[0])[0], f"seed {seed}"
    assert unproven > 0


def test_alternatives_cut_short_are_not_called_complete() -> None:
    for seed in range(60):
        sheets, query, every = case(seed, 0.0)
        expected = ranked(query, every)
        for work in (4, 8, 16, 32):
            found = find(Graph.build(sheets), structs.replace(query, work=work, k=4), explain=False)
            if isinstance(found, Found) and found.proven:
                keys = [route_key(query, route) for route in found.routes]
                assert keys == expected[: len(keys)], f"seed {seed}"
                assert not found.complete or keys == expected[:4], f"seed {seed}"

"""Ends by what they lead to: `any gpu in DE`, `nearest edge`; which are meant, found, and said to be known."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from msgspec import structs

from federation.broker.market.view import federation_view
from federation.cli.tables import federation_lines
from schemas.answer import FederationView, SearchAnswer
from schemas.intent import Objective
from schemas.problem import Problem
from schemas.segment import Limits
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock
from tests.support.small_market import intent, small_market


def sites(by_name: Mapping[str, FakeOperator]) -> None:
    """GPUs in Milan (far), Frankfurt (near and dear) and Utrecht; a cloud in Zurich behind Beta."""
    alpha, beta, gamma = (by_name[name] for name in ("Alpha", "Beta", "Gamma"))
    gamma.interfaces["g-mi"] = structs.replace(gamma.interfaces["g-mi"], capabilities=("gpu",))
    alpha.uni("a-fr", "Frankfurt", country="DE", capabilities=("gpu", "edge")).offer("a-ut", "a-fr", price=900, us=50)
    alpha.interfaces["a-ut"] = structs.replace(alpha.interfaces["a-ut"], capabilities=("gpu",))
    beta.uni("b-zu", "Zurich", country="CH", capabilities=("on-ramp:nimbus",)).offer("b-a", "b-zu", price=1, us=900)


def asked(**changes: object) -> SearchAnswer:
    async def whole() -> SearchAnswer:
        async with small_market(FixedClock(), sites) as market:
            return await market.searching.search(intent(**changes), 3)

    return asyncio.run(whole())


def reached(answer: SearchAnswer) -> list[str]:
    assert answer.proven
    return [path.segments[-1].z.interface for path in answer.paths]


def test_any_of_several_ends_is_the_one_with_the_best_path() -> None:
    assert reached(asked(z="any gpu")) == ["g-mi", "g-mi", "a-fr"]
    assert reached(asked(z="any gpu", objective=Objective.LATENCY))[0] == "a-fr"


@pytest.mark.parametrize(
    ("z", "end"),
    [
        ("any GPU in IT,CH", "g-mi"),
        ("Any gpu in EU @gamma", "g-mi"),
        ("any gpu in DE", "a-fr"),
        ("any edge", "a-fr"),
        ("any on-ramp:nimbus in ch", "b-zu"),
        ("any on-ramp@Beta", "b-zu"),
    ],
)
def test_countries_and_operators_narrow_what_is_meant(z: str, end: str) -> None:
    assert set(reached(asked(z=z))) == {end}


def test_the_nearest_is_reached_soonest_whatever_it_costs() -> None:
    answer = asked(z="nearest gpu")
    assert reached(answer) == ["a-fr"]
    assert answer.paths[0].why == "the only path that keeps every limit; a-fr in Frankfurt is the nearest"
    assert set(reached(asked(z="nearest gpu", limits=Limits(availability_ppb=1), hops=3))) == {"a-fr"}


def test_what_the_limits_keep_out_is_not_the_nearest() -> None:
    assert set(reached(asked(z="nearest gpu", budget=structs.replace(asked().paths[0].total, micro=300_000_000)))) == {
        "g-mi"
    }
    answer = asked(z="nearest gpu", limits=Limits(latency_us=49))
    assert [relaxation.change for relaxation in answer.relaxations] == ["accept latency of 0.05 ms (+0.001 ms)"]


def test_an_end_that_both_places_mean_is_the_one_that_was_named() -> None:
    assert {p.segments[0].a.interface for p in asked(a="any gpu", z="a-ut").paths} <= {"a-fr", "g-mi"}


@pytest.mark.parametrize(
    ("z", "said"),
    [
        ("any gpu in FR", "no UNI with capability 'gpu' in FR; it is known in DE, IT, NL"),
        ("nearest quantum", "no UNI with capability 'quantum'; capabilities known are edge, gpu, on-ramp:nimbus"),
        ("any gpu@Beta", "no UNI of Beta with capability 'gpu'; capabilities known are on-ramp:nimbus"),
        ("any gpu@Delta", "no UNI of Delta with capability 'gpu'; capabilities known are none"),
        ("any gpu in Germany", "'GERMANY' is neither a two-letter country code"),
        ("any", "write for example any gpu, nearest edge in DE,FR"),
        ("nearest gpu near Bonn", "write for example any gpu, nearest edge in DE,FR"),
        ("any gpu@nobody", "no operator 'nobody' here"),
    ],
)
def test_a_wish_that_nobody_meets_is_refused_with_what_there_is(z: str, said: str) -> None:
    with pytest.raises(Problem, match=said) as caught:
        asked(z=z)
    assert caught.value.field == "z"


def test_a_front_is_drawn_to_the_nearest_as_well() -> None:
    async def whole() -> SearchAnswer:
        async with small_market(FixedClock(), sites) as market:
            both = (Objective.PRICE, Objective.LATENCY)
            return await market.searching.search(intent(z="nearest gpu"), 1, front=both)

    front = asyncio.run(whole()).front
    assert front is not None
    assert {path.segments[-1].z.interface for path in front.paths} == {"a-fr"}


def test_what_is_known_is_listed_with_how_many_lead_there() -> None:
    async def whole() -> FederationView:
        async with small_market(FixedClock(), sites) as market:
            known = market.federation.known
            return federation_view(market.market.snapshot, known, market.facts.get, memory_kib=1, discovery_ms=2)

    view = asyncio.run(whole())
    assert [(c.name, c.unis, c.countries) for c in view.capabilities] == [
        ("edge", 1, ("DE",)),
        ("gpu", 3, ("DE", "IT", "NL")),
        ("on-ramp:nimbus", 1, ("CH",)),
    ]
    *_, last = federation_lines(view)
    assert last == "UNIs that lead to: edge (1 in DE), gpu (3 in DE IT NL), on-ramp:nimbus (1 in CH)"

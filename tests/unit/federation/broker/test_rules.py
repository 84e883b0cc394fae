"""Operators required, sites and cities avoided, trust marks required: what is found, and what is said of the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from msgspec import structs

from schemas.answer import SearchAnswer
from schemas.problem import Problem
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, BETA, DELTA, GAMMA, intent, small_market

SAFE, GREEN = "https://marks.example/safe", "https://marks.example/green"


def sited(by_name: Mapping[str, FakeOperator]) -> None:
    """Where Alpha meets Beta is a site of its own, and a city of its own."""
    alpha, beta = by_name["Alpha"], by_name["Beta"]
    alpha.interfaces["a-b"] = structs.replace(alpha.interfaces["a-b"], name="Halle 5", city="Mainz")
    beta.interfaces["b-g"] = structs.replace(beta.interfaces["b-g"], name="Halle 5")


def asked(marks: Mapping[str, frozenset[str]] | None = None, **changes: object) -> SearchAnswer:
    async def whole() -> SearchAnswer:
        async with small_market(FixedClock(), sited) as market:
            market.marks.update(marks or {})
            return await market.searching.search(intent(**changes), 3)

    return asyncio.run(whole())


def middles(answer: SearchAnswer) -> list[str]:
    assert answer.proven
    return [path.segments[1].operator_name for path in answer.paths]


def test_a_required_operator_is_on_every_path() -> None:
    assert middles(asked(operators_required=("delta",))) == ["Delta"]
    assert middles(asked(operators_required=("alpha", "GAMMA"))) == ["Beta", "Delta"]


def test_two_ways_to_the_same_place_cannot_both_be_required() -> None:
    answer = asked(operators_required=("Beta", "Delta"))
    assert [(b.limit, b.asked, b.floor) for b in answer.binding] == [
        ("operators_required", "Beta, Delta", "without Delta")
    ]
    assert [relaxation.change for relaxation in answer.relaxations] == ["no longer require Delta"]


@pytest.mark.parametrize("name", ["Mainz", "mainz@alpha"])
def test_where_a_city_is_avoided_nothing_is_crossed_there(name: str) -> None:
    answer = asked(cities_denied=(name,))
    assert middles(answer) == ["Delta"]
    assert [(e.operator, e.rule, e.detail) for e in answer.excluded] == [
        (ALPHA, "cities_denied", f"1 of its 3 interfaces: the intent avoids {name}")
    ]


def test_a_path_may_begin_in_a_city_that_is_avoided() -> None:
    answer = asked(cities_denied=("Frankfurt", "Utrecht"))
    assert [(b.limit, b.asked) for b in answer.binding] == [("cities_denied", "Frankfurt")]
    assert [relaxation.change for relaxation in answer.relaxations] == ["no longer avoid Frankfurt"]
    assert middles(asked(cities_denied=("Utrecht", "Milan"))) == ["Beta", "Delta"]


@pytest.mark.parametrize("name", ["halle 5", "a-b", "Halle 5@Beta"])
def test_a_site_that_is_avoided_is_not_used(name: str) -> None:
    assert middles(asked(sites_denied=(name,))) == ["Delta"]


def test_an_end_that_is_avoided_by_its_site_is_no_end() -> None:
    answer = asked(sites_denied=("a-ut",))
    assert [relaxation.change for relaxation in answer.relaxations] == ["no longer avoid a-ut"]


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"cities_denied": ("Zurik",)}, "cities_denied", "nothing to avoid; did you mean Zurich"),
        ({"sites_denied": ("Zurich",)}, "sites_denied", "nothing to avoid; known are Halle 5, a-b"),
        ({"cities_denied": ("Zurich@nobody",)}, "cities_denied", "no operator 'nobody' here"),
        ({"operators_required": ("nobody",)}, "operators_required", "no operator 'nobody' here"),
    ],
)
def test_a_name_that_is_known_nowhere_is_refused(changes: dict[str, object], field: str, said: str) -> None:
    with pytest.raises(Problem, match=said) as caught:
        asked(**changes)
    assert caught.value.field == field


def test_only_operators_with_every_mark_are_used() -> None:
    safe = dict.fromkeys((ALPHA, BETA, GAMMA, DELTA), frozenset({SAFE}))
    answer = asked(safe | {BETA: frozenset({GREEN})}, marks_required=(SAFE,))
    assert middles(answer) == ["Delta"]
    assert [(e.operator, e.rule, e.detail) for e in answer.excluded] == [
        (BETA, "marks_required", f"no recognised auditor gave it the mark {SAFE}")
    ]
    answer = asked(safe, marks_required=(SAFE, GREEN))
    assert [(b.limit, b.floor) for b in answer.binding] == [("marks_required", f"without {GREEN}")]
    assert [relaxation.change for relaxation in answer.relaxations] == [f"no longer require the mark {GREEN}"]


def test_classes_currencies_and_terms_that_do_not_suit_are_told() -> None:
    def change(by_name: Mapping[str, FakeOperator]) -> None:
        beta, delta = by_name["Beta"], by_name["Delta"]
        beta.classes["any"] = structs.replace(beta.classes["any"], minimum_term_s=7200)
        delta.currency = "JPY"

    async def whole() -> SearchAnswer:
        async with small_market(FixedClock(), change) as market:
            return await market.searching.search(intent(route_classes=("eu",)), 1)

    told = [(e.operator_name, e.rule, e.detail) for e in asyncio.run(whole()).excluded]
    assert ("Beta", "duration_s", "is sold for 2 h at least") in told
    assert ("Delta", "currency", "is paid in JPY, for which this broker has no rate") in told
    assert [name for name, rule, _ in told if rule == "route_classes"] == ["Alpha", "Beta", "Delta", "Gamma"]

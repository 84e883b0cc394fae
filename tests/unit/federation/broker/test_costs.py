"""What limits cost, and by what the best path beats the next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from federation.broker.market.words import limit_names
from schemas.answer import SearchAnswer
from schemas.intent import Objective
from schemas.jurisdiction import Attestation, ClassFacts, Sovereignty
from schemas.price import Money
from schemas.segment import Limits
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock
from tests.support.small_market import ALPHA, BETA, DELTA, GAMMA, intent, small_market

IN_EU = Sovereignty(countries=("EU", "CH"))


def slow(by_name: Mapping[str, FakeOperator]) -> None:
    """Beta, the cheap way, is slow."""
    by_name["Beta"].offer("b-a", "b-g", price=100, us=5_000)


def asked(paths: int = 1, **changes: object) -> SearchAnswer:
    async def whole() -> SearchAnswer:
        async with small_market(FixedClock(), slow) as market:
            for entity, countries in ((ALPHA, "NL"), (BETA, "US"), (GAMMA, "IT"), (DELTA, "DE")):
                market.facts[entity] = Attestation(classes={"any": ClassFacts(countries=(countries,))})
            return await market.searching.search(intent(**changes), paths)

    return asyncio.run(whole())


def test_a_limit_that_costs_money_is_told_with_what_it_costs() -> None:
    (cost,) = asked(limits=Limits(latency_us=2_000)).costs
    assert (cost.limits, cost.saved, cost.operators) == (
        ("latency_us",),
        Money("EUR", 200_000_000),
        ("Alpha", "Beta", "Gamma"),
    )
    assert (
        cost.words
        == "the limit on latency costs EUR 200.00: without it one could go over Alpha, Beta, Gamma in 5.51 ms"
    )
    assert cost.promise.latency_us == 5_510


def test_a_rule_that_costs_money_is_told_too() -> None:
    (cost,) = asked(sovereignty=IN_EU).costs
    assert cost.words.startswith("the limit on countries crossed costs EUR 200.00: without it")


def test_limits_that_cost_only_together_are_told_together() -> None:
    (cost,) = asked(limits=Limits(latency_us=2_000), sovereignty=IN_EU).costs
    assert cost.limits == ("latency_us", "countries")
    assert cost.words.startswith("the limits on latency and countries crossed together cost EUR 200.00: without them")


def test_several_rules_of_a_policy_name_it_once() -> None:
    rules = ("latency_us", "eu-health.countries", "eu-health.key_custody", "eu-only.operations")
    health, eu = "countries and key custody in policy eu-health", "operations in policy eu-only"
    assert limit_names(rules) == f"latency, {health} and {eu}"
    assert limit_names(("eu-only.operations",)) == "operations in policy eu-only"


def test_limits_that_cost_nothing_are_not_told() -> None:
    assert asked(limits=Limits(latency_us=9_000), hops=3).costs == ()
    assert asked(limits=Limits(latency_us=2_000), objective=Objective.LATENCY).costs == ()
    assert asked().costs == ()


def test_the_runner_up_is_told_where_only_one_path_was_asked_for() -> None:
    answer = asked()
    assert len(answer.paths) == 1
    assert answer.paths[0].why == (
        "the cheapest that keeps every limit; "
        "the next, over Delta instead of Beta, is EUR 200.00 dearer and 4.1 ms faster"
    )

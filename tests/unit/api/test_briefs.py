"""What an agent writes, as the broker's intent, and what it is told of a search."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import structs

from federation.broker.api.arguments import IntentArgs
from federation.broker.api.briefs import search_brief
from schemas.answer import LimitCost, SearchAnswer
from schemas.intent import Objective, Weights
from schemas.price import Money
from schemas.segment import Limits, Promise, window

GIVEN = {"from_place": "Utrecht", "to_place": "nearest gpu in DE", "bandwidth_mbps": 1, "duration_s": 60}


def asked(**given: object) -> IntentArgs:
    return msgspec.convert(GIVEN | given, IntentArgs)


def test_every_rule_and_weight_reaches_the_intent() -> None:
    intent = asked(
        best="weighted",
        latency_worth_micro_per_ms=5,
        carbon_worth_micro_per_kg=7,
        max_carbon_mg_per_gb=900,
        via_operators=["SURF"],
        avoid_cities=["Bonn"],
        avoid_sites=["Halle 5@DFN"],
        operator_marks=["m"],
        idle_release_s=300,
    ).intent()
    assert intent.objective is Objective.WEIGHTED
    assert intent.weights == Weights(latency_micro_per_ms=5, carbon_micro_per_kg=7)
    assert (intent.limits, intent.idle_release_s) == (Limits(carbon_mg_gb=900), 300)
    assert (intent.operators_required, intent.cities_denied) == (("SURF",), ("Bonn",))
    assert (intent.sites_denied, intent.marks_required, intent.z) == (("Halle 5@DFN",), ("m",), "nearest gpu in DE")


def test_weights_without_the_objective_are_refused() -> None:
    with pytest.raises(ValueError, match="weights belong to the objective"):
        asked(latency_worth_micro_per_ms=5).intent()


def test_more_required_operators_than_a_search_can_bear_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="via_operators"):
        asked(via_operators=[f"op{number}" for number in range(9)])


def test_an_agent_is_told_what_limits_cost() -> None:
    words = "the limit on latency costs EUR 2.00: without it one could go over A in 3 ms"
    cost = LimitCost(
        limits=("latency_us",), saved=Money("EUR", 2_000_000), promise=Promise(), operators=("A",), words=words
    )
    answer = SearchAnswer(found=True, window=window(0, 60))
    assert search_brief(structs.replace(answer, costs=(cost,) * 5)).limit_costs == (words,) * 3

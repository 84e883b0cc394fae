"""From the words of `peerway search` to an intent, and what is said of words that contradict each other."""

from __future__ import annotations

from typing import Any

import click
import pytest

from federation.cli.options import INTENT_NAMES, intent_from, intent_options
from schemas.intent import Intent, Objective, Weights
from schemas.problem import Problem
from schemas.segment import Limits


def intent(*words: str) -> Intent:
    """The intent that a command with these options would send."""
    found: dict[str, Any] = {}

    @click.command()
    @intent_options
    def command(**given: Any) -> None:
        found.update(given)

    command.main(["Utrecht", "Milan", "--bandwidth", "1G", "--for", "1h", *words], standalone_mode=False)
    assert found.keys() == INTENT_NAMES
    return intent_from(found)


def test_a_limit_on_carbon_is_one_more_limit() -> None:
    assert intent("--carbon", "1500", "--latency", "9ms").limits == Limits(latency_us=9_000, carbon_mg_gb=1_500)


def test_what_latency_and_carbon_are_worth_makes_weights() -> None:
    asked = intent("--best", "weighted", "--latency-worth", "2EUR", "--carbon-worth", "0.1EUR")
    assert asked.objective is Objective.WEIGHTED
    assert asked.weights == Weights(latency_micro_per_ms=2_000_000, carbon_micro_per_kg=100_000)
    assert intent("--best", "carbon").weights is None


def test_rules_about_operators_and_places_are_lists_of_names() -> None:
    asked = intent(
        "--via", "SURF, GEANT", "--avoid-city", "Paris,Lyon@RENATER", "--avoid-site", "Telehouse", "--mark", "m"
    )
    assert asked.operators_required == ("SURF", "GEANT")
    assert asked.cities_denied == ("Paris", "Lyon@RENATER")
    assert (asked.sites_denied, asked.marks_required) == (("Telehouse",), ("m",))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--best", "weighted"), "weighted by what"),
        (("--latency-worth", "2EUR"), "with --best weighted only"),
        (("--best", "weighted", "--carbon-worth", "2USD"), "must be in EUR"),
        (("--best", "weighted", "--carbon-worth", "0EUR"), "above 0"),
    ],
)
def test_worth_that_means_nothing_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(Problem, match=said):
        intent(*words)

"""From the words of `peerway search` to an intent, and what is said of words that contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from federation.cli.options import BOUNDARY_HELP, INTENT_NAMES, intent_from, intent_options
from schemas.boundary import Boundary, Flow
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


def test_policy_class_and_boundary_stand_in_the_intent(tmp_path: Path) -> None:
    file = tmp_path / "boundary.json"
    file.write_text(BOUNDARY_HELP)
    asked = intent("--policy", "eu-only", "--data-class", "EU-health", "--boundary", str(file))
    assert (asked.policy, asked.data_class) == ("eu-only", "EU-health")
    flow = Flow(a=("10.1.0.0/16",), z=("10.2.0.0/16",), protocol="tcp", ports=("443",))
    assert asked.boundary == Boundary(flows=(flow,))


def test_a_file_that_holds_no_boundary_is_refused_with_an_example(tmp_path: Path) -> None:
    file = tmp_path / "boundary.json"
    file.write_text('{"flows": [{"a": ["10.1.0.9/16"], "z": ["10.2.0.0/16"]}]}')
    with pytest.raises(click.BadParameter, match=r"has host bits set.*write for example"):
        intent("--boundary", str(file))
    with pytest.raises(Problem, match="missing"):
        intent("--boundary", str(tmp_path / "missing.json"))


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


def test_silence_may_end_a_lease_after_half_a_minute_and_within_a_day() -> None:
    assert intent("--idle-release", "5m").idle_release_s == 300
    for wrong in ("29s", "2d"):
        with pytest.raises(Problem, match="from 30s to 1d"):
            intent("--idle-release", wrong)

"""Buyers that want another bandwidth, in place or by another order, while everything fails: one path, one bandwidth."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from federation.broker.orders.saga import handing
from tests.support.world.bent import bend
from tests.support.world.run import Outcome, Plan, play

SEEDS = range(2_000) if os.environ.get("PEERWAY_TEST_LONG") else range(60)
PLAN = Plan(release=0.15, resize=0.8, lasts_s=400)


def test_whatever_fails_a_path_has_one_bandwidth_and_one_order() -> None:
    told: Counter[str] = Counter()
    for seed in SEEDS:
        outcome = play(seed, PLAN)
        assert outcome.broken == [], f"seed {seed}: {outcome.broken}"
        told += outcome.told
        told["changed"] += sum(state.resized_bps is not None for state in outcome.states)
        told["replaced"] += sum(bool(state.terms.replaces and state.was_active) for state in outcome.states)
        told["taken back"] += sum(_went_back(outcome))
    print(dict(told))
    assert min(told[name] for name in ("changed", "replaced", "crash", "lost answer")) > 0


def _went_back(outcome: Outcome) -> list[bool]:
    return [any(entry.why.startswith("not resized") for entry in state.history) for state in outcome.states]


def test_an_old_order_that_is_never_told_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bend(monkeypatch, handing.owed, "return wanted(state) not in {None, state.handed}", "return False")
    assert any(play(seed, PLAN).broken for seed in range(100))

"""The eight promises hold in a whole federation, whatever is lost, late, repeated, slow, cut off, full or dead.

A failure names its seed and plan; `make simulate SEED=123 PLAN=rough` plays that one again.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from schemas.lease import State
from tests.simulation.world.plans import PLANS, planned
from tests.simulation.world.run import Plan, play
from tests.simulation.world.wire import FAULTS

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
CHUNKS = 8
SEEDS = 10_000 if LONG else 480
NODES = (
    "broker crash", "operator crash", "partition", "lost in a partition", "clock set", "lie", "slow fabric",
    "broken fabric", "disk full", "broker's disk full", "broker standing still", "operator standing still",
    "lost lease hint", "late lease hint", "answer of a person", "lost event of a quote", "late event of a quote",
    "the network forgot a segment", "the network carries a stray", "a claim of nobody", "swept at an operator: dark",
    "swept at an operator: network", "swept at an operator: claim",
)  # fmt: skip


@pytest.fixture(scope="module")
def happened() -> dict[int, Counter[str]]:
    """What happened, by chunk."""
    return {}


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds_once_it_is_quiet(chunk: int, happened: dict[int, Counter[str]]) -> None:
    seen: Counter[str] = Counter()
    for seed, name in planned(range(chunk * SEEDS // CHUNKS, (chunk + 1) * SEEDS // CHUNKS)):
        outcome = play(seed, PLANS[name])
        assert not outcome.broken, f"make simulate SEED={seed} PLAN='{name}': {outcome.broken}"
        seen += outcome.told
    happened[chunk] = seen


def test_everything_that_the_promises_are_about_did_happen(happened: dict[int, Counter[str]]) -> None:
    if len(happened) < CHUNKS:
        pytest.skip("not every chunk was played here")
    seen = sum(happened.values(), Counter[str]())
    print(dict(seen))
    fates = [str(state) for state in (State.ACTIVE, State.FAILED, State.RELEASED, State.COMMITTED)]
    wishes = ("quote", "order", "extend", "resize", "heartbeat", "release", "decline", "wait")
    missing = [what for what in (*FAULTS, *NODES, *wishes, *fates) if not seen[what]]
    assert not missing


def test_without_faults_every_order_becomes_active() -> None:
    for seed in range(6):
        outcome = play(seed, Plan(trouble=False))
        assert not outcome.broken
        assert outcome.states
        assert all(state.was_active and state.state is State.RELEASED for state in outcome.states if not early(state))
        assert all(state.bill is not None for state in outcome.states)


def early(state: object) -> bool:
    """Released before its window began."""
    return not getattr(state, "was_active", False)


@pytest.mark.parametrize(("seed", "plan"), [(7, "drawn"), (8, "replicas"), (16, "by hand"), (18, "swept")])
def test_a_seed_replays(seed: int, plan: str) -> None:
    first, again = play(seed, PLANS[plan]), play(seed, PLANS[plan])
    assert first.told == again.told
    assert [state.history for state in first.states] == [state.history for state in again.states]


def test_a_network_that_lets_go_late_carries_no_two_leases_under_one_label() -> None:
    assert not play(10_036, PLANS["crowd"]).broken

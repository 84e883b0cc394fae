"""Orders survive anything: seeds of lost, late, repeated and slow messages, operators that go away, brokers that die.

A failure names its seed and plan; `PEERWAY_SEED=123 PEERWAY_PLAN=rough pytest tests/property/test_orders_survive.py`
runs that one again.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from schemas.lease import State
from tests.support.world.network import FAULTS
from tests.support.world.run import Plan, play

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
CHUNKS = 8
SEEDS = 10_000 if LONG else 640
PLANS = {
    "drawn": Plan(),
    "later": Plan(start_in_s=20_000, fault=0.35, crash=0.06),
    "rough": Plan(fault=0.5, crash=0.1),
    "longer": Plan(start_in_s=0, release=0.0, fault=0.2),
    "brief": Plan(start_in_s=0, lasts_s=40, fault=0.3),
    "long path": Plan(operators=5, orders=3, fault=0.1),
}


def runs(chunk: int) -> list[tuple[int, str]]:
    """Seeds and the names of their plans: half of them draw everything, the others visit the corners."""
    if "PEERWAY_SEED" in os.environ:
        return [(int(os.environ["PEERWAY_SEED"]), os.environ.get("PEERWAY_PLAN", "drawn"))] if chunk == 0 else []
    corners = [name for name in PLANS if name != "drawn"]
    return [(seed, "drawn" if seed % 2 else corners[seed // 2 % len(corners)]) for seed in range(chunk, SEEDS, CHUNKS)]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_promise_holds_once_it_is_quiet(chunk: int) -> None:
    seen: Counter[str] = Counter()
    planned = runs(chunk)
    for seed, name in planned:
        outcome = play(seed, PLANS[name])
        assert not outcome.broken, f"PEERWAY_SEED={seed} PEERWAY_PLAN='{name}': {outcome.broken}"
        seen += outcome.told
    print(f"{len(planned)} runs: {dict(seen)}")
    # The faults and the fates that the promises are about did occur.
    fates = [str(state) for state in (State.ACTIVE, State.FAILED, State.RELEASED)]
    for what in (*FAULTS, "crash", "operator down", "extend", *fates) if len(planned) > 1 else ():
        assert seen[what] > 0, what


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_broker_may_die_at_every_write_of_its_journal(moment: str) -> None:
    calm = Plan(trouble=False, start_in_s=0, lasts_s=400, operators=3, orders=1, trouble_s=120)
    writes = max(play(seed, calm).writes for seed in range(6))
    assert writes > 5
    for write in range(writes):
        for seed in range(6):
            plan = Plan(
                trouble=False, start_in_s=0, lasts_s=400, operators=3, orders=1, trouble_s=120,
                crash_write=(write, moment),
            )  # fmt: skip
            outcome = play(seed, plan)
            assert not outcome.broken, f"seed {seed}, crash {moment} write {write}: {outcome.broken}"


def test_without_faults_every_order_becomes_active() -> None:
    for seed in range(10):
        outcome = play(seed, Plan(trouble=False, wishes=False, start_in_s=0, crash=0.0))
        assert not outcome.broken
        assert all(state.was_active and state.state is State.RELEASED for state in outcome.states)
        assert all(state.bill and state.bill.total.micro > 0 for state in outcome.states)


def test_a_seed_replays() -> None:
    first, again = play(7), play(7)
    assert first.told == again.told
    assert [state.history for state in first.states] == [state.history for state in again.states]

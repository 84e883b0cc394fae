"""Orders survive any of three replicas: seeds of crashes and standstills of each, lost news, late messages; what was
decided too late is refused. A failure names its seed: `PEERWAY_SEED=123 pytest tests/property/test_replicas.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from federation.broker.replicas.carrying import Carrying
from tests.support.loops import JumpingLoop
from tests.support.world.bent import bend
from tests.support.world.memory import MemoryStore
from tests.support.world.network import FAULTS
from tests.support.world.replicas import ReplicaWorld
from tests.support.world.run import Outcome, Plan

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
SEEDS = 400 if LONG else 8
BITES = 120
PLAN = Plan(start_in_s=0, lasts_s=300)
BUSY = Plan(start_in_s=0, lasts_s=300, release=0.5, fault=0.3, crash=0.06)


def play(seed: int, plan: Plan = PLAN) -> Outcome:
    """One run; what is announced in the end is wrong, because every order is over."""
    loop = JumpingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        world = ReplicaWorld(seed, plan, loop)
        outcome = runner.run(world.play())
    outcome.broken += [f"still announced: {order}" for _, order, *_ in world.replicas.stream.entries.values()]
    outcome.told["taken"] = sum(state.taken for state in outcome.states)
    return outcome


def seeds() -> list[int]:
    return [int(os.environ["PEERWAY_SEED"])] if "PEERWAY_SEED" in os.environ else [*range(SEEDS)]


def test_every_promise_holds_whoever_carries_an_order() -> None:
    seen: Counter[str] = Counter()
    for seed in seeds():
        outcome = play(seed, BUSY if seed % 2 else PLAN)
        assert not outcome.broken, f"PEERWAY_SEED={seed}: {outcome.broken}"
        seen += outcome.told
    print(f"{len(seeds())} runs: {dict(seen)}")
    for what in (*FAULTS, "crash", "taken", "RELEASED") if len(seeds()) > 1 else ():
        assert seen[what] > 0, what


@pytest.mark.parametrize(
    ("function", "straight", "crooked", "first"),
    [
        (MemoryStore.save, "if state.version != present + 1:", "if False:", 30),
        (Carrying._round, "await self._announcements.take_over(", "await asyncio.sleep(0, ", 0),
    ],
    ids=["any version", "no takeover"],
)
def test_a_bent_rule_is_found(
    monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], straight: str, crooked: str, first: int
) -> None:
    bend(monkeypatch, function, straight, crooked)
    for seed in range(first, first + BITES):
        if broken := play(seed, BUSY).broken:
            print(f"seed {seed}: {broken[0]}")
            return
    pytest.fail(f"{BITES} seeds did not notice")

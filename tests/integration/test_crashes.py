"""Real brokers and operators killed and stopped at chosen moments of real purchases.

Nothing acknowledged is lost, nobody is left with what no order owns, and both sides' books agree. `PEERWAY_TEST_SEED`
names the moments.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from tests.support.crashes import bent
from tests.support.crashes.campaign import Campaign
from tests.support.crashes.points import WANTED
from tests.support.crashes.strike import Strike, draw, every
from tests.support.federation import ENDS, GBPS, LINE, BrokerPlan, TinyFederation, retried, tiny_federation
from tests.support.redis_server import RedisServer

LONG = bool(os.environ.get("PEERWAY_TEST_LONG"))
SEED = int(os.environ.get("PEERWAY_TEST_SEED", "20261121"))
CRASHES = 200 if LONG else 20
CRASHES_ON_REDIS = 60 if LONG else 6
# So little that what killed brokers held for nobody, until it ends, stands in no way.
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS // 100, duration_s=3600)
OPERATORS = [plan.name for plan in LINE]
DESK = BrokerPlan(hold_s=5, operator_timeout_s=2)


@pytest_asyncio.fixture
async def federation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TinyFederation]:
    monkeypatch.setenv(WANTED, "1")
    async with tiny_federation(tmp_path, desk=DESK) as made:
        yield made


async def struck(campaign: Campaign, chance: Random, crashes: int = CRASHES, *, redis: bool = False) -> None:
    """So many blows, one or two at a time, as the seed has it."""
    number = 0
    while campaign.fell.total() < crashes:
        first, second = draw(chance, OPERATORS, redis=redis), draw(chance, OPERATORS, redis=redis)
        together = [first, second] if chance.random() < 0.3 and second.at != first.at else [first]
        await campaign.strike(together, f"{SEED}-{number}")
        number += 1
        assert number < 3 * crashes, "most of what is drawn falls"
    await campaign.concluded()


@pytest.mark.asyncio
async def test_random_crashes_lose_nothing_and_leave_nothing(federation: TinyFederation) -> None:
    campaign = Campaign(federation, INTENT)
    await struck(campaign, Random(SEED))
    assert campaign.ends[State.RELEASED] > CRASHES
    async with federation.client() as client:
        whole = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=10 * GBPS, duration_s=3600)
        await client.decline((await retried(lambda: client.quote(whole))).id)


@pytest.mark.asyncio
async def test_random_crashes_of_a_broker_on_redis_and_of_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WANTED, "1")
    with RedisServer() as redis:
        async with tiny_federation(tmp_path, desk=replace(DESK, redis=redis.store.redis)) as made:
            campaign = Campaign(made, INTENT, redis=redis)
            await struck(campaign, Random(SEED), CRASHES_ON_REDIS, redis=True)


@pytest.mark.long
@pytest.mark.asyncio
@pytest.mark.parametrize("rule", sorted(bent.BENT))
async def test_a_broken_rule_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    monkeypatch.setenv(WANTED, "1")
    monkeypatch.setenv(bent.WANTED, rule)
    async with tiny_federation(tmp_path, desk=DESK) as made:
        with pytest.raises((AssertionError, Problem)):
            await struck(Campaign(made, INTENT, patience_s=10), Random(SEED))


@pytest.mark.long
@pytest.mark.asyncio
async def test_a_kill_at_each_step_loses_nothing_and_leaves_nothing(federation: TinyFederation) -> None:
    strikes: Sequence[Strike] = every(OPERATORS)
    campaign = Campaign(federation, INTENT)
    for number, strike in enumerate(strikes):
        await campaign.strike([strike], f"each-{number}")
    await campaign.concluded()
    assert campaign.fell.total() > len(strikes) // 2

"""What every store of quotes that are not answered yet must do: SQLite, Redis, and what simulations use instead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.quotes.hand import Ask
from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.waiting import Question, Waiting
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from tests.support.broker_stores import KINDS, BrokerStore, broker_store
from tests.support.operator_world import plan
from tests.support.redis_server import emptied, redis_server
from tests.support.seams import NOW

__all__ = ["emptied", "redis_server"]
INTENT = Intent(a="Oslo", z="Rome", bandwidth_bps=10**9, duration_s=3_600, answer_within_s=600)
FIRST = Waiting(
    id="q-1", buyer="alice", intent=INTENT, asked_at=NOW, answer_by=NOW + 600, names={}, version=1, beat_s=NOW
)
CLAIM = Claim(buyer="alice", key="k-1", digest="d" * 43)


@pytest_asyncio.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerStore]:
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


def following(waiting: Waiting, **changes: object) -> Waiting:
    """The next version of it."""
    return structs.replace(waiting, version=waiting.version + 1, **changes)


@pytest.mark.asyncio
async def test_one_is_kept_with_its_claim_and_found_by_its_buyer_alone(store: BrokerStore) -> None:
    assert await store.claim(CLAIM, NOW) is None
    assert await store.put_waiting(FIRST, CLAIM)
    assert await store.claim(CLAIM, NOW) == "q-1"
    assert await store.get_waiting("alice", "q-1") == FIRST
    assert await store.get_waiting("bob", "q-1") is None
    assert await store.get_waiting("alice", "q-2") is None
    other = structs.replace(FIRST, id="q-2")
    with pytest.raises(Problem, match="another request"):
        await store.put_waiting(other, structs.replace(CLAIM, digest="e" * 43))
    assert await store.get_waiting("alice", "q-2") is None


@pytest.mark.asyncio
async def test_a_version_is_written_over_the_one_before_and_no_other(store: BrokerStore) -> None:
    await store.put_waiting(FIRST)
    question = Question(ask=Ask(operator="https://a.example", segment=plan()), rfq_jws="a.b.c", quote_id="s-1")
    mine, theirs = following(FIRST, questions=(question,)), following(FIRST, rounds=3)
    won = await asyncio.gather(store.put_waiting(mine), store.put_waiting(theirs))
    assert sorted(won) == [False, True]
    kept = await store.get_waiting("alice", "q-1")
    assert kept == (mine if won[0] else theirs)
    assert not await store.put_waiting(following(following(following(FIRST))))
    assert await store.put_waiting(following(following(FIRST)))


@pytest.mark.asyncio
async def test_what_is_open_is_found_until_it_is_over_and_later_forgotten(store: BrokerStore) -> None:
    others = [structs.replace(FIRST, id=name, buyer=name) for name in ("q-3", "q-2")]
    for waiting in (FIRST, *others):
        await store.put_waiting(waiting)
    assert [one.id for one in await store.open_waiting()] == ["q-1", "q-2", "q-3"]
    question = Question(ask=Ask(operator="https://a.example", segment=plan()), rfq_jws="a.b.c")
    closing = following(FIRST, state=State.DECLINED, questions=(question,), beat_s=NOW + 1)
    await store.put_waiting(closing)
    assert closing in await store.open_waiting()
    over = following(closing, questions=(), problem={"code": "OPERATOR_REFUSED", "detail": "no"}, beat_s=NOW + 2)
    await store.put_waiting(over)
    assert [one.id for one in await store.open_waiting()] == ["q-2", "q-3"]
    await store.prune_waiting(NOW + 2)
    assert await store.get_waiting("alice", "q-1") == over
    await store.prune_waiting(NOW + 100)
    assert await store.get_waiting("alice", "q-1") is None
    assert len(await store.open_waiting()) == 2

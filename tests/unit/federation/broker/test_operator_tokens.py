"""Tokens of operators are fetched once, kept for four fifths of their life, and never lent to another need."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from federation.broker.peers import tokens
from federation.broker.peers.tokens import Fetched, Need, OperatorTokens
from federation.tokens.assertion import Chained
from schemas.authority import Deed
from schemas.problem import Problem
from tests.support.authority import AUTHORITY, OPERATOR
from tests.support.seams import FixedClock

NEED = Need(OPERATOR, AUTHORITY, Chained("m" * 43, "txn-1", "buyer", "agent"), "c" * 43)


class Source:
    """Counts what it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[Need] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fail: Problem | None = None

    async def fetch(self, need: Need) -> Fetched:
        self.asked.append(need)
        await self.open.wait()
        if self.fail:
            raise self.fail
        return Fetched(f"token-{len(self.asked)}", 120)


@pytest.mark.asyncio
async def test_a_token_is_fetched_once_and_kept_for_four_fifths_of_its_life() -> None:
    source, clock = Source(), FixedClock()
    cache = OperatorTokens(source, clock)
    source.open.clear()
    waiting = [asyncio.create_task(cache.token(NEED)) for _ in range(50)]
    await asyncio.sleep(0)
    source.open.set()
    assert set(await asyncio.gather(*waiting)) == {"token-1"}
    clock.advance(95.9)
    other_purchase = NEED._replace(chained=NEED.chained._replace(txn="txn-2"))
    assert await cache.token(other_purchase) == "token-1"
    clock.advance(0.2)
    assert await cache.token(NEED) == "token-2"
    assert len(source.asked) == 2


@pytest.mark.asyncio
async def test_a_token_is_filed_once_before_anybody_uses_it_and_not_used_where_it_cannot_be() -> None:
    source, filed, full = Source(), list[tuple[Need, str]](), Problem("UNAVAILABLE", "the disk is full")

    async def keep(need: Need, fetched: Fetched) -> None:
        if len(source.asked) == 1:
            raise full
        filed.append((need, fetched.token))

    cache = OperatorTokens(source, FixedClock(), keep)
    with pytest.raises(Problem, match="full"):
        await cache.token(NEED)
    assert [await cache.token(NEED) for _ in range(3)] == ["token-2"] * 3
    assert filed == [(NEED, "token-2")]


@pytest.mark.asyncio
async def test_no_token_serves_another_need() -> None:
    source = Source()
    cache = OperatorTokens(source, FixedClock())
    needs = (
        NEED,
        NEED._replace(operator="https://kpn.example"),
        NEED._replace(authority=structs.replace(AUTHORITY, actions=(Deed.QUOTE,))),
        NEED._replace(chained=NEED.chained._replace(mandate_h="n" * 43)),
        NEED._replace(chained=NEED.chained._replace(buyer="another")),
        NEED._replace(chained=NEED.chained._replace(agent="another")),
        NEED._replace(x5t="d" * 43),
    )
    assert len({await cache.token(need) for need in needs}) == len(needs)


@pytest.mark.asyncio
async def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    source = Source()
    cache = OperatorTokens(source, FixedClock())
    source.fail = Problem("OPERATOR_UNREACHABLE", "no answer")
    found = await asyncio.gather(*(cache.token(NEED) for _ in range(5)), return_exceptions=True)
    assert [getattr(one, "code", None) for one in found] == ["OPERATOR_UNREACHABLE"] * 5
    assert len(source.asked) == 1
    source.fail = None
    assert await cache.token(NEED) == "token-2"


@pytest.mark.asyncio
async def test_whoever_goes_away_takes_nothing_from_the_others() -> None:
    source = Source()
    cache = OperatorTokens(source, FixedClock())
    source.open.clear()
    first, second = (asyncio.create_task(cache.token(NEED)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.open.set()
    assert await second == "token-1"
    assert len(source.asked) == 1


@pytest.mark.asyncio
async def test_a_refused_token_is_forgotten_and_a_newer_one_is_not() -> None:
    source = Source()
    cache = OperatorTokens(source, FixedClock())
    old = await cache.token(NEED)
    cache.forget(NEED, old)
    new = await cache.token(NEED)
    cache.forget(NEED, old)
    assert await cache.token(NEED) == new == "token-2"


@pytest.mark.asyncio
async def test_a_full_cache_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "KEPT_MAX", 2)
    source, clock = Source(), FixedClock()
    cache = OperatorTokens(source, clock)
    needs = [NEED._replace(operator=f"https://op{n}.example") for n in range(4)]
    assert [await cache.token(need) for need in needs] == ["token-1", "token-2", "token-3", "token-4"]
    assert await cache.token(needs[0]) == "token-1"
    clock.advance(96)
    assert await cache.token(needs[3]) == "token-5"
    assert await cache.token(needs[3]) == "token-5"


@pytest.mark.asyncio
async def test_closing_gives_up_what_is_being_fetched() -> None:
    source = Source()
    cache = OperatorTokens(source, FixedClock())
    source.open.clear()
    waiting = asyncio.create_task(cache.token(NEED))
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting

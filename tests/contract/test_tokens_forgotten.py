"""Tokens by which nothing was ordered are forgotten, and those that the evidence of an order needs are kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.authority.filing import Party
from federation.broker.authority.passes import AFTER_QUOTE_S, BEFORE_QUOTE_S
from federation.broker.orders.saga.decide import begin
from federation.broker.orders.terms import order_terms
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.store.redis.store import RedisStore
from federation.tokens.access import Holder, issue_access
from federation.trust.jose import doc_hash
from schemas.access import Confirmation
from schemas.segment import window
from tests.support.authority import AUTHORITY, BROKER, Cast
from tests.support.broker_stores import KINDS, BrokerStore, broker_store
from tests.support.redis_server import emptied, redis_server
from tests.support.seams import NOW
from tests.support.world.run import BUYER, RATES, Plan, World

__all__ = ["emptied", "redis_server"]
MANDATE, OTHER = "m" * 43, "o" * 43
DAY = 86_400


@pytest_asyncio.fixture(params=KINDS)
async def whole(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BrokerStore]:
    async with broker_store(request.param, request, tmp_path) as made:
        yield made


def quote_under(world: World, mandate_h: str, at: int) -> StoredQuote:
    quote = world.path_quote(window(NOW, NOW + 60))
    return structs.replace(quote, claims=structs.replace(quote.claims, iat=at, mandate_h=mandate_h))


async def filed(whole: BrokerStore, mandate_h: str, at: int, buyer: str = BUYER) -> str:
    holder = Holder("agent-7", "https://buyer.example", Confirmation(jkt="j" * 43))
    token = issue_access(
        Cast().issuer(BROKER), holder, AUTHORITY, mandate_h=mandate_h, txn=f"txn-{at}", now=at, life_s=60
    )
    await whole.file(Party(buyer, None), None, (token,))
    return token


@pytest.mark.asyncio
async def test_tokens_by_which_nothing_was_ordered_are_forgotten(whole: BrokerStore) -> None:
    world = World(1, Plan(operators=2, trouble=False), asyncio.get_running_loop())
    ordered, lost = quote_under(world, MANDATE, NOW), quote_under(world, OTHER, NOW)
    for quote in (ordered, lost):
        await whole.put_quote(quote, None)
    state, _ = begin(order_terms(ordered, "o1", RATES, NOW), NOW + 60, NOW * 1_000_000)
    await whole.begin(state, ordered.id, None, [])
    needed = [await filed(whole, MANDATE, at) for at in (NOW - BEFORE_QUOTE_S, NOW, NOW + AFTER_QUOTE_S)]
    gone = [await filed(whole, MANDATE, at) for at in (NOW - BEFORE_QUOTE_S - 1, NOW + AFTER_QUOTE_S + 1)]
    gone += [await filed(whole, OTHER, NOW), await filed(whole, MANDATE, NOW + 1, "bob")]
    young = await filed(whole, OTHER, NOW + DAY)
    assert await whole.prune_tokens(NOW + DAY, 3) == 0, "no order has said yet what it needs"
    if isinstance(whole, RedisStore):
        return  # there they are kept
    await whole.prune_texts(NOW + DAY, 100)
    assert [await whole.prune_tokens(NOW + DAY, 3) for _ in range(4)] == [3, 3, 1, 0], "each is looked at once"
    found = [await whole.get_document(BUYER, doc_hash(token)) for token in (*needed, young, *gone)]
    assert found == [*needed, young, None, None, None, None]
    assert await whole.get_document("bob", doc_hash(gone[-1])) is None
    passes = await whole.get_passes(BUYER, MANDATE, NOW - DAY, NOW + DAY)
    assert sorted(passes) == sorted(needed)
    assert await whole.get_passes(BUYER, OTHER, NOW - DAY, NOW + DAY) == (young,)

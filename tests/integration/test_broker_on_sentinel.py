"""A broker over Redis Sentinel, with real operators: what a failover does to orders on their way, and how what it lost
is found at the operators and let go."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import TypeVar

import aiohttp
import pytest
import pytest_asyncio

from federation.broker.api.hatch import Audit, hand_in
from federation.broker.store.redis.keys import prefix
from federation.client.broker import BrokerClient
from federation.client.lease import active, released
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import BILLABLE, State
from schemas.problem import Problem
from tests.support.federation import BROKER_ENTITY, ENDS, GBPS, BrokerPlan, TinyFederation, tiny_federation
from tests.support.redis_sentinel import Watched, service, until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["service"]
T = TypeVar("T")
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS // 10, duration_s=3600)
NOTHING: dict[str, dict[str, str]] = {"north": {}, "middle": {}, "south": {}}
PREFIX = prefix(BROKER_ENTITY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def federation(service: Watched, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    desk = BrokerPlan(redis=service.store.redis).patient()
    async with tiny_federation(tmp_path_factory.mktemp("federation"), desk=desk, start=False) as made:
        config = made.folder / "broker" / "config.toml"
        sentinels = json.dumps(service.store.sentinels)
        config.write_text(
            config.read_text().replace("store = { ", f"store = {{ takeover_s = 2, sentinels = {sentinels}, ")
        )
        await made.start("north", "middle", "south")
        await made.start("broker")
        yield made


async def again(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, once the store is there: refused with an outcome until then, and asked for under the same key."""
    while True:
        try:
            return await ask()
        except Problem as problem:
            if problem.code != "UNAVAILABLE":
                raise
            await asyncio.sleep(0.1)


async def bought(client: BrokerClient, key: str) -> OrderView:
    for attempt in count():
        name = f"{key}-{attempt}"
        quote = await again(functools.partial(client.quote, INTENT, f"quote-{name}"))
        try:
            order = await again(functools.partial(client.order, quote.id, f"order-{name}"))
            return await again(functools.partial(_active, client, order.id))
        except Problem:
            continue  # refused for good: for another quote
    raise AssertionError


async def _active(client: BrokerClient, order_id: str) -> OrderView:
    return await active(client, await client.get_order(order_id, 1))


async def gone(client: BrokerClient, order_id: str) -> OrderView:
    async def ask() -> OrderView:
        return await released(client, await client.get_order(order_id))

    return await again(ask)


async def test_the_primary_is_killed_while_orders_are_under_way(federation: TinyFederation, service: Watched) -> None:
    async with federation.client() as client:
        before, quote = service.primary, await client.quote(INTENT)
        buying = [asyncio.create_task(bought(client, f"failover-{n}")) for n in range(6)]
        with before.client() as looking:
            await until(lambda: int(looking.xlen(f"{PREFIX}to-carry")) >= 3)
        before.kill()
        headers = {"Authorization": "Bearer alice-key", "Idempotency-Key": "meanwhile"}
        async with aiohttp.ClientSession(headers=headers) as session:
            url, body = f"{federation.broker}/peerway/v1/orders", {"quote": quote.id}
            async with session.post(url, json=body) as response:
                told = await response.json()
        assert (response.status, told["code"]) == (503, "UNAVAILABLE")
        assert told["outcome"] in {"none", "unknown"}
        assert int(response.headers["Retry-After"]) > 0
        orders = await asyncio.gather(*buying)
        meanwhile = await again(lambda: client.order(quote.id, "meanwhile"))
        orders.append(await again(lambda: _active(client, meanwhile.id)))
        assert {order.state for order in orders} <= BILLABLE
        there = await federation.products()
        assert {name: len(found) for name, found in there.items()} == dict.fromkeys(NOTHING, len(orders))
        assert (await client.audit()).clean
        ended = await asyncio.gather(*(gone(client, order.id) for order in orders))
        assert {order.state for order in ended} == {State.RELEASED}
        assert await federation.products() == NOTHING
        assert service.primary is not before
    await service.healed(before)


async def test_an_order_that_a_failover_lost_is_found_at_its_operators(
    federation: TinyFederation, service: Watched
) -> None:
    """The primary and one replica had acknowledged it, and are lost; the other one was away, and is promoted."""
    async with federation.client() as client:
        kept = await bought(client, "kept")
        before = service.primary
        behind, ahead = (one for one in service.servers if one is not before)
        await until(lambda: _has(behind, kept.id))
        behind.kill()
        lost = await bought(client, "lost")
        assert _has(ahead, lost.id)
        before.kill()
        ahead.kill()
        behind.start()
        assert await service.promoted(before) is behind
        await service.healed(before, ahead)
        with pytest.raises(Problem, match="not known here"):
            await again(lambda: client.get_order(lost.id))
        assert (await again(lambda: client.get_order(kept.id))).state is State.ACTIVE
        found = await again(client.audit)
        assert [finding.kind for finding in found.findings] == ["lease"] * 3
        assert {finding.why for finding in found.findings} == {"a lease of no order in our books"}
        swept = await again(lambda: hand_in(federation.folder / "broker" / "data", Audit(sweep=True)))
        assert len(swept.findings) == 3
        assert (await client.audit()).clean
        there = await federation.products()
        assert {name: len(products) for name, products in there.items()} == dict.fromkeys(NOTHING, 1)
        assert (await gone(client, kept.id)).state is State.RELEASED
        assert await federation.products() == NOTHING


def _has(server: RedisServer, order_id: str) -> bool:
    with server.client() as client:
        return bool(client.exists(f"{PREFIX}order:{order_id}"))

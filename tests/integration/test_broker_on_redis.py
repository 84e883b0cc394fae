"""A broker whose store is a Redis server, with real operators: bought, extended, released, killed, and without it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from federation.broker.store.redis.keys import prefix
from federation.client.broker import BrokerClient
from federation.client.lease import active, extended, released
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import State
from schemas.request import Extension
from tests.support.federation import BROKER_ENTITY, ENDS, GBPS, BrokerPlan, TinyFederation, retried, tiny_federation
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=600)
TAKEOVER_S = 600  # nobody waits so long: after a kill the next process shows that it follows the one before
NOTHING: dict[str, dict[str, str]] = {"north": {}, "middle": {}, "south": {}}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def federation(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    desk = BrokerPlan(redis=server.store.redis)
    async with tiny_federation(tmp_path_factory.mktemp("federation"), desk=desk, start=False) as made:
        config = made.folder / "broker" / "config.toml"
        config.write_text(config.read_text().replace("store = { ", f"store = {{ takeover_s = {TAKEOVER_S}, "))
        await made.start("north", "middle", "south")
        await made.start("broker")
        yield made


async def bought(client: BrokerClient) -> OrderView:
    quote = await client.quote(INTENT)
    return await active(client, await client.order(quote.id))


async def test_a_path_is_bought_extended_and_released(federation: TinyFederation) -> None:
    async with federation.client() as client:
        order = await bought(client)
        assert {name: [*found.values()] for name, found in (await federation.products()).items()} == {
            name: ["active"] for name in NOTHING
        }
        seen = await client.audit()
        assert (seen.clean, [one.leases for one in seen.operators]) == (True, [1, 1, 1])
        longer = await extended(client, order, Extension(by_s=300))
        assert longer.window.end_s == order.window.end_s + 300
        ended = await released(client, longer)
        assert ended.state is State.RELEASED
        assert ended.bill
        assert await federation.products() == NOTHING
        assert (await client.release(order.id)).bill == ended.bill
        assert (await client.statement(order.id)).statement.total == ended.bill.total
        assert (await client.audit()).clean
        assert [one.id for one in await client.orders()] == [order.id]
    async with federation.client("bob") as client:
        assert await client.orders() == ()
    assert not (federation.folder / "broker" / "data" / "broker.sqlite3").exists()


async def test_what_was_signed_is_logged_there_too(federation: TinyFederation, server: RedisServer) -> None:
    """Every document of the purchase before, in a tree that grows beside it."""
    keys = prefix(BROKER_ENTITY)
    with server.client() as client:
        filed = {name.rpartition(":")[2] for name in client.scan_iter(f"{keys}document:*", count=1000)}
        async with asyncio.timeout(60):
            while client.zcard(f"{keys}log-queue"):
                await asyncio.sleep(0.1)
        logged = {name.rpartition(":")[2] for name in client.scan_iter(f"{keys}log-leaf:*", count=1000)}
        assert len(filed) > 10
        assert filed <= logged
        assert json.loads(str(client.get(f"{keys}log-tree")))[0] == len(logged)


async def test_killed_with_its_store_it_goes_on_where_it_was(federation: TinyFederation, server: RedisServer) -> None:
    async with federation.client() as client:
        quote = await client.quote(INTENT)
        order = await client.order(quote.id, key="the-order")
        federation.kill("broker")
        server.kill()
        server.start()
        await federation.start("broker")
        assert (await client.order(quote.id, key="the-order")).id == order.id, "once, whoever died meanwhile"
        lease = await active(client, await client.get_order(order.id))
        assert lease.state is State.ACTIVE
        ended = await released(client, lease)
        assert ended.state is State.RELEASED
        assert await federation.products() == NOTHING


async def test_without_its_store_it_says_so_and_goes_on_when_it_is_back(
    federation: TinyFederation, server: RedisServer
) -> None:
    async with federation.client() as client:
        quote = await client.quote(INTENT)
        server.kill()
        meanwhile = await client.quote(INTENT, key="a-quote-meanwhile")
        assert meanwhile.state is State.HELD
        assert (await client.get_quote(meanwhile.id)).document == meanwhile.document
        headers = {"Authorization": "Bearer alice-key", "Idempotency-Key": "while-it-is-down"}
        async with aiohttp.ClientSession(headers=headers) as session:
            url, body = f"{federation.broker}/peerway/v1/orders", {"quote": quote.id}
            async with session.post(url, json=body) as response:
                told = await response.json()
                assert (response.status, told["code"], told["outcome"]) == (503, "UNAVAILABLE", "none")
                assert "redis" not in told["detail"]
                assert int(response.headers["Retry-After"]) > 0
            async with session.get(url) as response:
                assert response.status == 503
            server.start()
            async with session.post(url, json=body) as response:
                order = await response.json()
                assert response.status in {201, 202}, order
        assert (await client.quote(INTENT, key="a-quote-meanwhile")).id == meanwhile.id
        ordered = [order["id"], (await client.order(meanwhile.id)).id]
        for one in ordered:
            ended = await released(client, await active(client, await client.get_order(one)))
            assert ended.state is State.RELEASED
        assert await federation.products() == NOTHING


async def test_while_a_path_comes_up_the_store_dies_and_no_segment_is_lost(
    federation: TinyFederation, server: RedisServer
) -> None:
    async with federation.client() as client:
        quote = await client.quote(INTENT)
        order = await client.order(quote.id)
        server.kill()
        await asyncio.sleep(0.3)  # the broker notices, and cannot write what it hears
        server.start()
        lease = await retried(lambda: client.get_order(order.id))
        lease = await active(client, lease)
        ended = await released(client, lease)
        assert ended.state is State.RELEASED
        assert await federation.products() == NOTHING


async def test_a_server_that_would_lose_orders_is_refused_in_one_line(tmp_path: Path) -> None:
    with RedisServer(appendfsync="everysec") as wrong:
        async with tiny_federation(tmp_path, plans=(), desk=BrokerPlan(redis=wrong.store.redis), start=False) as made:
            config = str(made.folder / "broker" / "config.toml")
            command = [sys.executable, "-m", "federation.cli.main", "broker", "serve", "--config", config]
            told = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
            )
    assert told.returncode == 2, told.stderr
    last = told.stderr.splitlines()[-1]
    assert last.startswith("peerway broker: store.redis: ")
    assert "set appendfsync always" in last
    assert "Traceback" not in told.stderr

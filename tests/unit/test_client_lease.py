"""A lease for the length of a block, as a program holds it: heartbeats while the block lasts, and none after it."""

from __future__ import annotations

import asyncio

from msgspec import structs

from federation.client.lease import Lease, beaten
from schemas.answer import OrderView, QuoteView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from schemas.request import Extension
from tests.support.exchange import FakeExchange
from tests.support.loops import run

INTENT = Intent(a="Utrecht@SURF", z="Milan@GARR", bandwidth_bps=10**10, duration_s=7200, idle_release_s=90)


class Client:
    """The fake exchange as a client; `lost` heartbeats are not answered, the lease is over after `lasts` of them."""

    def __init__(self, lost: int = 0, lasts: int = 10**9) -> None:
        self.exchange, self.lost, self.lasts = FakeExchange(), lost, lasts
        self.times: list[float] = []

    async def quote(self, intent: Intent) -> QuoteView:
        return await self.exchange.quote(intent, "q")

    async def order(self, quote_id: str) -> OrderView:
        return await self.exchange.order(quote_id, "o")

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        return await self.exchange.get_order(order_id, wait_s)

    async def extend(self, order_id: str, extension: Extension, key: str | None = None) -> OrderView:
        return await self.exchange.extend(order_id, extension, "x")

    async def heartbeat(self, order_id: str) -> OrderView:
        self.times.append(asyncio.get_running_loop().time() - 1000)
        if len(self.times) <= self.lost:
            raise Problem("UNAVAILABLE", "the broker is not there")
        view = structs.replace(await self.exchange.heartbeat(order_id, "b"), idle_release_s=INTENT.idle_release_s)
        return structs.replace(view, state=State.RELEASED) if len(self.times) >= self.lasts else view

    async def release(self, order_id: str) -> OrderView:
        return await self.exchange.release(order_id, "r")


def test_a_block_beats_three_times_a_period_and_stops_with_it() -> None:
    client = Client(lost=1)

    async def main() -> None:
        async with Lease(client, INTENT):
            await asyncio.sleep(100)
        await asyncio.sleep(1000)

    run(main())
    assert client.times == [30, 60, 90]


def test_without_such_an_intent_nothing_is_sent() -> None:
    client = Client()

    async def main() -> None:
        async with Lease(client, structs.replace(INTENT, idle_release_s=None)):
            await asyncio.sleep(1000)

    run(main())
    assert client.times == []


def test_nothing_is_sent_for_a_lease_that_is_over() -> None:
    client = Client(lasts=2)

    async def main() -> None:
        lease = Lease(client, INTENT)
        async with lease:
            await asyncio.sleep(1000)
            assert lease.view.state is State.RELEASED

    run(main())
    assert client.times == [30, 60]


def test_beats_go_on_until_the_lease_is_over() -> None:
    client = Client(lasts=4)

    async def main() -> OrderView:
        order = await client.order((await client.quote(INTENT)).id)
        return await beaten(client, order.id)

    assert run(main()).state is State.RELEASED
    assert client.times == [0, 30, 60, 90]

"""A lease for the length of a block, as a program holds it: heartbeats while the block lasts, and none after it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs

from federation.client.lease import Lease, beaten
from schemas.answer import OrderView, QuoteView, ResizeView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from schemas.request import Extension, Resize, Way
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

    async def decline(self, quote_id: str) -> QuoteView:
        return await self.exchange.decline(quote_id, "d")

    async def order(self, quote_id: str) -> OrderView:
        return await self.exchange.order(quote_id, "o")

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        return await self.exchange.get_order(order_id, wait_s)

    async def extend(self, order_id: str, extension: Extension, key: str | None = None) -> OrderView:
        return await self.exchange.extend(order_id, extension, "x")

    async def resize(self, order_id: str, asked: Resize, key: str | None = None) -> ResizeView:
        return await self.exchange.resize(order_id, asked, "z")

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


class Moving(Client):
    """A broker that changes bandwidth over a new path, which is not in force before the block is left."""

    async def resize(self, order_id: str, asked: Resize, key: str | None = None) -> ResizeView:
        orders = self.exchange.all_orders
        new = structs.replace(orders[order_id], id="o2", replaces=order_id, bandwidth_bps=asked.bandwidth_bps)
        orders["o2"] = structs.replace(new, state=State.UP)
        orders[order_id] = structs.replace(orders[order_id], replaced_by="o2")
        return ResizeView(way=Way.NEW_PATH, order=orders["o2"])

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        await asyncio.sleep(wait_s)
        return await super().get_order(order_id, wait_s)


def test_a_block_that_is_left_in_the_middle_of_a_change_leaves_neither_order_behind() -> None:
    client = Moving()

    async def main() -> None:
        async with asyncio.timeout(30), Lease(client, INTENT) as lease:
            await lease.resize(2 * 10**10)

    with pytest.raises(TimeoutError):
        run(main())
    assert {one.state for one in client.exchange.all_orders.values()} == {State.RELEASED}


def test_a_change_in_place_shows_in_the_view() -> None:
    client = Client()

    async def main() -> None:
        async with Lease(client, INTENT) as lease:
            assert await lease.resize(2 * 10**10) is Way.IN_PLACE
            assert lease.view.bandwidth_bps == 2 * 10**10

    run(main())


class Silent(Client):
    """A broker whose answer to an order, which it took or not, never comes."""

    def __init__(self, *, taken: bool) -> None:
        super().__init__()
        self.taken = taken

    async def order(self, quote_id: str) -> OrderView:
        if self.taken:
            await super().order(quote_id)
        await asyncio.sleep(60)
        raise Problem("UNAVAILABLE", "the broker does not answer")


@pytest.mark.parametrize("patience_s", [30, 90])
@pytest.mark.parametrize("taken", [True, False])
def test_a_block_that_never_began_leaves_no_order_behind(taken: bool, patience_s: int) -> None:
    client = Silent(taken=taken)

    async def main() -> None:
        async with asyncio.timeout(patience_s), Lease(client, INTENT):
            raise AssertionError("nobody said that it is in force")

    with pytest.raises(Problem if patience_s > 60 else TimeoutError):
        run(main())
    assert [one.state for one in client.exchange.all_orders.values()] == [State.RELEASED] * taken
    assert [one.state for one in client.exchange.quotes.values()] == [State.COMMITTED if taken else State.DECLINED]


class Late(Moving):
    """A broker that has taken a new path before it says so, and whose answers to heartbeats take a while."""

    async def resize(self, order_id: str, asked: Resize, key: str | None = None) -> ResizeView:
        await super().resize(order_id, asked, key)
        orders = self.exchange.all_orders
        orders["o2"] = structs.replace(orders["o2"], state=State.ACTIVE)
        orders[order_id] = structs.replace(orders[order_id], state=State.RELEASED)
        await asyncio.sleep(40)
        return ResizeView(way=Way.NEW_PATH, order=orders["o2"])

    async def heartbeat(self, order_id: str) -> OrderView:
        heard = await super().heartbeat(order_id)
        await asyncio.sleep(2)
        return heard


@pytest.mark.parametrize("begin_s", [1, 29, 31])
def test_heartbeats_go_on_for_the_order_that_took_the_place_of_another(begin_s: int) -> None:
    client = Late()

    async def main() -> None:
        async with Lease(client, INTENT) as lease:
            await asyncio.sleep(begin_s)
            await lease.resize(2 * 10**10)
            assert lease.view.id == "o2"
            await asyncio.sleep(200)
            assert lease.view.id == "o2"

    run(main())
    assert client.exchange.beats[-5:] == ["o2"] * 5
    assert {one.state for one in client.exchange.all_orders.values()} == {State.RELEASED}


def test_beats_follow_an_order_over_its_new_path() -> None:
    client = Late(lasts=9)

    async def main() -> OrderView:
        order = await client.order((await client.quote(INTENT)).id)
        beating = asyncio.create_task(beaten(client, order.id))
        await asyncio.sleep(5)
        await client.resize(order.id, Resize(bandwidth_bps=2 * 10**10))
        return await beating

    assert run(main()).id == "o2"
    assert client.exchange.beats.count("o2") == 7

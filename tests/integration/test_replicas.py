"""Three replicas of a broker on one Redis server and three operators, all processes: any of them answers for any order,
and whoever is killed or stopped in the middle is carried on by the others, with nothing left over anywhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
import pytest_asyncio
from msgspec import structs

from federation.broker.replicas.lives import earlier
from federation.client.broker import BrokerClient
from federation.client.lease import active, extended, released
from federation.node.hatch import hand_in
from schemas.answer import QuotePending, QuoteView
from schemas.intent import Intent
from schemas.lease import BILLABLE, State
from schemas.problem import Problem
from schemas.request import Extension
from tests.support.redis_server import RedisServer
from tests.support.replicas import INTENT, NOTHING, PREFIX, TAKEOVER_S, Replicas, all_released, replicated

pytestmark = pytest.mark.asyncio(loop_scope="module")
INJECTIONS: Final = 20


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replicas]:
    async with replicated(tmp_path_factory.mktemp("federation"), server) as running:
        yield running


async def test_any_replica_answers_for_any_order_and_a_key_has_one_effect(replicas: Replicas) -> None:
    async with replicas.client(0) as one, replicas.client(1) as two, replicas.client(2) as three:
        everyone = one, two, three
        quotes = await asyncio.gather(*(broker.quote(INTENT, "same") for broker in everyone))
        assert len({quote.id for quote in quotes}) == 1
        orders = await asyncio.gather(*(broker.order(quotes[0].id, "same-order") for broker in everyone))
        assert len({order.id for order in orders}) == 1
        lease = await active(three, await three.get_order(orders[0].id))
        assert [(await broker.get_order(lease.id)).state for broker in everyone] == [State.ACTIVE] * 3
        assert len(await one.orders()) == 1
        for broker in everyone:
            longer = await extended(broker, await broker.get_order(lease.id), Extension(by_s=300))
            assert longer.window.end_s == lease.window.end_s + 300
            lease = longer
        waiting = asyncio.create_task(one.get_order(lease.id, 30))
        with pytest.raises(Problem, match="ordered already"):
            await two.order(quotes[0].id, "another")
        ended = await released(two, lease)
        assert ended.state is State.RELEASED
        assert (await waiting).id == lease.id
        assert (await three.release(lease.id)).bill == ended.bill
        assert (await three.get_order(lease.id)).state is State.RELEASED
    assert await replicas.federation.products() == NOTHING


async def test_a_replica_is_killed_while_it_carries_orders(replicas: Replicas) -> None:
    buying = [asyncio.create_task(replicas.bought(n, f"killed-{n}")) for n in range(6)]
    await replicas.begun(4)
    replicas.kill(1)
    orders = await asyncio.gather(*buying)
    await all_released(replicas, orders)
    await replicas.start(1)


async def test_a_replica_stops_for_a_while_and_finds_its_orders_taken(replicas: Replicas) -> None:
    buying = [asyncio.create_task(replicas.bought(n, f"stopped-{n}")) for n in range(6)]
    await replicas.begun(5)
    replicas.signal(2, signal.SIGSTOP)
    try:
        orders = await asyncio.gather(*buying)
        assert {order.state for order in orders} <= BILLABLE
        await replicas.until(lambda: any(replicas.taken(order.id) for order in orders))
    finally:
        replicas.signal(2, signal.SIGCONT)
    async with replicas.client(2) as awake:
        assert {(await awake.get_order(order.id)).state for order in orders} <= BILLABLE
    await all_released(replicas, orders)


async def test_the_store_is_killed_under_all_of_them(replicas: Replicas, server: RedisServer) -> None:
    buying = [asyncio.create_task(replicas.bought(n, f"store-{n}")) for n in range(6)]
    await replicas.begun(3)
    server.kill()
    await asyncio.sleep(0.3)  # they notice
    server.start()
    orders = await asyncio.gather(*buying)
    await all_released(replicas, orders)


async def test_the_last_replica_carries_what_all_others_began(replicas: Replicas) -> None:
    orders = await asyncio.gather(*(replicas.bought(n, f"last-{n}") for n in range(3)))
    releasing = [asyncio.create_task(replicas.released(n, order.id)) for n, order in enumerate(orders)]
    await asyncio.sleep(0.05)
    replicas.kill(0)
    replicas.kill(1)
    ended = await asyncio.gather(*releasing)
    assert {order.state for order in ended} == {State.RELEASED}
    assert await replicas.federation.products() == NOTHING
    await asyncio.gather(replicas.start(0), replicas.start(1))


@pytest.mark.long
async def test_a_store_that_comes_back_at_once_gives_nobodys_orders_away(
    replicas: Replicas, server: RedisServer
) -> None:
    """It does not know any more who looked when, and nobody need have noticed that it was away."""
    orders = await asyncio.gather(*(replicas.bought(n, f"back-{n}") for n in range(6)))
    await asyncio.sleep(TAKEOVER_S + 0.5)
    server.kill()
    server.start()
    await asyncio.sleep(2 * TAKEOVER_S)
    assert {replicas.taken(order.id) for order in orders} == {0}
    await all_released(replicas, orders)


@pytest.mark.long
async def test_whoever_sweeps_is_killed_and_another_one_sweeps(replicas: Replicas) -> None:
    def sweeps() -> str | None:
        with replicas.server.client() as client:
            found = client.hget(f"{PREFIX}lease:office:sweeping", "holder")
            return None if found is None else str(found)

    await replicas.until(lambda: sweeps() is not None)
    first = sweeps()
    dead = next(number for number in range(3) if replicas.name(number) == first)
    replicas.kill(dead)
    await replicas.until(lambda: sweeps() not in {None, first})
    assert sweeps() in {replicas.name(number) for number in range(3) if number != dead}
    await replicas.start(dead)


@pytest.mark.long
async def test_whatever_befalls_whom(replicas: Replicas, server: RedisServer) -> None:
    seed = int(os.environ.get("PEERWAY_SEED", "0")) or random.randrange(1, 10**9)
    print(f"PEERWAY_SEED={seed}")  # shown where it fails
    rng, fates = random.Random(seed), ("killed", "stopped", "store killed", "store stopped")
    for turn in range(INJECTIONS):
        buying = [asyncio.create_task(replicas.bought(n, f"chance-{turn}-{n}")) for n in range(4)]
        await replicas.begun(rng.randint(1, 4))
        fate, number, for_s = rng.choice(fates), rng.randrange(3), rng.uniform(0, 2 * TAKEOVER_S)
        print(f"{turn}: {fate} {number} for {for_s:.1f} s")
        await befall(replicas, server, fate, number, for_s)
        await all_released(replicas, await asyncio.gather(*buying))


async def befall(replicas: Replicas, server: RedisServer, fate: str, number: int, for_s: float) -> None:
    """Something happens to a replica or to the store, and ends after a while."""
    match fate:
        case "killed":
            replicas.kill(number)
            await asyncio.sleep(for_s)
            await replicas.start(number)
        case "stopped":
            replicas.signal(number, signal.SIGSTOP)
            await asyncio.sleep(for_s)
            replicas.signal(number, signal.SIGCONT)
        case "store killed":
            server.kill()
            await asyncio.sleep(for_s)
            server.start()
        case "store stopped":
            server.pause()
            await asyncio.sleep(for_s)
            server.resume()


async def test_a_replica_that_waits_for_a_person_is_killed_and_another_one_goes_on_waiting(replicas: Replicas) -> None:
    """The last test that buys: from here on somebody at the middle operator says yes or no."""
    federation, config = replicas.federation, replicas.federation.folder / "middle" / "config.toml"
    federation.kill("middle")
    config.write_text(config.read_text().replace("contact =", 'selling = { approval = "manual" }\ncontact ='))
    await federation.start("middle")
    desk, asked = federation.folder / "middle" / "data", structs.replace(INTENT, answer_within_s=300)
    pending = await replicas.anywhere(0, lambda broker: _waited_for(broker, asked))

    def carrier() -> str:
        with replicas.server.client() as client:
            return str(json.loads(client.get(f"{PREFIX}waiting:{pending.id}"))["by"])

    first = carrier()
    dead = next(number for number in range(3) if replicas.name(number) == first)
    replicas.kill(dead)
    await replicas.until(lambda: carrier() != first)
    (question,) = (await hand_in(desk, "list", b"{}"))["waiting"]
    await hand_in(desk, "grant", json.dumps({"quote": question["quote"]}).encode())
    quote = await replicas.anywhere(dead + 1, lambda broker: broker.get_quote(pending.id, 5))
    assert isinstance(quote, QuoteView)
    order = await replicas.anywhere(dead + 2, lambda broker: broker.order(quote.id, "after-waiting"))
    await all_released(replicas, [await replicas.settled(dead + 1, order.id)])
    await replicas.start(dead)
    assert earlier(first, replicas.name(dead)), "the same replica, in its next life"


async def _waited_for(broker: BrokerClient, asked: Intent) -> QuotePending:
    made = await broker.quote(asked, "patient", wait_s=0)
    assert isinstance(made, QuotePending)
    return made


async def test_nothing_is_announced_that_is_over(replicas: Replicas, server: RedisServer) -> None:
    with server.client() as client:
        assert client.zcard(f"{PREFIX}unfinished") == 0
        await replicas.until(lambda: client.xlen(f"{PREFIX}to-carry") == 0)

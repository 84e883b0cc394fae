"""What replicas tell each other through a real Redis server: who carries what, whose turn it is, what was journaled."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import pytest
import pytest_asyncio

from federation.broker.housekeeping import Housekeeping
from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import Claim
from federation.broker.replicas.announcements import GROUP, Announcements
from federation.broker.replicas.leases import Leadership, Leases, SharedTurns
from federation.broker.replicas.news import News
from federation.broker.replicas.secret import shared_secret
from federation.broker.store.redis.keys import prefix
from federation.broker.store.redis.server import Server
from tests.support.redis_server import ENTITY, RedisServer, emptied, redis_server
from tests.support.sagas import Saga
from tests.support.seams import FixedClock

pytestmark = pytest.mark.asyncio
__all__ = ["emptied", "redis_server"]
PREFIX: Final = prefix(ENTITY)
STREAM: Final = f"{PREFIX}to-carry"
LONG_MS: Final = 60_000


class Two(NamedTuple):
    """Two replicas' connections to one server."""

    redis: RedisServer
    one: Server
    two: Server


@pytest_asyncio.fixture
async def both(emptied: RedisServer) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server(emptied.store, PREFIX)) for _ in range(2)]
        yield Two(emptied, *servers)


def announcements(both: Two) -> tuple[Announcements, Announcements]:
    return Announcements(both.one, PREFIX, "one"), Announcements(both.two, PREFIX, "two")


def idle(both: Two, order: str, ms: int) -> None:
    """As if nobody had looked at an order for so long."""
    with both.redis.client() as client:
        for entry, said in client.xrange(STREAM):
            if said["order"] == order:
                owner = client.xpending_range(STREAM, GROUP, entry, entry, 1)[0]["consumer"]
                client.xclaim(STREAM, GROUP, owner, 0, [entry], idle=ms, justid=True)


async def ids(announcements: Announcements) -> list[str]:
    return [one.order_id for one in await announcements.mine()]


async def test_who_announces_an_order_has_it_until_nobody_looks(both: Two) -> None:
    one, two = announcements(both)
    assert await ids(one) == []
    for number in range(3):
        await one.add("alice", f"o{number}")
    await two.add("bob", "o3")
    assert await ids(one) == ["o0", "o1", "o2"]
    assert await ids(two) == ["o3"]
    await two.take_over(LONG_MS, 100)
    assert await ids(two) == ["o3"], "somebody looked just now"

    for order in ("o0", "o1"):
        idle(both, order, 2 * LONG_MS)
    await two.take_over(LONG_MS, 1)
    assert await ids(two) == ["o0", "o3"], "at most so many"
    assert await ids(one) == ["o1", "o2"]
    await two.take_over(LONG_MS, 100)
    assert await ids(two) == ["o0", "o3"], "looking at it kept it"
    assert [found.buyer for found in await two.mine()] == ["alice", "bob"]


async def test_looking_writes_nothing(both: Two) -> None:
    one, _ = announcements(both)
    await one.add("alice", "o1")
    written = both.redis.folder / "appendonly.aof"
    if not written.exists():
        pytest.skip("this server keeps what it appended in a folder of several files")
    before = written.stat().st_size
    for _ in range(20):
        await one.mine()
    assert written.stat().st_size == before


async def test_what_is_over_goes_and_what_is_handed_back_is_had_at_once(both: Two) -> None:
    one, two = announcements(both)
    for order in ("o1", "o2"):
        await one.add("alice", order)
    first, second = await one.mine()
    await one.drop([first.entry])
    assert [found.order_id for found in await two.all()] == ["o2"]
    await one.hand_back([second.entry])
    await two.take_over(LONG_MS, 100)
    assert await ids(two) == ["o2"]
    await two.drop([found.entry for found in await two.mine()])
    assert await two.all() == []
    await two.tidy()
    with both.redis.client() as client:
        assert {found["name"] for found in client.xinfo_consumers(STREAM, GROUP)} == {"one", "two"}, "not gone for long"


async def test_more_than_a_page_is_read_page_by_page(both: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.broker.replicas.announcements.PAGE", 2)
    one, _ = announcements(both)
    for number in range(5):
        await one.add("alice", f"o{number}")
    assert await ids(one) == [f"o{number}" for number in range(5)]
    assert [found.order_id for found in await one.all()] == [f"o{number}" for number in range(5)]


async def test_an_office_is_held_by_one_and_its_token_grows(both: Two) -> None:
    one, two = (Leases(server, PREFIX, name, LONG_MS) for server, name in ((both.one, "one"), (both.two, "two")))
    first_leader = Leadership(one)
    first = await first_leader.lead("sweeping")
    assert first > 0
    assert await Leadership(one).lead("sweeping") == first
    assert await Leadership(two).lead("sweeping") == 0
    assert await Leadership(two).lead("announcing") > first
    with both.redis.client() as client:
        client.pexpire(f"{PREFIX}lease:office:sweeping", 1000)
        await first_leader.keep()
        assert 1000 < client.pttl(f"{PREFIX}lease:office:sweeping") <= LONG_MS
        client.delete(f"{PREFIX}lease:office:sweeping")  # its time is up
    second = await Leadership(two).lead("sweeping")
    assert second > first
    assert not await one.drop("office:sweeping")
    assert await Leadership(two).lead("sweeping") == second


async def test_what_is_done_in_an_office_one_does_until_it_is_gone(both: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three replicas one forgets what is old, round after round; it dies, the next one stops, the third goes on."""
    monkeypatch.setattr("federation.broker.sweeping.office.ASK_S", 0.02)
    monkeypatch.setattr("federation.broker.housekeeping.EVERY_S", 0.02)
    done: list[str] = []

    class Store:
        def __init__(self, name: str) -> None:
            self.name = name

        async def prune_claims(self, before_s: int, limit: int) -> int:
            done.append(self.name)
            return 0

        async def prune_quotes(self, before_s: int, limit: int) -> int:
            return 0

    leaders = {name: Leadership(Leases(both.one, PREFIX, name, LONG_MS)) for name in ("a", "b", "c")}

    def going(name: str) -> asyncio.Task[None]:
        work = Housekeeping(Store(name), FixedClock(), functools.partial(held, leaders[name]))
        return asyncio.create_task(work.run())

    async def held(leadership: Leadership) -> bool:
        return await leadership.lead("sweeping") > 0

    async def by(others: set[str]) -> str:
        """Who does it now, and nobody else beside it."""
        done.clear()
        async with asyncio.timeout(60):
            while len(done) < 5:
                await asyncio.sleep(0.01)
        assert len(set(done)) == 1
        assert done[0] in others
        return done[0]

    tasks = {name: going(name) for name in leaders}
    try:
        first = await by({"a", "b", "c"})
        tasks.pop(first).cancel()
        with both.redis.client() as client:
            assert client.pexpire(f"{PREFIX}lease:office:sweeping", 1)  # nobody kept it for long
        second = await by({"a", "b", "c"} - {first})
        tasks.pop(second).cancel()
        await leaders[second].resign()
        assert await by({"a", "b", "c"} - {first, second}) in tasks
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def test_a_turn_is_left_by_whoever_has_it(both: Two) -> None:
    one, two = (
        SharedTurns(Leases(server, PREFIX, name, LONG_MS)) for server, name in ((both.one, "one"), (both.two, "two"))
    )
    claim = Claim(buyer="alice", key="k", digest="d")
    assert await one.take(claim)
    assert not await two.take(claim)
    with both.redis.client() as client:
        client.pexpire(f"{PREFIX}lease:turn:alice:k", 1000)
        await one.keep()
        assert client.pttl(f"{PREFIX}lease:turn:alice:k") > 1000
        assert await one.leave(claim)
        assert await two.take(claim)
        client.delete(f"{PREFIX}lease:turn:alice:k")
    assert await one.take(claim)
    assert not await two.leave(claim), "it was another's meanwhile"
    both.redis.kill()
    assert not await one.leave(claim), "nobody can say"


async def test_news_are_heard_by_the_others(both: Two) -> None:
    one, two = (News(server, both.redis.store, PREFIX, name) for server, name in ((both.one, "one"), (both.two, "two")))
    heard: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    own: list[str] = []
    listening = [asyncio.Event(), asyncio.Event()]
    tasks = [
        asyncio.create_task(work)
        for work in (
            one.send(), two.send(),
            one.hear(lambda order, version: own.append(order), listening[0].set),
            two.hear(lambda order, version: heard.put_nowait((order, version)), listening[1].set),
        )
    ]  # fmt: skip
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(event.wait() for event in listening))
            state: OrderState = Saga().state
            one.tell(state)
            assert await heard.get() == (state.terms.id, state.version)
            listening[1].clear()
            both.redis.kill()
            both.redis.start()
            await listening[1].wait()  # heard of again: something may have been missed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert own == []


async def test_the_first_replica_brings_the_secret(both: Two) -> None:
    assert await shared_secret(both.one, PREFIX, b"first" * 8) == b"first" * 8
    assert await shared_secret(both.two, PREFIX, b"other" * 8) == b"first" * 8

"""What replicas tell each other through a real Redis server: who carries what, whose turn it is, what was journaled."""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Final, NamedTuple, cast

import pytest
import pytest_asyncio

from federation.broker.config import Store
from federation.broker.housekeeping import Housekeeping, PruneStore
from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import Claim
from federation.broker.replicas.announcements import GROUP, Announcements
from federation.broker.replicas.leases import Leadership, Leases, SharedTurns
from federation.broker.replicas.lives import FILE, earlier, living
from federation.broker.replicas.news import News
from federation.broker.replicas.secret import shared_secret
from federation.broker.store.redis.keys import prefix
from federation.broker.store.redis.listening import listen
from federation.broker.store.redis.server import Server
from federation.broker.sweeping.office import Office
from federation.node.seams import SystemEntropy
from schemas.problem import Problem
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


async def test_what_a_dead_replica_had_is_found_behind_thousands_that_others_have(both: Two) -> None:
    """The server looks through so many entries for each that it may give, and says where it stopped."""
    one, two = announcements(both)
    await one.mine()
    with both.redis.client() as client, client.pipeline() as pipeline:
        for number in range(2_100):
            pipeline.xadd(STREAM, {"buyer": "alice", "order": f"o{number}"})
        pipeline.xreadgroup(GROUP, "one", {STREAM: ">"})
        pipeline.execute()
    for order in ("last", "very last"):
        await one.add("bob", order)
        idle(both, order, 2 * LONG_MS)
    await two.take_over(LONG_MS, 1)
    assert await ids(two) == ["last"]
    await two.take_over(LONG_MS, 200)
    assert await ids(two) == ["last", "very last"]


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


async def test_what_is_dropped_by_half_is_dropped_at_the_next_look(both: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would be announced, and nobody's."""
    one, _ = announcements(both)
    await one.add("alice", "o1")
    (found,) = await one.mine()
    with monkeypatch.context() as patch:
        ask = both.one.ask
        patch.setattr(both.one, "ask", lambda commands: ask(commands[:1]))
        await one.drop([found.entry])
    await one.drop([half.entry for half in await one.mine() if not half.order_id])
    assert await one.all() == await one.mine() == []


async def test_what_an_earlier_life_had_is_had_at_once(both: Two) -> None:
    before, other = Announcements(both.one, PREFIX, "a.9"), Announcements(both.one, PREFIX, "b.1")
    await asyncio.gather(*(before.add("alice", f"o{number}") for number in range(1_100)))
    await other.add("bob", "another")
    now = Announcements(both.two, PREFIX, "a.10")
    assert await now.inherit(lambda name: earlier(name, "a.10")) == 1_100
    assert len(await now.mine()) == 1_100
    assert await ids(before) == []
    assert await ids(other) == ["another"]
    assert await now.inherit(lambda name: earlier(name, "a.10")) == 0


async def test_who_looks_is_heard_of_though_there_is_nothing_to_see(both: Two) -> None:
    one, two = announcements(both)
    await one.mine()
    assert await two.heard(LONG_MS) == {"one"}
    await asyncio.sleep(0.02)
    await two.mine()
    assert await two.heard(15) == {"two"}
    await one.mine()
    assert await two.heard(LONG_MS) == {"one", "two"}


async def test_a_life_follows_one_that_is_certainly_over(both: Two, tmp_path: Path) -> None:
    first, second, third = [await _lived(both, tmp_path) for _ in range(3)]
    assert earlier(first, second)
    assert earlier(second, third)
    assert not earlier(third, second)
    async with living(tmp_path, both.one, PREFIX, SystemEntropy(), lambda: "boot") as fourth:
        assert earlier(third, fourth)
        beside = await _lived(both, tmp_path)  # runs beside it
        copy = tmp_path / "copy"
        copy.mkdir()
        shutil.copy(tmp_path / FILE, copy / FILE)
        elsewhere = await _lived(both, copy)
        assert not any(earlier(fourth, name) for name in (beside, elsewhere))
    fifth = await _lived(both, tmp_path)
    assert earlier(fourth, fifth), "what ran beside it changed nothing"
    assert not earlier(fifth, await _lived(both, tmp_path, "another"))
    assert not earlier(await _lived(both, tmp_path, None), await _lived(both, tmp_path, None))


async def test_who_goes_on_from_an_old_copy_of_the_file_is_another_replica(both: Two, tmp_path: Path) -> None:
    name = await _lived(both, tmp_path)
    kept = (tmp_path / FILE).read_bytes()
    later = await _lived(both, tmp_path)
    assert earlier(name, later)
    (tmp_path / FILE).write_bytes(kept)  # the same file, as it was before
    assert not earlier(name, await _lived(both, tmp_path))
    (tmp_path / FILE).write_bytes(kept[:-3])  # cut off
    assert not earlier(name, await _lived(both, tmp_path))


async def test_what_an_earlier_life_held_is_free_and_what_others_hold_is_not(both: Two) -> None:
    def leases(name: str) -> Leases:
        return Leases(both.one, PREFIX, name, LONG_MS)

    first = await leases("a.9").take("turn")
    assert await leases("b.10").take("turn") == 0
    assert await leases("a.8").take("turn") == 0, "an earlier one that wakes up takes nothing from a later one"
    assert await leases("a.10").take("turn") > first
    assert not await leases("a.9").drop("turn")


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

    class Work(Housekeeping):
        def __init__(self, name: str, office: Office) -> None:
            super().__init__(cast(PruneStore, None), FixedClock(), office)
            self._name = name

        async def tidy(self) -> int:
            done.append(self._name)
            return 0

    leaders = {name: Leadership(Leases(both.one, PREFIX, name, LONG_MS)) for name in ("a", "b", "c")}

    def going(name: str) -> asyncio.Task[None]:
        return asyncio.create_task(Work(name, functools.partial(held, leaders[name])).run())

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


async def test_a_server_that_answers_nobody_any_more_is_called_again(
    both: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No end of the connection is told where the network swallows everything."""
    monkeypatch.setattr("federation.broker.store.redis.listening.SILENCE_S", 0.4)
    swallowing, calls = asyncio.Event(), list[asyncio.Task[None]]()

    async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while said := await reader.read(1 << 16):
                if not swallowing.is_set():
                    writer.write(said)
        finally:
            writer.close()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, questions = await asyncio.open_unix_connection(str(both.redis.socket))
        calls.extend(asyncio.create_task(pumped(*ends)) for ends in ((reader, questions), (answers, writer)))

    path = both.redis.folder / "swallow.sock"
    server = await asyncio.start_unix_server(served, str(path))
    try:
        async with asyncio.timeout(30), aclosing(listen(Store(redis=f"unix://{path}"), "channel")) as saying:
            assert await anext(saying) is None
            with both.redis.client() as client:
                client.publish("channel", "heard")
                assert await anext(saying) == "heard"
                loop = asyncio.get_running_loop()
                loop.call_later(1, client.publish, "channel", "heard, too")
                assert await anext(saying) == "heard, too", "whoever answers is not left"
            swallowing.set()
            with pytest.raises(Problem, match="cannot be read now"):
                await anext(saying)
    finally:
        server.close()
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await server.wait_closed()


async def test_the_first_replica_brings_the_secret(both: Two) -> None:
    assert await shared_secret(both.one, PREFIX, b"first" * 8) == b"first" * 8
    assert await shared_secret(both.two, PREFIX, b"other" * 8) == b"first" * 8


async def _lived(both: Two, folder: Path, boot: str | None = "boot") -> str:
    """The name of a life that is over at once."""
    async with living(folder, both.one, PREFIX, SystemEntropy(), lambda: boot) as name:
        return name

"""The store's server as Redis Sentinel runs it: found, lost, and found again at another place, over real processes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from federation.broker.config import Store
from federation.broker.replicas.news import News
from federation.broker.store.redis.keys import Keyspace, RedisKeys, Transaction, commit_script, prefix
from federation.broker.store.redis.server import Server
from federation.cli.demo.ports import LOOPBACK
from federation.node.seams import SystemEntropy
from schemas.problem import Outcome, Problem
from tests.support.redis_sentinel import SERVICE, Watched, service, until
from tests.support.redis_server import ENTITY, RedisServer
from tests.support.sagas import Saga

pytestmark = pytest.mark.asyncio(loop_scope="module")
__all__ = ["service"]


def impatient(store: Store, patience_s: float = 0.3) -> Server:
    return Server(store, prefix(ENTITY), (commit_script(),), patience_s=patience_s)


def space_of(server: Server) -> Keyspace:
    return Keyspace(RedisKeys(server, ENTITY, SystemEntropy()))


async def refused(store: Store) -> str:
    with pytest.raises(Problem) as caught:
        async with impatient(store):
            pass
    assert caught.value.code == "UNAVAILABLE"
    return str(caught.value)


async def put(space: Keyspace, name: str) -> Outcome | str | None:
    """What is known of one commit: acknowledged, or the outcome of its refusal."""

    async def work(transaction: Transaction) -> None:
        transaction.absent(name)
        transaction.put(name, "1")
        transaction.append("all", name)

    try:
        await space.transact(work)
    except Problem as problem:
        return problem.outcome if problem.code == "UNAVAILABLE" else problem.code
    return "acknowledged"


async def settled(space: Keyspace, name: str) -> str:
    """The first acknowledgement, of whatever name."""
    for attempt in range(600):
        if await put(space, f"{name}-{attempt}") == "acknowledged":
            return f"{name}-{attempt}"
        await asyncio.sleep(0.1)
    raise AssertionError(name)


async def test_in_a_failover_every_word_about_every_commit_is_true(service: Watched) -> None:
    """The primary is killed in the midst of some hundred commits, and news of orders are heard again afterwards."""
    heard, listening = list[tuple[str, int]](), list[None]()
    async with impatient(service.store) as server, impatient(service.store) as other:
        space, told, before = space_of(server), dict[str, Outcome | str | None](), service.primary
        ours, theirs = (News(one, service.store, prefix(ENTITY), name) for one, name in ((server, "a"), (other, "b")))
        hearing = asyncio.create_task(theirs.hear(lambda *said: heard.append(said), lambda: listening.append(None)))
        telling = asyncio.create_task(ours.send())

        async def some(first: int) -> None:
            for number in range(first, first + 20):
                told[str(number)] = await put(space, str(number))
                if len(told) == 90:
                    before.kill()

        await asyncio.gather(*(some(first) for first in range(0, 400, 20)))
        await settled(space, "again")
        assert await service.promoted(before) is service.primary
        there = set(await space.keys.ranked("all"))
        await until(lambda: len(listening) > 1)
        ours.tell(Saga().state)
        await until(lambda: len(heard) > 0)
        for task in (hearing, telling):
            task.cancel()
        await asyncio.gather(hearing, telling, return_exceptions=True)
    acknowledged = {name for name, outcome in told.items() if outcome == "acknowledged"}
    assert 90 <= len(acknowledged) < 400
    assert acknowledged <= there
    assert not there & {name for name, outcome in told.items() if outcome is Outcome.NONE}
    assert set(told.values()) <= {"acknowledged", Outcome.NONE, Outcome.UNKNOWN}
    await service.healed(before)


async def test_what_no_replica_had_was_not_acknowledged_and_is_gone(
    service: Watched, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary has it on its disk, and is lost; whoever is promoted has other settings, and is refused first."""
    monkeypatch.setattr("federation.broker.store.redis.server.REPLICAS_MS_MAX", 50)
    async with impatient(service.store, patience_s=0) as server:
        space, before = space_of(server), service.primary
        assert await put(space, "kept") == "acknowledged"
        copies = [one for one in service.servers if one is not before]
        await until(lambda: all(_has(copy, "kept") for copy in copies))
        for copy in copies:
            copy.pause()
        told = [await put(space, "lost")]
        assert _has(before, "lost"), "it is there, and nobody may rely on it"
        before.kill()
        for copy in copies:
            copy.kill()
            copy.set(appendfsync="everysec")
            copy.start()
        assert told == [Outcome.UNKNOWN]
        primary = await service.promoted(before)
        await until(lambda: _good(primary) == 1)
        assert await put(space, "not kept") is Outcome.NONE
        assert "set appendfsync always" in caplog.records[-1].message
        for copy in copies:
            with copy.client() as client:
                client.config_set("appendfsync", "always")
        await settled(space, "later")
        assert await space.keys.get(["kept", "lost"]) == ["1", None]
        assert await put(space, "lost") == "acknowledged", "asked again, it is done"
    await service.healed(before)


async def test_what_is_wrong_is_said_by_its_key(service: Watched, tmp_path: Path) -> None:
    right = service.store
    free = f"{LOOPBACK}:1"
    other = Store(redis="redis://orders", sentinels=right.sentinels)
    assert f"store.redis: its sentinels watch no service orders; they watch: {SERVICE}" in await refused(other)
    nobody = Store(redis=right.redis, sentinels=(free,))
    assert "store.sentinels: none of them can be asked" in await refused(nobody)
    server = Store(redis=right.redis, sentinels=(f"{LOOPBACK}:{service.ports[0]}",))
    assert "store.sentinels: one of them is no sentinel" in await refused(server)
    async with impatient(Store(redis=right.redis, sentinels=(free, *right.sentinels))):
        pass  # one that is gone is passed over
    alone, word = Store(redis=right.redis, sentinels=right.sentinels[:1]), tmp_path / "word"
    word.write_text("guessed\n")
    service.guard(0, "secret")
    try:
        assert "store.sentinels: none of them can be asked: Authentication required" in await refused(alone)
        known = structs.replace(alone, sentinel_password_file=str(word))
        told = await refused(known)
        assert "store.sentinels: none of them can be asked" in told
        assert "guessed" not in told
        word.write_text("secret\n")
        async with impatient(known):
            pass
    finally:
        service.guard(0, None)


async def test_a_primary_that_waits_for_nobody_is_refused_though_it_has_no_replica_now(service: Watched) -> None:
    with service.primary.client() as client:
        client.config_set("min-replicas-to-write", "0")
        assert "set min-replicas-to-write 1 or more" in await refused(service.store)
        client.config_set("min-replicas-to-write", "1")


async def test_one_that_gave_its_place_up_is_left(service: Watched) -> None:
    """It runs, and would still answer what is read."""
    async with impatient(service.store) as server:
        space, before = space_of(server), service.primary
        assert await put(space, "before") == "acknowledged"
        await service.fail_over()
        await service.promoted(before)
        name = await settled(space, "after")
        assert await space.keys.get(["before", name]) == ["1", "1"]


def _has(server: RedisServer, name: str) -> bool:
    with server.client() as client:
        return bool(client.get(f"{prefix(ENTITY)}{name}") == "1")


def _good(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.info("replication").get("min_slaves_good_slaves", 0))

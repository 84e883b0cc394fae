"""What every place for keys must do, a real Redis server and the memory of simulations: all of a commit or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count

import pytest
import pytest_asyncio

from federation.broker.store.redis.keys import Keys, Keyspace, RedisKeys, Step, Transaction, named, prefix
from federation.broker.store.redis.pipe import Command, Reply
from federation.broker.store.redis.replay import ReplayKeys
from federation.node.seams import SystemEntropy
from schemas.problem import Outcome, Problem
from tests.support.redis_server import ENTITY, RedisServer, emptied, redis_server, redis_space
from tests.support.seams import NOW
from tests.support.simulated_keys import SimulatedKeys

pytestmark = pytest.mark.asyncio
__all__ = ["emptied", "redis_server"]


@pytest_asyncio.fixture(params=["simulated", "redis"])
async def space(request: pytest.FixtureRequest) -> AsyncIterator[Keyspace]:
    if request.param == "simulated":
        yield Keyspace(SimulatedKeys())
        return
    async with redis_space(request.getfixturevalue("emptied")) as opened:
        yield opened


async def test_a_commit_is_all_or_nothing(space: Keyspace) -> None:
    keys = space.keys
    assert await keys.commit([Step("absent", "a"), Step("put", "a", "1"), Step("rank", "s", "m", "7")])
    for wrong in (Step("absent", "a"), Step("is", "a", "2"), Step("is", "missing", "")):
        assert not await keys.commit([wrong, Step("put", "b", "1"), Step("rank", "s", "n", "8"), Step("forget", "a")])
        assert not await keys.commit([Step("is", "a", "1"), Step("put", "a", "9"), wrong])
    assert await keys.get(["a", "b", "a"]) == ["1", None, "1"]
    assert await keys.ranked("s") == ["m"]
    assert await keys.commit([Step("is", "a", "1"), Step("forget", "a"), Step("drop", "s", "m")])
    assert await keys.get(["a"]) == [None]
    assert await keys.ranked("s") == []
    assert await keys.get([]) == []
    assert await keys.scores("s", []) == []


async def test_every_step_does_what_its_name_says(space: Keyspace) -> None:
    keys = space.keys
    await keys.commit([Step("keep", "k", "first"), Step("keep", "k", "second"), Step("put", "ö:{}", "é \x00 '")])
    assert await keys.get(["k", "ö:{}"]) == ["first", "é \x00 '"]
    await keys.commit([Step("rank", "s", "b", "2"), Step("rank", "s", "a", "2"), Step("rank", "s", "c", "1")])
    await keys.commit([Step("enter", "s", "c", "9"), Step("rank", "s", "a", str(2**53 - 1))])
    assert await keys.ranked("s") == ["c", "b", "a"]
    assert await keys.ranked("s", 1, 1) == ["b"]
    assert await keys.between("s", 1, 2) == ["c", "b"]
    assert await keys.below("s", None, 2) == ["a", "b"]
    assert await keys.below("s", "a", 9) == ["b", "c"]
    assert await keys.below("s", "c", 9) == await keys.below("s", "x", 9) == []
    assert await keys.scores("s", ["a", "x", "c"]) == [2**53 - 1, None, 1]
    await keys.commit([Step("append", "q", one) for one in ("z", "y", "z", "x")])
    await keys.commit([Step("drop", "q", "x"), Step("append", "q", "w")])
    assert await keys.ranked("q") == ["z", "y", "w"]
    assert await keys.scores("q", ["z", "y", "w"]) == [1, 2, 4]


async def test_work_sees_what_it_wrote_and_leaves_nothing_where_it_fails(space: Keyspace) -> None:
    async def work(transaction: Transaction) -> list[str | None]:
        transaction.put("a", "1")
        (a,) = await transaction.get("a")
        transaction.put("a", f"{a}2")
        transaction.forget("b")
        return await transaction.get("a", "b")

    async def failing(transaction: Transaction) -> None:
        await work(transaction)
        raise Problem("INCOMPATIBLE_STATE", "no")

    with pytest.raises(Problem, match="no"):
        await space.transact(failing)
    assert await space.keys.get(["a"]) == [None]
    assert await space.transact(work) == ["12", None]
    assert await space.keys.get(["a"]) == ["12"]


async def test_what_was_to_be_absent_stays_so_when_it_is_read_too(space: Keyspace) -> None:
    async def work(transaction: Transaction) -> list[str | None]:
        transaction.absent("a")
        transaction.put("b", "1")
        return await transaction.get("a")

    assert await space.transact(work) == [None]
    await space.keys.commit([Step("put", "a", "1")])
    with pytest.raises(Problem):
        await space.transact(work)


async def test_of_a_crowd_every_change_counts(space: Keyspace) -> None:
    async def add(transaction: Transaction) -> None:
        (found,) = await transaction.get("sum")
        await asyncio.sleep(0)
        transaction.put("sum", str(int(found or 0) + 1))

    await asyncio.gather(*(space.transact(add) for _ in range(100)))
    assert await space.keys.get(["sum"]) == ["100"]


async def test_nothing_is_concluded_from_what_was_never_so_at_one_time(space: Keyspace) -> None:
    """Two keys that always change together are read one after the other while somebody changes them."""
    tries = 0

    async def shift(transaction: Transaction) -> None:
        for name in ("a", "b"):
            transaction.put(name, str(tries))

    async def compare(transaction: Transaction) -> str | None:
        nonlocal tries
        (a,) = await transaction.get("a")
        tries += 1
        if tries < 3:
            await space.transact(shift)
        (b,) = await transaction.get("b")
        if a != b:
            raise Problem("INTERNAL", "never to be seen")
        return a

    assert await space.transact(compare) == "2"
    with pytest.raises(Problem, match="as it stands"):
        await space.transact(refuse)


async def refuse(transaction: Transaction) -> None:
    await transaction.get("a")
    await transaction.get("b")
    raise Problem("INCOMPATIBLE_STATE", "as it stands")


async def test_a_proof_is_new_once_for_all_replicas(space: Keyspace) -> None:
    one, other = ReplayKeys(space), ReplayKeys(space)
    seen = await asyncio.gather(*(f.first("dpop", "i", "j", until=NOW + 9, now=NOW) for f in (one, other) * 8))
    assert sorted(seen) == [False] * 15 + [True]
    for iss, jti in (("i", "k"), ("j", "j"), ("ij", "")):
        assert await one.first("dpop", iss, jti, until=NOW, now=NOW + 5)


async def test_replicas_that_want_the_same_thing_all_get_on(emptied: RedisServer) -> None:
    """Two processes, as far as anybody can tell: each has its own connections and its own single file."""

    async def add(transaction: Transaction) -> None:
        (found,) = await transaction.get("sum")
        transaction.put("sum", str(int(found or 0) + 1))

    async with redis_space(emptied) as one, redis_space(emptied) as other:
        await asyncio.gather(*(space.transact(add) for space in (one, other) for _ in range(50)))
        assert await one.keys.get(["sum"]) == ["100"]


async def test_a_page_is_of_one_moment(emptied: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody puts another member on top whenever the server was asked."""
    async with redis_space(emptied) as space:
        keys, numbers = space.keys, count(10)
        assert isinstance(keys, RedisKeys)
        await keys.commit([Step("rank", "s", name, str(score)) for score, name in enumerate("abcd")])
        ask = keys.server.ask

        async def asked(commands: Sequence[Command]) -> list[Reply]:
            answers = await ask(commands)
            number = next(numbers)
            await keys.commit([Step("rank", "s", f"new{number}", str(number))])
            return answers

        monkeypatch.setattr(keys.server, "ask", asked)
        assert await keys.below("s", "d", 2) == ["c", "b"]
        assert await keys.below("s", "b", 2) == ["a"]


async def test_brokers_of_one_server_never_meet_and_no_two_names_are_one(emptied: RedisServer) -> None:
    async with redis_space(emptied) as space:
        assert isinstance(space.keys, RedisKeys)
        other = RedisKeys(space.keys.server, "https://other.example", SystemEntropy())
        await space.keys.commit([Step("put", "a", "1")])
        assert await other.get(["a"]) == [None]
    assert len({named("a", "b"), named("a:b"), named("a", "b", ""), named("a%3Ab"), named("A", "b")}) == 5
    assert prefix(ENTITY) == "peerway:{https://broker.example}:"


async def test_who_can_never_win_is_told_so() -> None:
    class Sulky(SimulatedKeys):
        async def commit(self, steps: object) -> bool:
            return False

    async def work(transaction: Transaction) -> None:
        transaction.put("a", "1")

    keys: Keys = Sulky()
    with pytest.raises(Problem) as caught:
        await Keyspace(keys).transact(work)
    assert (caught.value.code, caught.value.outcome) == ("UNAVAILABLE", Outcome.NONE)
    assert caught.value.retry_after_s

"""What every store of a log must do: it grows at its end, proves it, remembers as a witness; replicas may share one."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from federation.broker.authority.filing import Filing, Party
from federation.broker.store.redis.documents import QUEUE
from federation.broker.store.redis.keys import Keyspace, Step
from federation.broker.store.redis.log import LogKeys
from federation.broker.store.redis.store import RedisStore
from federation.broker.store.sqlite import SqliteStore, open_database
from federation.evidence.checkpoint import Checkpoint, leaf_of
from federation.evidence.protocols import SIGNED, Kept, LogStore
from federation.evidence.sqlite import LogRows
from federation.evidence.tree import NOTHING, check_consistency, check_inclusion
from federation.evidence.witness import Refusal, Remembered, read_request, write_request
from federation.trust.jose import doc_hash
from schemas.problem import Problem
from tests.support.logs import MemoryLog, log_signer
from tests.support.redis_server import RedisServer, emptied, redis_server, redis_space
from tests.support.simulated_keys import SimulatedKeys

pytestmark = pytest.mark.asyncio
__all__ = ["emptied", "redis_server"]
LOG = "https://surf.example"
ALICE = Party("alice", None)


class Books(NamedTuple):
    """Where documents are filed, and the log of them."""

    filing: Filing
    log: LogStore


@pytest_asyncio.fixture(params=["simulated", "sqlite", "redis"])
async def books(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Books]:
    if request.param == "simulated":
        space = Keyspace(SimulatedKeys())
        yield Books(RedisStore(space), LogKeys(space))
    elif request.param == "sqlite":
        async with open_database(tmp_path / "broker.sqlite") as database:
            yield Books(SqliteStore(database), LogRows(database))
    else:
        async with redis_space(request.getfixturevalue("emptied")) as space:
            yield Books(RedisStore(space), LogKeys(space))


def documents(*numbers: int) -> list[str]:
    return [f"a.{number}.c" for number in numbers]


async def test_it_grows_at_its_end_in_the_order_of_filing_and_proves_it(books: Books) -> None:
    model, log = MemoryLog(log_signer(LOG)), books.log
    assert await log.tree() == (0, NOTHING)
    sizes, roots = [0], [NOTHING]
    for number in range(0, 40, 5):
        filed = documents(*range(number, number + 5))
        for document in filed:
            await books.filing.file(ALICE, None, [document])
        assert await log.known([doc_hash(document) for document in filed])
        while await log.take(3):
            pass
        model.add(*map(doc_hash, filed))
        assert await log.tree() == (model.size, model.checkpoint().root)
        sizes.append(model.size)
        roots.append(model.checkpoint().root)
    hashes = [doc_hash(document) for document in documents(*range(40))]
    found = await log.inclusions(hashes, 40)
    assert found is not None
    for index, one in enumerate(hashes):
        path = [base64.urlsafe_b64decode(step + "=") for step in found[one].path]
        check_inclusion(leaf_of(one), index, 40, path, roots[-1])
    for old, old_root in zip(sizes, roots, strict=True):
        check_consistency(old, old_root, 40, roots[-1], await log.consistency(old, 40))
    assert await log.inclusions(hashes[:1], 0) is None
    assert await log.inclusions([doc_hash("n.o.t")], 40) is None
    assert not await log.known([hashes[0], doc_hash("n.o.t")])


async def test_what_two_parties_file_is_logged_once(books: Books) -> None:
    for buyer in ("alice", "bob", "alice"):
        await books.filing.file(Party(buyer, None), None, documents(1, 2))
        while await books.log.take():
            pass
    assert (await books.log.tree())[0] == 2


async def test_a_checkpoint_is_the_newest_of_its_kind(books: Books) -> None:
    assert await books.log.checkpoint(SIGNED) is None
    await books.filing.file(ALICE, None, documents(*range(5)))
    await books.log.take()
    for kept in (Kept(3, "three"), Kept(3, "three again"), Kept(5, "five")):
        await books.log.keep(SIGNED, kept)
        assert await books.log.checkpoint(SIGNED) == kept
    assert await books.log.checkpoint("another kind") is None


async def test_nothing_is_signed_of_a_tree_that_a_failover_took_back() -> None:
    """The server that is asked now has less than the one that told size and root."""
    space = Keyspace(SimulatedKeys())
    log = LogKeys(space)
    await RedisStore(space).file(ALICE, None, documents(1, 2))
    await log.take()
    with pytest.raises(Problem) as caught:
        await log.keep(SIGNED, Kept(3, "three"))
    assert caught.value.code == "UNAVAILABLE"
    assert await log.checkpoint(SIGNED) is None
    await log.keep(SIGNED, Kept(2, "two"))


async def test_a_witness_signs_one_of_two_histories(books: Books) -> None:
    signer = log_signer(LOG)
    one, other = MemoryLog(signer), MemoryLog(signer)
    one.add(*map(doc_hash, documents(1, 2)))
    other.add(*map(doc_hash, documents(1, 3)))
    requests = [read_request(write_request(0, (), log.note())) for log in (one, other)]
    key = str(signer.verifier)
    verdicts = await asyncio.gather(*(books.log.witness(request, key) for request in requests))
    (signed,) = [verdict for verdict in verdicts if isinstance(verdict, Checkpoint)]
    (refused,) = [verdict for verdict in verdicts if isinstance(verdict, Refusal)]
    assert (refused.status, refused.size) == (409, 2)
    assert await books.log.witnessed(LOG) == Remembered(2, signed.root)
    assert await books.log.witnessed("https://dfn.example") == Remembered()
    assert isinstance(await books.log.witness(requests[0], None), Refusal)


async def test_a_witness_relies_on_nothing_that_the_primary_alone_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another replica wrote it down and was not told that it is durable: what is signed again is signed after that."""
    keys = SimulatedKeys()
    log, signer = LogKeys(Keyspace(keys)), log_signer(LOG)
    tree = MemoryLog(signer)
    tree.add(*map(doc_hash, documents(1, 2)))
    await log.witness(read_request(write_request(0, (), tree.note())), str(signer.verifier))
    sure: list[Sequence[Step]] = []

    async def commit(steps: Sequence[Step]) -> bool:
        sure.append(steps)
        return True

    monkeypatch.setattr(keys, "commit", commit)
    assert (await log.witnessed(LOG)).size == 2
    assert not sure, "nobody follows this server"
    monkeypatch.setattr(keys, "followed", True)
    assert (await log.witnessed(LOG)).size == 2
    assert [step.what for (step,) in sure] == ["is"]
    assert await log.witnessed("https://dfn.example") == Remembered()
    assert len(sure) == 1, "of whom nothing was signed nothing is acknowledged"


async def test_replicas_that_grow_it_at_once_make_one_tree(emptied: RedisServer) -> None:
    """Documents are filed through one while both take: nothing twice, nothing left out, one root for every size."""
    rng = random.Random(6)
    seen: dict[int, bytes] = {}
    async with redis_space(emptied) as one, redis_space(emptied) as other:
        logs, filing = [LogKeys(one), LogKeys(other)], RedisStore(one)

        async def file(number: int) -> None:
            await filing.file(ALICE, None, documents(number))

        async def take(log: LogKeys) -> None:
            await log.take(rng.randint(1, 7))
            size, root = await log.tree()
            assert seen.setdefault(size, root) == root

        works = [file(number) for number in range(60)] + [take(log) for log in logs * 15]
        rng.shuffle(works)
        await asyncio.gather(*works)
        while await logs[1].take():
            pass
        size, root = await logs[0].tree()
        assert size == 60
        found = await logs[0].inclusions([doc_hash(document) for document in documents(*range(60))], 60)
        assert found is not None
        assert sorted(place.index for place in found.values()) == list(range(60))
        for old, old_root in seen.items():
            check_consistency(old, old_root, 60, root, await logs[1].consistency(old, 60))


async def test_what_is_no_hash_keeps_nothing_from_being_logged() -> None:
    space = Keyspace(SimulatedKeys())
    await space.keys.commit([Step("append", QUEUE, "no hash"), Step("append", QUEUE, doc_hash("a.b.c"))])
    log = LogKeys(space)
    assert await log.take() == 2
    assert (await log.tree())[0] == 1
    assert await log.take() == 0

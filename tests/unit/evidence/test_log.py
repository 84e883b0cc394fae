"""A log in SQLite with its sequencer and its witnesses, all in one process; the network between is a dictionary."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from federation.broker.store.sqlite import migrations
from federation.evidence.asking import Panel, Witness
from federation.evidence.checkpoint import Checkpoint, read_checkpoint, verify_checkpoint, verify_inclusion
from federation.evidence.note import NoteSigner, read_note
from federation.evidence.protocols import SIGNED, WITNESSED, Kept
from federation.evidence.sequencer import Sequencer
from federation.evidence.sqlite import TABLES, LogRows
from federation.evidence.tree import check_consistency
from federation.evidence.witness import Refusal, read_request
from federation.node.sqlite import Database
from federation.trust.fetch import Answer
from federation.trust.jose import sha256_b64
from schemas.problem import Problem
from tests.support.logs import log_signer, witness_keys, witness_signer
from tests.support.seams import NOW

LOG = "https://surf.example"
OTHERS = ("https://dfn.example", "https://geant.example", "https://switch.example")
DOCUMENTS = "CREATE TABLE documents (hash TEXT PRIMARY KEY, document TEXT);"


def hashes(*numbers: int) -> list[str]:
    return [sha256_b64(str(number).encode()) for number in numbers]


@asynccontextmanager
async def database(path: Path) -> AsyncIterator[Database]:
    async with Database(path, (DOCUMENTS, TABLES)) as opened:
        yield opened


async def file(opened: Database, names: Sequence[str]) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.executemany("INSERT OR IGNORE INTO documents (hash) VALUES (?)", [(name,) for name in names])

    await opened.write(write)


class Net:
    """Witnesses by the hosts of their endpoints; `down` do not answer, `answers` are given instead."""

    def __init__(self, log_key: str) -> None:
        self.log_key = log_key
        self.rows: dict[str, LogRows] = {}
        self.signers: dict[str, NoteSigner] = {}
        self.down: set[str] = set()
        self.asked: list[tuple[str, int]] = []
        self.answers: dict[str, Answer] = {}

    def add(self, entity: str, opened: Database) -> None:
        self.rows[entity], self.signers[entity] = LogRows(opened), witness_signer(entity)

    async def witnesses(self) -> list[Witness]:
        return [Witness(entity, f"{entity}/peerway/v1", signer.verifier) for entity, signer in self.signers.items()]

    async def post(self, url: str, body: bytes) -> Answer:
        entity, request = url.removesuffix("/peerway/v1/witness/add-checkpoint"), read_request(body)
        self.asked.append((entity, request.old))
        if entity in self.down:
            raise Problem("UNAVAILABLE", f"{entity} did not answer")
        if entity in self.answers:
            return self.answers[entity]
        verdict = await self.rows[entity].witness(request, self.log_key)
        if isinstance(verdict, Refusal):
            return Answer(verdict.status, f"{verdict.size}\n".encode() if verdict.size is not None else b"no\n")
        return Answer(200, self.signers[entity].line(request.note.text, NOW).encode())


class World:
    """One log and three witnesses."""

    def __init__(self, opened: Database, net: Net, signer: NoteSigner) -> None:
        self.opened, self.net, self.signer, self.now = opened, net, signer, NOW
        self.rows = LogRows(opened)
        panel = Panel(net.witnesses, net, self.rows, lambda: self.now)
        self.sequencer = Sequencer(LOG, self.rows, signer, panel, every_s=1, asked=3)

    async def believed(self) -> Checkpoint:
        kept = await self.rows.checkpoint(WITNESSED)
        assert kept is not None
        keys = witness_keys(self.net.signers)
        return verify_checkpoint(kept.note, LOG, str(self.signer.verifier), keys).checkpoint


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        signer = log_signer(LOG)
        net = Net(str(signer.verifier))
        for entity in OTHERS:
            net.add(entity, await stack.enter_async_context(database(tmp_path / entity[8:])))
        yield World(await stack.enter_async_context(database(tmp_path / "log")), net, signer)


@pytest.mark.asyncio
async def test_what_is_filed_is_logged_witnessed_and_shown(world: World) -> None:
    assert await world.sequencer.step(), "nothing to log is nothing to wait for"
    assert await world.rows.checkpoint(SIGNED) is None
    names = hashes(*range(7))
    await file(world.opened, names)
    assert await world.rows.known(names)
    assert await world.sequencer.step()
    first = await world.believed()
    assert first.size == 7
    await file(world.opened, hashes(*range(5, 12)))
    assert await world.sequencer.step()
    second = await world.believed()
    assert second.size == 12, "what was filed before is not logged again"
    proof = await world.rows.consistency(7, 12)
    check_consistency(7, first.root, 12, second.root, proof)
    for checkpoint, count in ((first, 7), (second, 12)):
        found = await world.rows.inclusions(hashes(*range(count)), checkpoint.size)
        assert found is not None
        for name, inclusion in found.items():
            verify_inclusion(name, inclusion, checkpoint)
    assert await world.rows.inclusions(hashes(11), 7) is None
    assert not await world.rows.known(hashes(99))
    asked = len(world.net.asked)
    assert await world.sequencer.step()
    assert len(world.net.asked) == asked, "nothing new, nobody is asked"


@pytest.mark.asyncio
async def test_deleting_documents_and_filing_others_in_their_place_changes_nothing(world: World) -> None:
    await file(world.opened, hashes(1, 2, 3))
    await world.opened.write(lambda c: c.execute("DELETE FROM documents").rowcount)
    await world.sequencer.step()
    before = await world.believed()
    await file(world.opened, hashes(4, 1))
    await world.sequencer.step()
    after = await world.believed()
    assert (before.size, after.size) == (3, 4)
    check_consistency(3, before.root, 4, after.root, await world.rows.consistency(3, 4))


@pytest.mark.asyncio
async def test_many_documents_are_taken_in_small_steps_in_their_order(world: World) -> None:
    await file(world.opened, hashes(*range(40)))
    assert [await world.rows.take(16) for _ in range(4)] == [16, 16, 8, 0]
    size, root = await world.rows.tree()
    found = await world.rows.inclusions(hashes(*range(40)), 40)
    assert found is not None
    assert [found[name].index for name in hashes(*range(40))] == list(range(40))
    for name, inclusion in found.items():
        verify_inclusion(name, inclusion, Checkpoint("surf.example", size, root))


@pytest.mark.asyncio
async def test_what_is_no_hash_keeps_nothing_from_being_logged(world: World) -> None:
    await file(world.opened, ["rubbish", *hashes(1)])
    assert await world.sequencer.step()
    assert (await world.believed()).size == 1


@pytest.mark.asyncio
async def test_two_of_three_witnesses_are_enough_and_one_is_not(world: World) -> None:
    world.net.down = {OTHERS[0]}
    await file(world.opened, hashes(1))
    assert await world.sequencer.step()
    await file(world.opened, hashes(2))
    world.net.down = {OTHERS[0], OTHERS[1]}
    assert not await world.sequencer.step()
    assert (await world.believed()).size == 1
    kept = await world.rows.checkpoint(SIGNED)
    assert kept is not None
    assert kept.size == 2
    world.net.down, world.now = set(), NOW + 120
    assert await world.sequencer.step()
    assert (await world.believed()).size == 2


@pytest.mark.asyncio
async def test_a_silent_witness_is_left_alone_for_ever_longer(world: World) -> None:
    world.net.down = {OTHERS[1]}
    asked = []
    for number in range(60):
        await file(world.opened, hashes(number))
        before = len(world.net.asked)
        await world.sequencer.step()
        asked += [number] if OTHERS[1] in [entity for entity, _ in world.net.asked[before:]] else []
        world.now += 2
    assert asked[0] == 0
    assert len(asked) < 8
    gaps = [b - a for a, b in pairwise(asked)]
    assert gaps == sorted(gaps)


@pytest.mark.asyncio
async def test_a_restarted_log_learns_from_its_witnesses_how_far_they_are(world: World) -> None:
    await file(world.opened, hashes(*range(5)))
    await world.sequencer.step()
    again = World(world.opened, world.net, world.signer)
    await file(world.opened, hashes(7))
    world.net.asked.clear()
    assert await again.sequencer.step()
    assert sorted(world.net.asked) == [(entity, old) for entity in OTHERS for old in (0, 5)]
    assert (await again.believed()).size == 6


@pytest.mark.asyncio
async def test_a_killed_log_goes_on_where_it_was(world: World) -> None:
    """Each write is one transaction: whichever was the last, the rest is done by the next start."""
    for number in range(1, 6):
        await file(world.opened, hashes(number))
        if number % 2:
            await world.rows.take()
        if number % 3 == 0:
            size, root = await world.rows.tree()
            checkpoint = Checkpoint("surf.example", size, root)
            await world.rows.keep(SIGNED, Kept(size, f"{checkpoint.text}\n{world.signer.line(checkpoint.text)}"))
        world = World(world.opened, world.net, world.signer)
        if number % 2 == 0:
            assert await world.sequencer.step()
    assert await world.sequencer.step()
    assert (await world.believed()).size == 5


@pytest.mark.asyncio
async def test_a_forked_log_gets_no_signature(world: World, tmp_path: Path) -> None:
    await file(world.opened, hashes(1, 2, 3))
    assert await world.sequencer.step()
    async with database(tmp_path / "forked") as opened:
        fork = World(opened, world.net, world.signer)
        await file(opened, hashes(1, 9, 3))
        assert not await fork.sequencer.step()
        await file(opened, hashes(4, 5))
        fork.now += 1_000
        assert not await fork.sequencer.step()
        assert await fork.rows.checkpoint(WITNESSED) is None
    for entity in OTHERS:
        seen = await world.net.rows[entity].witnessed(LOG)
        assert (seen.size, seen.root) == await world.rows.tree()


@pytest.mark.asyncio
async def test_of_two_requests_at_once_one_is_signed(world: World) -> None:
    """Both follow what was signed before: the second must not roll back the first."""
    await file(world.opened, hashes(1, 2))
    await world.rows.take()
    notes = []
    for count in (2, 3):
        size, root = await world.rows.tree()
        text = Checkpoint("surf.example", size, root).text
        notes.append(f"old 0\n\n{text}\n{world.signer.line(text)}".encode())
        await file(world.opened, hashes(10 + count))
        await world.rows.take()
    rows = world.net.rows[OTHERS[0]]
    verdicts = await asyncio.gather(*(rows.witness(read_request(note), world.net.log_key) for note in notes))
    assert isinstance(verdicts[0], Checkpoint)
    assert isinstance(verdicts[1], Refusal)
    assert (verdicts[1].status, verdicts[1].size) == (409, 2)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(200, b"nonsense"), "line"),
        (Answer(200, witness_signer(OTHERS[0]).line("other\n", NOW).encode()), "no line"),
        (Answer(409, b"99\n"), "old copy"),
        (Answer(409, b"1e9\n"), "does not say"),
        (Answer(409, b"1\n"), "another tree"),
        (Answer(404, b"?\n"), "404"),
    ],
)
@pytest.mark.asyncio
async def test_an_odd_answer_is_no_signature(
    world: World, answer: Answer, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.net.answers = dict.fromkeys(OTHERS[:2], answer)
    await file(world.opened, hashes(1))
    assert not await world.sequencer.step()
    assert why in caplog.text
    assert await world.rows.checkpoint(WITNESSED) is None


@pytest.mark.asyncio
async def test_a_new_key_signs_the_same_tree_again(world: World) -> None:
    await file(world.opened, hashes(1))
    await world.sequencer.step()
    other = log_signer(LOG)
    world.net.log_key = str(other.verifier)
    renewed = World(world.opened, world.net, other)
    assert await renewed.sequencer.step()
    kept = await renewed.rows.checkpoint(WITNESSED)
    assert kept is not None
    assert read_checkpoint(read_note(kept.note).text) == await renewed.believed()


def test_the_broker_has_the_same_tables() -> None:
    (found,) = [script for script in migrations() if "CREATE TABLE log_queue" in script]
    assert found.partition("\n")[2] == TABLES.lstrip("\n")

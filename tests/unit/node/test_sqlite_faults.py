"""The store's writer where the disk is slow, full, or says nothing certain; and what it is asked while it closes."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from federation.node.sqlite import Database
from schemas.problem import Outcome, Problem

pytestmark = pytest.mark.asyncio
MIGRATIONS = ["CREATE TABLE numbers (n INTEGER PRIMARY KEY)"]


class Disk:
    """Stands before the connection that writes; `fault` is raised by the next statements that begin with `where`."""

    def __init__(self, db: Database) -> None:
        self._connection: sqlite3.Connection = db._writes
        self.fault: Exception | None = None
        self.where, self.times, self.committed = "COMMIT", 1, 0
        db._writes = self  # type: ignore[assignment]

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if self.fault is not None and statement.startswith(self.where) and self.times > 0:
            self.times -= 1
            raise self.fault
        self.committed += statement == "COMMIT"
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def insert(n: int) -> Callable[[sqlite3.Connection], Any]:
    return lambda c: c.execute("INSERT INTO numbers VALUES (?)", (n,)).rowcount


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM numbers").fetchone()[0])


def full(_: sqlite3.Connection) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def failed(name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = name
    return error


async def test_what_came_while_the_last_of_it_was_written_is_written_by_itself_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes longer than it may wait."""
    monkeypatch.setattr("federation.node.sqlite.SOON_S", 0)
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        begun, free = threading.Event(), threading.Event()

        def slow(_: sqlite3.Connection) -> None:
            begun.set()
            assert free.wait(60)

        late = asyncio.ensure_future(db.write(slow, long=True))
        await asyncio.to_thread(begun.wait)
        db.soon(insert(1))
        for _ in range(5):
            await asyncio.sleep(0)  # it is on its way, behind the slow one
        db.soon(insert(2))
        for _ in range(5):
            await asyncio.sleep(0)
        free.set()
        await late
        async with asyncio.timeout(10):
            while await db.read(count) < 2:
                await asyncio.sleep(0)


async def test_a_disk_that_cannot_write_is_given_only_so_much_to_be_written_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.node.sqlite.SOON_MAX", 3)
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        for n in range(3):
            db.soon(insert(n))
            with pytest.raises(Problem, match="full"):
                await db.write(full)
        with pytest.raises(Problem, match="cannot write") as told:
            db.soon(insert(3))
        assert (told.value.code, told.value.outcome) == ("UNAVAILABLE", Outcome.NONE)
        assert await db.write(count) == 3
        db.soon(insert(4))
        assert await db.write(count) == 4, "there is room again"


async def test_a_disk_that_stays_full_is_tried_as_often_for_many_as_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[Callable[[], None]] = []
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        disk, loop = Disk(db), asyncio.get_running_loop()
        disk.fault, disk.times = failed("SQLITE_FULL"), 1_000
        monkeypatch.setattr(loop, "call_later", lambda _, look: waits.append(look))
        for n in range(5):
            db.soon(insert(n))
            with pytest.raises(Problem):
                await db.write(insert(10))
        assert len(waits) == 1
        for _ in range(3):
            waits.pop()()
            assert db._flush is not None
            await db._flush
            assert len(waits) == 1, "each look that fails leads to one other"
        disk.times = 0
        waits.pop()()
        while await db.read(count) < 5:
            await asyncio.sleep(0)
        assert not waits


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("SQLITE_FULL", None),
        ("SQLITE_IOERR_WRITE", None),
        ("SQLITE_IOERR_FSYNC", Outcome.UNKNOWN),
        ("SQLITE_IOERR_SHMSIZE", Outcome.UNKNOWN),
    ],
)
async def test_a_commit_that_the_disk_took_and_could_not_keep_may_be_there_after_a_crash(
    tmp_path: Path, name: str, outcome: Outcome | None
) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        disk = Disk(db)
        disk.fault = failed(name)
        with pytest.raises(Problem) as told:
            await db.write(insert(1))
        assert (told.value.code, told.value.outcome) == ("UNAVAILABLE", outcome)
        assert ("nothing was changed" in told.value.detail) is (outcome is None)
        await db.write(insert(1))
        assert await db.look(count) == 1


async def test_a_commit_that_may_be_there_is_written_over_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.node.sqlite.SOON_S", 0)
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        disk = Disk(db)
        disk.fault, disk.times = failed("SQLITE_IOERR_FSYNC"), 3
        with pytest.raises(Problem, match="cannot say"):
            await db.write(insert(1))
        async with asyncio.timeout(10):
            while disk.times or disk.committed == 0:
                await asyncio.sleep(0)
        assert await db.read(count) == 0


@pytest.mark.parametrize("where", ["BEGIN", "COMMIT", "ROLLBACK"])
async def test_no_fault_of_a_commit_stops_the_writer(tmp_path: Path, where: str) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        disk = Disk(db)
        disk.fault, disk.where = MemoryError("out of memory"), where
        db.soon(insert(1))
        with pytest.raises(Problem):
            async with asyncio.timeout(10):
                await db.write(full if where == "ROLLBACK" else insert(2))
        disk.fault = None
        async with asyncio.timeout(10):
            assert await db.write(count) == 1


async def test_a_disk_that_cannot_read_is_told_as_such(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        for ask in (db.read, db.look):
            with pytest.raises(Problem, match="cannot read") as told:
                await ask(full)
            assert told.value.code == "UNAVAILABLE"


async def test_a_store_that_is_closed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.node.sqlite.SOON_S", 0)
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        disk = Disk(db)
        disk.fault, disk.times = failed("SQLITE_FULL"), 1_000
        db.soon(insert(1))
    for _ in range(5):
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        with pytest.raises(Problem, match="closed"):
            await db.write(insert(2))
    assert not faults


@pytest.mark.parametrize("what", ["rubbish", "damaged"])
async def test_a_file_that_is_no_store_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.db"
    async with Database(path, MIGRATIONS) as db:
        await db.write(insert(1))
    bytes_before = path.read_bytes()
    path.write_bytes(b"rubbish" * 1000 if what == "rubbish" else bytes_before[:4096] + b"\xff" * 4096)
    with pytest.raises(Problem, match=r"x\.db.*cannot be opened") as told:
        async with Database(path, [*MIGRATIONS, "CREATE INDEX by_n ON numbers (n)"]):
            pass
    assert told.value.code == "INVALID_ARGUMENT"
    path.write_bytes(bytes_before)
    async with Database(path, MIGRATIONS) as db:
        assert await db.read(count) == 1, "and nothing is left locked"

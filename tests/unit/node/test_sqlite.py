"""The store's writer: grouped commits, isolation of failures, one owner, schema versions, `kill -9`."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from federation.node.sqlite import Database
from schemas.problem import Problem

MIGRATIONS = ["CREATE TABLE numbers (n INTEGER PRIMARY KEY)"]


def insert(n: int) -> Callable[[sqlite3.Connection], Any]:
    return lambda c: c.execute("INSERT INTO numbers VALUES (?)", (n,))


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM numbers").fetchone()[0])


@pytest.mark.asyncio
async def test_a_write_is_seen_by_the_next_read_and_by_the_next_process(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        await db.write(insert(1))
        assert await db.read(count) == 1
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        assert await db.read(count) == 1


@pytest.mark.asyncio
async def test_work_that_fails_in_a_group_leaves_no_trace_and_hurts_no_other(tmp_path: Path) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (100)")
        raise Problem("CAPACITY_CHANGED", "no")

    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        works = [db.write(insert(n)) for n in range(50)]
        outcomes = await asyncio.gather(*works[:25], db.write(half), *works[25:], return_exceptions=True)
        assert [type(o) for o in outcomes if isinstance(o, Exception)] == [Problem]
        assert await db.read(count) == 50


@pytest.mark.asyncio
async def test_a_constraint_decides_among_parallel_writers(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        outcomes = await asyncio.gather(*(db.write(insert(7)) for _ in range(32)), return_exceptions=True)
        assert sum(isinstance(o, sqlite3.IntegrityError) for o in outcomes) == 31


@pytest.mark.asyncio
async def test_only_the_owner_may_read_what_is_stored(tmp_path: Path) -> None:
    (tmp_path / "old.db").touch(mode=0o644)
    for name in ("x.db", "old.db"):
        async with Database(tmp_path / name, MIGRATIONS) as db:
            await db.write(insert(1))
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob(f"{name}*")}
        assert len(modes) == 4, "the file, its lock, and both files beside it while it is open"
        assert set(modes.values()) == {0o600}, modes


@pytest.mark.asyncio
async def test_a_second_owner_of_the_file_is_refused(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS):
        with pytest.raises(Problem, match="in use by another process"):
            await Database(tmp_path / "x.db", MIGRATIONS).__aenter__()


@pytest.mark.asyncio
async def test_migrations_go_forward_and_never_back(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        await db.write(insert(1))
    newer = [*MIGRATIONS, "ALTER TABLE numbers ADD COLUMN name TEXT DEFAULT 'x'"]
    async with Database(tmp_path / "x.db", newer) as db:
        assert await db.read(lambda c: c.execute("SELECT name FROM numbers").fetchone()[0]) == "x"
    with pytest.raises(Problem, match="newer Peerway"):
        await Database(tmp_path / "x.db", MIGRATIONS).__aenter__()


@pytest.mark.asyncio
async def test_what_is_written_soon_goes_with_the_next_write_or_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.node.sqlite.SOON_S", 0)
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        db.soon(insert(1))
        assert await db.write(count) == 1, "before the next write, in its transaction"
        db.soon(insert(2))
        while await db.read(count) < 2:
            await asyncio.sleep(0)
        assert await db.look(count) == 2
        db.soon(insert(3))
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        assert await db.read(count) == 3, "closing loses nothing"


@pytest.mark.asyncio
async def test_what_was_to_be_written_soon_waits_for_a_disk_that_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("federation.node.sqlite.SOON_S", 3600)
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        db.soon(insert(1))
        with pytest.raises(Problem, match="full"):
            await db.write(full)
        assert await db.look(count) == 0
        await db.write(insert(2))
        assert await db.look(count) == 2
    monkeypatch.setattr("federation.node.sqlite.SOON_S", 0)
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        db.soon(insert(3))
        with pytest.raises(Problem, match="full"):
            await db.write(full)
        while await db.look(count) < 3:  # by itself, though nobody writes
            await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_written_soon_is_there_for_whoever_came_after_it_though_long_work_carries_it(
    tmp_path: Path, fails: bool
) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        db.soon(insert(1))
        late = asyncio.ensure_future(db.write(count, long=True))
        next_one = asyncio.ensure_future(db.write(count))
        refused = [asyncio.ensure_future(db.write(insert(1)))] if fails else []
        assert await asyncio.gather(late, next_one) == [1, 1]
        for one in refused:
            with pytest.raises(sqlite3.IntegrityError):
                await one


@pytest.mark.asyncio
async def test_what_could_not_be_written_soon_still_goes_before_what_came_after_it(tmp_path: Path) -> None:
    """Its group fails while the next one waits already."""
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        seen = list[asyncio.Future[int]]()

        def full(_: sqlite3.Connection) -> None:
            asyncio.run_coroutine_threadsafe(waiting(), loop)
            assert came.wait(60)
            raise sqlite3.OperationalError("database or disk is full")

        async def waiting() -> None:
            seen.append(asyncio.ensure_future(db.write(count)))
            loop.call_soon(came.set)

        loop, came = asyncio.get_running_loop(), threading.Event()
        db.soon(insert(1))
        with pytest.raises(Problem, match="full"):
            await db.write(full, long=True)
        while not seen:
            await asyncio.sleep(0)
        assert await seen[0] == 1


@pytest.mark.asyncio
async def test_long_work_shares_a_commit_and_leaves_the_loop_free(tmp_path: Path) -> None:
    async with Database(tmp_path / "x.db", MIGRATIONS) as db:
        begun, free = threading.Event(), threading.Event()

        def long(connection: sqlite3.Connection) -> int:
            begun.set()
            assert free.wait(60), "the loop was kept waiting"
            return count(connection)

        late = asyncio.ensure_future(db.write(long, long=True))
        short = asyncio.ensure_future(db.write(insert(1)))
        await asyncio.to_thread(begun.wait)
        follows = asyncio.ensure_future(db.write(insert(2)))
        await asyncio.sleep(0)
        assert (late.done(), short.done(), follows.done()) == (False, False, False)
        free.set()
        assert await late == 1, "in the transaction of what came with it"
        await asyncio.gather(short, follows)
        assert await db.look(count) == 2


WRITER = """
import asyncio, sys
from pathlib import Path
from federation.node.sqlite import Database
async def main():
    async with Database(Path(sys.argv[1]), ["CREATE TABLE numbers (n INTEGER PRIMARY KEY)"]) as db:
        for n in range(10**6):
            await db.write(lambda c: c.execute("INSERT INTO numbers VALUES (?)", (n,)))
            print(n, flush=True)
asyncio.run(main())
"""


@pytest.mark.asyncio
async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout
        acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().splitlines() if line.strip()]
    async with Database(path, MIGRATIONS) as db:
        kept = await db.read(lambda c: {row[0] for row in c.execute("SELECT n FROM numbers")})
    assert set(acknowledged) <= kept

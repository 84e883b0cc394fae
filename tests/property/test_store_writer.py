"""Random lives of one store: writes, what is to be written soon, long work, work that fails, callers that go away, a
disk that is full now and then, and a crash at any moment.

What was acknowledged is there after the crash, what was refused is not, and whatever is there has with it all that was
to be written soon before it came.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.node.sqlite import Database
from schemas.problem import Problem

MIGRATIONS = ["CREATE TABLE numbers (n INTEGER PRIMARY KEY, soon INTEGER)"]
KINDS = st.sampled_from(["write", "long", "soon", "fails", "twice", "full", "cancel", "turn", "pause", "wait"])
LIVES = st.lists(KINDS, min_size=1, max_size=40)


class Life:
    """What was asked of a store, in its order, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.path, self.asked = folder / "x.db", 0
        self.soon: list[int] = []
        self.before: dict[int, int] = {}  # how many of `soon` came before a write
        self.kept: set[int] = set()
        self.refused: set[int] = set()
        self.going: dict[int, asyncio.Task[Any]] = {}
        self.full = False
        self.alone: list[int] = []  # writes that did not find what came before them

    async def run(self, steps: list[str]) -> None:
        async with Database(self.path, MIGRATIONS) as db:
            for step in steps:
                await self.step(db, step)
            self.crash()
            self.full = False
            await asyncio.gather(*self.going.values(), return_exceptions=True)
            await self.step(db, "write")
            await self.step(db, "wait")
            self.check(await db.read(numbers))
            assert (db._soon, db._soon_count) == ([], 0), "all was written, and none is counted"
        async with Database(self.path.with_name("crashed.db"), MIGRATIONS) as db:
            self.check(await db.read(numbers), crashed=True)

    def crash(self) -> None:
        """What another process would find now."""
        self.acknowledged = set(self.kept)
        self.gone = set(self.refused)
        for suffix in ("", "-wal"):
            if (name := self.path.with_name(f"x.db{suffix}")).exists():
                shutil.copy(name, self.path.with_name(f"crashed.db{suffix}"))

    async def step(self, db: Database, step: str) -> None:
        self.asked += 1
        n = self.asked
        match step:
            case "soon":
                self.soon.append(n)
                db.soon(self.row(n, soon=True))
            case "write" | "long" | "fails" | "twice":
                work = {"fails": self.failing(n), "twice": self.twice(n)}.get(step, self.row(n))
                self.before[n] = len(self.soon)
                self.going[n] = asyncio.ensure_future(self.written(db, n, work, step == "long"))
                await asyncio.sleep(0)
            case "full":
                self.full = not self.full
            case "cancel" if self.going:
                self.going.popitem()[1].cancel()
            case "turn":
                await asyncio.sleep(0)
            case "pause":
                await asyncio.to_thread(int)
            case "wait":
                await asyncio.gather(*self.going.values(), return_exceptions=True)

    async def written(self, db: Database, n: int, work: Callable[[sqlite3.Connection], Any], long: bool) -> None:
        try:
            await db.write(work, long=long)
        except (Problem, sqlite3.IntegrityError, ValueError):
            self.refused.add(n)
        else:
            self.kept.add(n)

    def row(self, n: int, *, soon: bool = False) -> Callable[[sqlite3.Connection], Any]:
        def work(connection: sqlite3.Connection) -> None:
            if self.full:
                raise sqlite3.OperationalError("database or disk is full")
            if not soon and not numbers(connection).issuperset(self.soon[: self.before[n]]):
                self.alone.append(n)
            connection.execute("INSERT INTO numbers VALUES (?, ?)", (n, soon))

        return work

    def twice(self, n: int) -> Callable[[sqlite3.Connection], Any]:
        def work(connection: sqlite3.Connection) -> None:
            self.row(n)(connection)
            self.row(n)(connection)

        return work

    def failing(self, n: int) -> Callable[[sqlite3.Connection], Any]:
        def work(connection: sqlite3.Connection) -> None:
            self.row(n)(connection)
            raise ValueError

        return work

    def check(self, found: set[int], *, crashed: bool = False) -> None:
        kept, refused = (self.acknowledged, self.gone) if crashed else (self.kept, self.refused)
        assert kept <= found, "acknowledged, and not there"
        assert not found & refused, "refused, and there"
        assert not self.alone, "what was to be written soon came later"
        for n in found & self.before.keys():
            assert found.issuperset(self.soon[: self.before[n]]), f"{n} came later, and is there alone"


def numbers(connection: sqlite3.Connection) -> set[int]:
    return {row[0] for row in connection.execute("SELECT n FROM numbers")}


@settings(max_examples=60, deadline=None)
@given(steps=LIVES)
def test_what_is_there_after_a_crash_is_what_was_said(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Life(Path(folder)).run(["write", *steps]))

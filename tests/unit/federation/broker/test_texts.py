"""How much is read to forget texts, for which whoever writes waits; and that the loop waits for none of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from federation.broker.store import sqlite
from federation.broker.store.sqlite import SqliteStore
from federation.broker.store.texts import TextRows

NOW = 1_795_000_000


class Counted:
    """A database in memory that counts the steps of SQLite."""

    def __init__(self) -> None:
        self.connection, self.steps = sqlite3.connect(":memory:", isolation_level=None), 0
        self.connection.row_factory = sqlite3.Row
        for script in sorted((Path(sqlite.__file__).parent / "migrations").glob("*.sql")):
            self.connection.executescript(script.read_text())
        self.connection.set_progress_handler(self._count, 1)

    def _count(self) -> int:
        self.steps += 1
        return 0

    async def write(self, work: Callable[[sqlite3.Connection], Any], *, long: bool) -> Any:
        return work(self.connection)


async def steps(orders: int) -> int:
    """Steps to look at the next texts, of which there are none, after that many orders were found to be pinned."""
    database = Counted()
    with closing(database.connection):
        return await _steps(database, orders)


async def _steps(database: Counted, orders: int) -> int:
    rows = TextRows()
    rows._database = database  # type: ignore[assignment]
    names = [(str(number),) for number in range(orders)]
    database.connection.executemany(
        "INSERT INTO uses (quote_id, order_id) VALUES (?, ?)", [(one, one) for (one,) in names]
    )
    database.connection.executemany("INSERT INTO pinned_quotes (quote_id) VALUES (?)", names)
    assert await rows.prune_texts(NOW, 10) == 0
    database.steps = 0
    assert await rows.prune_texts(NOW, 10) == 0
    return database.steps


class Beside:
    """Notes whether what is asked of a database runs beside the loop."""

    def __init__(self) -> None:
        self.long: list[bool] = []

    async def write(self, work: object, *, long: bool = False) -> list[str]:
        self.long.append(long)
        return []


@pytest.mark.asyncio
async def test_what_grows_with_what_is_kept_runs_beside_the_loop() -> None:
    beside = Beside()
    store = SqliteStore(beside)  # type: ignore[arg-type]
    for prune in (store.prune_quotes, store.prune_texts, store.prune_tokens, store.prune_chains):
        await prune(NOW, 100)
    await store.prune_waiting(NOW)
    assert len(beside.long) >= 5
    assert all(beside.long)


@pytest.mark.asyncio
async def test_orders_are_looked_through_once_for_all_texts() -> None:
    assert await steps(1_000) == await steps(10)

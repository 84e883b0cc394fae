"""How much is read to find the leases that may be forgotten: whoever buys waits for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from operators.store.forgetting import forget_ended
from operators.store.tables import MIGRATIONS

NOW = 1_795_000_000


def steps(made_at: list[int]) -> int:
    """Steps of SQLite to find that of leases made at these times, all over, none ended long enough ago."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        return _steps(connection, made_at)


def _steps(connection: sqlite3.Connection, made_at: list[int]) -> int:
    counted = [0]
    connection.executescript("".join(MIGRATIONS))
    rows = [(str(place), at, b"no lease: never to be read") for place, at in enumerate(made_at)]
    connection.executemany("INSERT INTO leases (id, broker, created_at, body, over) VALUES (?, 'b', ?, ?, 1)", rows)

    def count() -> int:
        counted[0] += 1
        return 0

    connection.set_progress_handler(count, 1)
    assert forget_ended(connection, NOW, 10) == 0
    return counted[0]


def test_what_is_kept_is_not_looked_through_for_what_is_old() -> None:
    assert steps([NOW] * 300) == steps([NOW] * 3_000)

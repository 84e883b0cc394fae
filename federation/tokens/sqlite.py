"""A replay filter in SQLite: what was seen stays seen over a restart."""

from __future__ import annotations

import sqlite3
from typing import Final

from federation.node.sqlite import Database
from federation.tokens.replay import replay_key

# In the migrations of every store that keeps a filter.
TABLE: Final = """
CREATE TABLE replay (key BLOB PRIMARY KEY, until_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX replay_by_end ON replay (until_s);
"""
SWEEP_MAX: Final = 64


class ReplayRows:
    """Implements `Replay` over a database that has `TABLE`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def first(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """See `Replay.first`. What has ended is swept away a few rows at a time, so that no call pays for all."""
        key = replay_key(role, iss, jti)

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute(
                "DELETE FROM replay WHERE key IN (SELECT key FROM replay WHERE until_s < ? LIMIT ?)", (now, SWEEP_MAX)
            )
            row = "INSERT OR IGNORE INTO replay (key, until_s) VALUES (?, ?)"
            return connection.execute(row, (key, until)).rowcount == 1

        return await self._database.write(work)

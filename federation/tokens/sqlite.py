"""A replay filter in SQLite: what was seen stays seen over a restart."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

from federation.node.sqlite import Database
from federation.tokens.replay import Seen, replay_key

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
        return await self._database.write(lambda connection: _keep(connection, key, until, now))


class ProofRows:
    """Implements `Replay` for proofs, of requests and of tokens that are filed in the same database: decided in memory,
    and on disk together with the first thing that the request itself writes there. So nothing that it changed, and no
    token, outlives the memory of its proof.

    The database is this process's alone, so what was loaded from it once is all that there is.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._seen = database, Seen()
        self._loading: asyncio.Lock | None = asyncio.Lock()

    async def first(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """See `Replay.first`."""
        if self._loading is not None:
            await self._load(self._loading, now)
        if not self._seen.add(role, iss, jti, until=until, now=now):
            return False
        key = replay_key(role, iss, jti)
        self._database.soon(lambda connection: _keep(connection, key, until, now))
        return True

    async def _load(self, loading: asyncio.Lock, now: int) -> None:
        query = "SELECT key, until_s FROM replay WHERE until_s >= ?"
        async with loading:
            if self._loading is not None:
                for key, until in await self._database.read(lambda c: c.execute(query, (now,)).fetchall()):
                    self._seen.restore(bytes(key), until)
                self._loading = None


def _keep(connection: sqlite3.Connection, key: bytes, until: int, now: int) -> bool:
    sweep = "DELETE FROM replay WHERE key IN (SELECT key FROM replay WHERE until_s < ? LIMIT ?)"
    connection.execute(sweep, (now, SWEEP_MAX))
    row = "INSERT OR IGNORE INTO replay (key, until_s) VALUES (?, ?)"
    return connection.execute(row, (key, until)).rowcount == 1

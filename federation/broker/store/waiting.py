"""Quotes that are not answered yet: `WaitingStore` over SQLite."""

from __future__ import annotations

import sqlite3

import msgspec

from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.waiting import Waiting
from federation.broker.store.claims import bind
from federation.node.sqlite import Database

_DECODER = msgspec.json.Decoder(Waiting)


class WaitingRows:
    """Implements `WaitingStore`."""

    _database: Database

    async def put_waiting(self, waiting: Waiting, claim: Claim | None = None) -> bool:
        """See `WaitingStore.put_waiting`."""
        return await self._database.write(lambda connection: _put(connection, waiting, claim))

    async def get_waiting(self, buyer: str, quote_id: str) -> Waiting | None:
        """See `WaitingStore.get_waiting`."""
        query = "SELECT body FROM waiting WHERE id = ? AND buyer = ?"
        row = await self._database.read(lambda connection: connection.execute(query, (quote_id, buyer)).fetchone())
        return None if row is None else _DECODER.decode(row["body"])

    async def open_waiting(self) -> tuple[Waiting, ...]:
        """See `WaitingStore.open_waiting`."""
        query = "SELECT body FROM waiting WHERE open = 1 ORDER BY id"
        rows = await self._database.read(lambda connection: connection.execute(query).fetchall())
        return tuple(_DECODER.decode(row["body"]) for row in rows)

    async def prune_waiting(self, before_s: int) -> None:
        """See `WaitingStore.prune_waiting`."""
        query = "DELETE FROM waiting WHERE open = 0 AND beat_s < ?"
        await self._database.write(lambda connection: _done(connection.execute(query, (before_s,))), long=True)


def _put(connection: sqlite3.Connection, waiting: Waiting, claim: Claim | None) -> bool:
    body = msgspec.json.encode(waiting)
    row = (waiting.buyer, waiting.version, waiting.open, waiting.beat_s, body, waiting.id)
    if waiting.version == 1:
        connection.execute(
            "INSERT INTO waiting (buyer, version, open, beat_s, body, id) VALUES (?, ?, ?, ?, ?, ?)", row
        )
        if claim is not None:
            bind(connection, claim, waiting.id, waiting.beat_s)
        return True
    update = "UPDATE waiting SET buyer = ?, version = ?, open = ?, beat_s = ?, body = ? WHERE id = ? AND version = ?"
    return connection.execute(update, (*row, waiting.version - 1)).rowcount == 1


def _done(_: sqlite3.Cursor) -> None:
    """A cursor is of no use to another thread."""

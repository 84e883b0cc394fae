"""Mandates that were taken back: `Revocations` over SQLite."""

from __future__ import annotations

import sqlite3

from federation.node.sqlite import Database
from schemas.problem import Outcome, Problem
from schemas.segment import Hash


class RevocationRows:
    """Implements `Revocations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revoke(self, buyer: str, mandate_h: Hash, now: int) -> int:
        """See `Revocations.revoke`."""
        return await self._database.write(lambda connection: _revoke(connection, buyer, mandate_h, now))

    async def revoked(self, buyer: str, mandate_h: Hash) -> bool:
        """See `Revocations.revoked`."""
        return await self._database.read(lambda connection: _at(connection, buyer, mandate_h) is not None)


def check_in_force(connection: sqlite3.Connection, buyer: str, mandate_h: Hash) -> None:
    """Within the transaction of an order, so that none begins after the revocation. Raises POLICY_DENIED."""
    if _at(connection, buyer, mandate_h) is not None:
        raise Problem("POLICY_DENIED", "the mandate was revoked", field="mandate", outcome=Outcome.NONE)


def _revoke(connection: sqlite3.Connection, buyer: str, mandate_h: Hash, now: int) -> int:
    connection.execute(
        "INSERT OR IGNORE INTO revocations (buyer, mandate_h, at_s) VALUES (?, ?, ?)", (buyer, mandate_h, now)
    )
    at = _at(connection, buyer, mandate_h)
    assert at is not None, "just written"
    return at


def _at(connection: sqlite3.Connection, buyer: str, mandate_h: Hash) -> int | None:
    query = "SELECT at_s FROM revocations WHERE buyer = ? AND mandate_h = ?"
    row = connection.execute(query, (buyer, mandate_h)).fetchone()
    return None if row is None else int(row["at_s"])

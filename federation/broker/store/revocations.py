"""Mandates that were taken back: `Revocations` over SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from federation.node.sqlite import Database
from schemas.problem import Outcome, Problem
from schemas.segment import Hash


class RevocationRows:
    """Implements `Revocations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def revoke(self, issuers: Collection[str], mandate_h: Hash, now: int) -> int:
        """See `Revocations.revoke`."""
        return await self._database.write(lambda connection: _revoke(connection, issuers, mandate_h, now))

    async def revoked(self, issuer: str, mandate_h: Hash) -> bool:
        """See `Revocations.revoked`."""
        return await self._database.look(lambda connection: _at(connection, issuer, mandate_h) is not None)


def check_in_force(connection: sqlite3.Connection, issuer: str, mandate_h: Hash) -> None:
    """Within the transaction of an order, so that none begins after the revocation. Raises POLICY_DENIED."""
    if _at(connection, issuer, mandate_h) is not None:
        raise Problem("POLICY_DENIED", "the mandate was revoked", field="mandate", outcome=Outcome.NONE)


def _revoke(connection: sqlite3.Connection, issuers: Collection[str], mandate_h: Hash, now: int) -> int:
    connection.executemany(
        "INSERT OR IGNORE INTO revoked (mandate_h, issuer, at_s) VALUES (?, ?, ?)",
        [(mandate_h, issuer, now) for issuer in issuers],
    )
    found = [at for issuer in issuers if (at := _at(connection, issuer, mandate_h)) is not None]
    assert len(found) == len(issuers) > 0, "just written"
    return min(found)


def _at(connection: sqlite3.Connection, issuer: str, mandate_h: Hash) -> int | None:
    """Since when it counts no more; rows without an issuer are of a time when it was not written down."""
    query = "SELECT MIN(at_s) AS at_s FROM revoked WHERE mandate_h = ? AND issuer IN (?, '')"
    row = connection.execute(query, (mandate_h, issuer)).fetchone()
    return None if row["at_s"] is None else int(row["at_s"])

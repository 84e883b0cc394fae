"""Idempotency keys: `ClaimStore` over SQLite."""

from __future__ import annotations

import sqlite3

from federation.broker.quotes.protocols import Claim
from federation.node.sqlite import Database
from schemas.problem import Outcome, Problem


class ClaimRows:
    """Implements `ClaimStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        """See `ClaimStore.claim`."""
        return await self._database.write(lambda connection: _claim(connection, claim, now_s))

    async def prune_claims(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_claims`."""
        return await self._database.write(lambda connection: prune_claims(connection, before_s, limit))

    async def answer(self, claim: Claim, answer_id: str) -> None:
        """See `ClaimStore.answer`."""
        await self._database.write(lambda connection: bind(connection, claim, answer_id))


def prune_claims(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    """Forget keys that were taken before a Unix second, the first first."""
    old = "SELECT buyer, key FROM claims WHERE at_s < ? ORDER BY at_s LIMIT ?"
    gone = connection.execute(f"DELETE FROM claims WHERE (buyer, key) IN ({old})", (before_s, limit))  # noqa: S608
    return gone.rowcount


def _claim(connection: sqlite3.Connection, claim: Claim, now_s: int) -> str | None:
    row = _find(connection, claim)
    if row is None:
        connection.execute(
            "INSERT INTO claims (buyer, key, digest, at_s) VALUES (?, ?, ?, ?)",
            (claim.buyer, claim.key, claim.digest, now_s),
        )
        return None
    _check(row, claim)
    return None if row["answer"] is None else str(row["answer"])


def bind(connection: sqlite3.Connection, claim: Claim, answer_id: str) -> None:
    """Make `answer_id` the answer of a claim, taking the claim where it was not yet. The first answer stays."""
    row = _find(connection, claim)
    if row is not None:
        _check(row, claim)
    connection.execute(
        "INSERT INTO claims (buyer, key, digest, answer, at_s) VALUES (?, ?, ?, ?, 0) "
        "ON CONFLICT (buyer, key) DO UPDATE SET answer = coalesce(answer, excluded.answer)",
        (claim.buyer, claim.key, claim.digest, answer_id),
    )


def _find(connection: sqlite3.Connection, claim: Claim) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT digest, answer FROM claims WHERE buyer = ? AND key = ?", (claim.buyer, claim.key)
    ).fetchone()
    return row


def _check(row: sqlite3.Row, claim: Claim) -> None:
    if row["digest"] != claim.digest:
        why = "this key came with another request before; use a new key for a new request"
        raise Problem("IDEMPOTENCY_CONFLICT", why, field="Idempotency-Key", outcome=Outcome.NONE)

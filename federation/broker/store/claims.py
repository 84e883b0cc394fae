"""Idempotency keys: `ClaimStore` over SQLite."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from typing import Final

from federation.broker.quotes.protocols import Claim, check_unrefused
from federation.node.sqlite import Database
from schemas.problem import Outcome, Problem

FRESH_MAX: Final = 65_536  # keys taken that may not be on disk yet; those before are, long ago


class ClaimRows:
    """Implements `ClaimStore`.

    A key that is taken is known at once, and on disk together with the first thing that its request writes: an effect
    without its key is never there. A crash before that leaves neither, and the same request may run again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fresh: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        """See `ClaimStore.claim`."""
        name = (claim.buyer, claim.key)
        row = await self._database.look(lambda connection: _find(connection, claim))
        if row is not None:
            self._fresh.pop(name, None)
            _check(row["digest"], claim)
            return None if row["answer"] is None else str(row["answer"])
        if name in self._fresh:
            _check(self._fresh[name], claim)
            return None
        self._database.soon(lambda connection: _take(connection, claim, now_s))
        self._fresh[name] = claim.digest
        if len(self._fresh) > FRESH_MAX:
            self._fresh.popitem(last=False)
        return None

    async def prune_claims(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_claims`."""
        written = list(self._fresh)  # with this commit at the latest
        gone = await self._database.write(lambda connection: prune_claims(connection, before_s, limit))
        for name in written:
            self._fresh.pop(name, None)
        return gone

    async def answer(self, claim: Claim, answer_id: str, now_s: int) -> None:
        """See `ClaimStore.answer`."""
        await self._database.write(lambda connection: bind(connection, claim, answer_id, now_s))


def prune_claims(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    """Forget keys that were taken before a Unix second, the first first."""
    old = "SELECT buyer, key FROM claims WHERE at_s < ? ORDER BY at_s LIMIT ?"
    gone = connection.execute(f"DELETE FROM claims WHERE (buyer, key) IN ({old})", (before_s, limit))  # noqa: S608
    return gone.rowcount


def _take(connection: sqlite3.Connection, claim: Claim, now_s: int) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO claims (buyer, key, digest, at_s) VALUES (?, ?, ?, ?)",
        (claim.buyer, claim.key, claim.digest, now_s),
    )


def bind(connection: sqlite3.Connection, claim: Claim, answer_id: str, now_s: int) -> None:
    """Make `answer_id` the answer of a claim, taking the claim now where it was not yet. The first answer stays.
    Raises IDEMPOTENCY_CONFLICT."""
    row = _find(connection, claim)
    if row is not None:
        _check(row["digest"], claim)
        check_unrefused(row["answer"], answer_id)
    connection.execute(
        "INSERT INTO claims (buyer, key, digest, answer, at_s) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (buyer, key) DO UPDATE SET answer = coalesce(answer, excluded.answer)",
        (claim.buyer, claim.key, claim.digest, answer_id, now_s),
    )


def _find(connection: sqlite3.Connection, claim: Claim) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT digest, answer FROM claims WHERE buyer = ? AND key = ?", (claim.buyer, claim.key)
    ).fetchone()
    return row


def _check(digest: str, claim: Claim) -> None:
    if digest != claim.digest:
        why = "this key came with another request before; use a new key for a new request"
        raise Problem("IDEMPOTENCY_CONFLICT", why, field="Idempotency-Key", outcome=Outcome.NONE)

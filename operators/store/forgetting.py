"""What an operator forgets of leases that ended long ago: their rows, and every document that is theirs alone.

Documents name each other by hash, so those of a lease are found from its last receipt back to its rfq; each that came
from the broker leads to the row that it made. A plain buyer's orders have none, and are found by their lease. Leaves in
the log stay: they are hashes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from federation.evidence.verify.bundle import names_in
from federation.trust.jose import claimed_typ, unverified
from operators.orders.fsm import Lease
from operators.orders.keeping import OrderRow
from schemas.segment import EntityId, Hash, Id
from schemas.token import TYPES

_LEASE, _ORDER = msgspec.json.Decoder(Lease), msgspec.json.Decoder(OrderRow)


def forget_ended(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    """Forget at most `limit` leases that ended before a Unix second, those ordered first first; how many."""
    found = list(_ended(connection, before_s, limit))
    for lease in found:
        documents = _documents(connection, lease)
        rows = {lease.claim, lease.order_id, lease.release_id or ""}
        rows |= {ref for token in documents.values() for ref in _seen(connection, lease.broker, token)}
        rows |= set() if documents else set(_ordered(connection, lease))
        _delete(connection, "documents", "hash", documents)
        for table in ("orders", "quotes", "requests"):
            _delete(connection, table, "id", rows)
        _delete(connection, "leases", "id", [lease.id])
    return len(found)


def _ended(connection: sqlite3.Connection, before_s: int, limit: int) -> Iterator[Lease]:
    query = "SELECT body FROM leases WHERE over = 1 AND created_at < ? ORDER BY rowid"
    for row in connection.execute(query, (before_s,)):
        lease = _LEASE.decode(row[0])
        if lease.history[-1].at < before_s:
            yield lease
            limit -= 1
        if limit <= 0:
            return


def _documents(connection: sqlite3.Connection, lease: Lease) -> dict[Hash, str]:
    """The documents of a lease that are here, by their hashes."""
    waiting = {lease.receipt_h, lease.order_h, lease.quote_h, lease.release_h} - {None}
    found: dict[Hash, str] = {}
    query = "SELECT token FROM documents WHERE hash = ? AND broker = ?"
    while waiting:
        name = waiting.pop() or ""
        row = connection.execute(query, (name, lease.broker)).fetchone()
        if row is not None and name not in found:
            found[name] = str(row[0])
            waiting |= set(names_in(found[name]))
    return found


def _seen(connection: sqlite3.Connection, broker: EntityId, token: str) -> list[Id]:
    """Which row a document of the broker made; that it was seen is forgotten with it."""
    claims: Any = unverified(token, TYPES[claimed_typ(token)].claims)
    if claims.iss != broker:
        return []
    query = "DELETE FROM seen WHERE iss = ? AND jti = ? RETURNING ref"
    return [str(row[0]) for row in connection.execute(query, (broker, claims.jti)).fetchall()]


def _ordered(connection: sqlite3.Connection, lease: Lease) -> Iterator[Id]:
    """The orders of a plain buyer's lease, and their quotes."""
    query = "SELECT body FROM orders WHERE broker = ?"
    for row in connection.execute(query, (lease.broker,)):
        order = _ORDER.decode(row[0])
        if order.product == lease.id:
            yield order.id
            yield order.quote_id or ""


def _delete(connection: sqlite3.Connection, table: str, column: str, values: Iterable[str]) -> None:
    rows = [(value,) for value in values]
    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)  # noqa: S608 - names of this module

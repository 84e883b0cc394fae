"""What an operator forgets of leases that ended long ago: their rows, and every document that is theirs alone.

Documents name each other by hash, so those of a lease are found from its last receipt back to its rfq; each that came
from the broker leads to the row that it made. A plain buyer's orders have none, and are found by their lease. Leaves in
the log stay: they are hashes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Iterator
from typing import Any, Final

import msgspec

from federation.evidence.verify.bundle import names_in
from federation.trust.jose import claimed_typ, unverified
from operators.orders.fsm import Lease
from operators.orders.keeping import OrderRow
from schemas.segment import EntityId, Hash, Id
from schemas.token import TYPES

YOUNG_MAX: Final = 100
_LEASE, _ORDER = msgspec.json.Decoder(Lease), msgspec.json.Decoder(OrderRow)


def forget_ended(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    """Forget at most `limit` leases that ended before a Unix second, those ordered first first; how many."""
    found = list(_ended(connection, before_s, limit))
    plain: dict[EntityId, set[Id]] = {}
    for lease in found:
        documents = _documents(connection, lease)
        rows = {lease.claim, lease.order_id, lease.release_id or ""}
        rows |= {ref for token in documents.values() for ref in _seen(connection, lease.broker, token)}
        if not documents:
            plain.setdefault(lease.broker, set()).add(lease.id)
        _delete(connection, "documents", "hash", documents)
        _delete_rows(connection, rows)
        _delete(connection, "leases", "id", [lease.id])
    for buyer, products in plain.items():
        _delete_rows(connection, set(_ordered(connection, buyer, products)))
    return len(found)


def _ended(connection: sqlite3.Connection, before_s: int, limit: int) -> Iterator[Lease]:
    """Rows lie in the order in which they were first written: behind so many young ones all are, so nobody reads on. A
    clock that was ahead once makes some of them look young."""
    young = 0
    for created_at, over, body in connection.execute("SELECT created_at, over, body FROM leases ORDER BY rowid"):
        young = young + 1 if created_at >= before_s else 0
        if limit <= 0 or young > YOUNG_MAX:
            return
        if young or not over:
            continue
        lease = _LEASE.decode(body)
        if lease.history[-1].at < before_s:
            yield lease
            limit -= 1


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


def _ordered(connection: sqlite3.Connection, buyer: EntityId, products: Container[Id]) -> Iterator[Id]:
    """The orders of a plain buyer's leases, and their quotes: all its orders are looked through, once."""
    query = "SELECT body FROM orders WHERE broker = ?"
    for row in connection.execute(query, (buyer,)):
        order = _ORDER.decode(row[0])
        if order.product in products:
            yield order.id
            yield order.quote_id or ""


def _delete_rows(connection: sqlite3.Connection, ids: Iterable[Id]) -> None:
    rows = [*ids]
    for table in ("orders", "quotes", "requests"):
        _delete(connection, table, "id", rows)


def _delete(connection: sqlite3.Connection, table: str, column: str, values: Iterable[str]) -> None:
    rows = [(value,) for value in values]
    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)  # noqa: S608 - names of this module

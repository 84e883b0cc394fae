"""The orders' store over SQLite: a batch is one transaction, a row its JSON beside the columns that are searched."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from federation.node.sqlite import Database
from federation.sonata.delivery import Letter
from operators.inventory.ledger import Claim
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Batch, CancelRow, HubRow, Live, OrderRow, Seen, Told
from operators.store.forgetting import forget_ended
from operators.store.lately import LATE_MAX, Lately
from schemas.lease import TERMINAL, State
from schemas.segment import EntityId, Hash, Id

T = TypeVar("T")
ROWS_MAX: Final = 10_000  # of one list; what is older is found by id or external id
BATCH: Final = 500  # ids in one statement
LETTERS_AT_ONCE: Final = 50  # events of one hub looked at together
LETTERS_OF_HUB_MAX: Final = 500  # that one hub may leave lying
WAITING: Final = (State.ASKED, State.QUOTED, State.HELD)
LOST: Final = (State.EXPIRED, State.DECLINED)
NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
DECODERS: Final[Mapping[type, Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (Quote, Lease, HubRow, OrderRow, CancelRow, Claim)
}


class SqliteStore:
    """`Store` in one `Database`, with the last `late_max` rows in memory too."""

    def __init__(self, database: Database, late_max: int = LATE_MAX) -> None:
        self._database, self._lately = database, Lately(late_max)

    async def commit(self, batch: Batch) -> None:
        """Write all of it or nothing. Raises `UNAVAILABLE` where it cannot."""
        try:
            await self._database.write(lambda connection: _write(connection, batch))
        except asyncio.CancelledError:
            self._lately.clear()  # it is written all the same
            raise
        self._lately.note(batch)

    async def live(self) -> Live:
        """Quotes that are ASKED, QUOTED or HELD, leases not yet RELEASED or FAILED, every claim, every hub."""

        def read(connection: sqlite3.Connection) -> Live:
            quotes = _rows(connection, Quote, f"quotes WHERE state IN ({_marks(WAITING)})", WAITING)
            leases = _rows(connection, Lease, "leases WHERE NOT over", ())
            claims, hubs = _rows(connection, Claim, "claims", ()), _rows(connection, HubRow, "hubs", ())
            return Live(quotes, leases, claims, hubs)

        return await self._database.read(read)

    async def seen(self, iss: EntityId, jti: str) -> Seen | None:
        """The document of this issuer and `jti`, if it had an effect."""

        def read(connection: sqlite3.Connection) -> Seen | None:
            row = connection.execute("SELECT * FROM seen WHERE iss = ? AND jti = ?", (iss, jti)).fetchone()
            return None if row is None else Seen(*row)

        return await self._database.look(read)

    async def quote(self, quote_id: Id) -> Quote | None:
        """One quote."""
        return self._lately.find(Quote, quote_id) or await self._one(Quote, "quotes WHERE id = ?", quote_id)

    async def quote_by_hash(self, quote_h: Hash) -> Quote | None:
        """The quote whose document has this hash."""
        return self._lately.find(Quote, quote_h) or await self._one(Quote, "quotes WHERE hash = ?", quote_h)

    async def lease(self, product: Id) -> Lease | None:
        """One lease."""
        return await self._one(Lease, "leases WHERE id = ?", product)

    async def order(self, order_id: Id) -> OrderRow | None:
        """One order."""
        return self._lately.find(OrderRow, order_id) or await self._one(OrderRow, "orders WHERE id = ?", order_id)

    async def cancel(self, cancel_id: Id) -> CancelRow | None:
        """One cancellation."""
        return await self._one(CancelRow, "cancels WHERE id = ?", cancel_id)

    async def request(self, row_id: Id) -> bytes:
        """The request that a quote, order or cancellation came with, as it came."""
        if (late := self._lately.find(bytes, row_id)) is not None:
            return late
        found = await self._database.look(
            lambda connection: connection.execute("SELECT body FROM requests WHERE id = ?", (row_id,)).fetchone()
        )
        assert found is not None, f"row {row_id} was written with its request"
        return bytes(found[0])

    async def requests(self, row_ids: Sequence[Id]) -> Mapping[Id, bytes]:
        """The requests of many rows."""
        return await self._database.read(lambda connection: _requests(connection, row_ids))

    async def document(self, document_h: Hash, broker: EntityId) -> str | None:
        """A document that this broker may read."""
        query = "SELECT token FROM documents WHERE hash = ? AND broker = ?"
        found = await self._database.look(lambda c: c.execute(query, (document_h, broker)).fetchone())
        return None if found is None else str(found[0])

    async def quotes(self, broker: EntityId, external_id: str | None) -> Sequence[Quote]:
        """A broker's quotes, oldest first."""
        return await self._database.read(lambda c: _of(c, Quote, "quotes", broker, external_id))

    async def orders(self, broker: EntityId, external_id: str | None) -> Sequence[OrderRow]:
        """A broker's orders, oldest first."""
        return await self._database.read(lambda c: _of(c, OrderRow, "orders", broker, external_id))

    async def cancels(self, broker: EntityId) -> Sequence[CancelRow]:
        """A broker's cancellations, oldest first."""
        return await self._database.read(lambda c: _of(c, CancelRow, "cancels", broker, None))

    async def leases(self, broker: EntityId) -> Sequence[Lease]:
        """A broker's leases, oldest first, those that are over included."""
        return await self._database.read(lambda c: _of(c, Lease, "leases", broker, None))

    async def prune(self, before_s: int, limit: int) -> int:
        """Forget quotes that came to nothing before this second, at most `limit`, with what belongs to them alone; how
        many."""
        gone = await self._database.write(lambda connection: _prune(connection, before_s, limit), long=True)
        self._lately.drop(name for row in gone for name in row if name is not None)
        return len(gone)

    async def prune_ended(self, before_s: int, limit: int) -> int:
        """Forget leases that ended before this second, at most `limit`, with what belongs to them alone; how many."""
        gone = await self._database.write(lambda connection: forget_ended(connection, before_s, limit), long=True)
        self._lately.clear()
        return gone

    async def letters(self) -> Sequence[Letter]:
        """Events that were not delivered yet, the oldest first: see `Outbox`."""
        each = "SELECT *, row_number() OVER (PARTITION BY hub ORDER BY seq) AS place FROM letters"
        query = f"SELECT seq, hub, url, body, at FROM ({each}) WHERE place <= ? ORDER BY seq"  # noqa: S608
        found = await self._database.read(lambda c: c.execute(query, (LETTERS_AT_ONCE,)).fetchall())
        return [Letter(*row) for row in found]

    async def forget(self, seqs: Sequence[int]) -> None:
        """Events that need no telling any more."""
        rows = [(seq,) for seq in seqs]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM letters WHERE seq = ?", rows)

        await self._database.write(work)

    async def _one(self, kind: type[T], source: str, key: str) -> T | None:
        found = await self._database.look(lambda connection: _rows(connection, kind, source, (key,)))
        return found[0] if found else None


def _rows(connection: sqlite3.Connection, kind: type[T], source: str, values: Sequence[object]) -> tuple[T, ...]:
    decoder = DECODERS[kind]
    # `source` is one of the constants of this module, never input.
    rows = connection.execute(f"SELECT body FROM {source}", tuple(values))  # noqa: S608
    return tuple(decoder.decode(row[0]) for row in rows)


def _of(
    connection: sqlite3.Connection, kind: type[T], table: str, broker: EntityId, external_id: str | None
) -> tuple[T, ...]:
    """The youngest rows of a broker, oldest first."""
    by_id, values = ("", (broker,)) if external_id is None else (" AND external_id = ?", (broker, external_id))
    source = f"{table} WHERE broker = ?{by_id} ORDER BY rowid DESC LIMIT {ROWS_MAX}"
    return _rows(connection, kind, source, values)[::-1]


def _requests(connection: sqlite3.Connection, row_ids: Sequence[Id]) -> dict[Id, bytes]:
    found: dict[Id, bytes] = {}
    for first in range(0, len(row_ids), BATCH):
        some = row_ids[first : first + BATCH]
        query = f"SELECT id, body FROM requests WHERE id IN ({_marks(some)})"  # noqa: S608
        found |= {row[0]: bytes(row[1]) for row in connection.execute(query, tuple(some))}
    return found


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _write(connection: sqlite3.Connection, batch: Batch) -> None:
    for quote in batch.quotes:
        first = {"broker": quote.broker, "external_id": quote.external_id, "rfq_hash": quote.rfq_h}
        hashed = {"hash": quote.hash} if quote.state in WAITING else {}
        _put(connection, "quotes", quote, first | {"created_at": quote.created_at}, {"state": quote.state, **hashed})
    for lease in batch.leases:
        over = {"over": 1} if lease.state in TERMINAL else {}
        _put(connection, "leases", lease, {"broker": lease.broker, "created_at": lease.created_at}, over)
    for order in batch.orders:
        by = {"broker": order.broker, "external_id": order.external_id, "created_at": order.created_at}
        _put(connection, "orders", order, by)
    for cancel in batch.cancels:
        _put(connection, "cancels", cancel, {"broker": cancel.broker})
    for claim in batch.claims:
        _put(connection, "claims", claim)
    connection.executemany("DELETE FROM claims WHERE id = ?", [(claim_id,) for claim_id in batch.freed])
    connection.executemany("INSERT OR IGNORE INTO documents VALUES (?, ?, ?)", batch.documents)
    connection.executemany("INSERT INTO seen VALUES (?, ?, ?, ?)", batch.seen)
    connection.executemany("INSERT INTO requests VALUES (?, ?)", batch.requests)
    for hub in batch.hubs:
        _put(connection, "hubs", hub)
    for hub_id in batch.unhubbed:
        connection.execute("DELETE FROM hubs WHERE id = ?", (hub_id,))
        connection.execute("DELETE FROM letters WHERE hub = ?", (hub_id,))
    _tell(connection, batch.told)


def _tell(connection: sqlite3.Connection, told: Sequence[Told]) -> None:
    """Keep what is to be told; of a hub that takes nothing, the oldest go."""
    connection.executemany("INSERT INTO letters (hub, url, body, at) VALUES (?, ?, ?, ?)", told)
    for hub in {one.hub for one in told}:
        kept = "SELECT seq FROM letters WHERE hub = ? ORDER BY seq DESC LIMIT -1 OFFSET ?"
        connection.execute(f"DELETE FROM letters WHERE seq IN ({kept})", (hub, LETTERS_OF_HUB_MAX))  # noqa: S608


def _put(
    connection: sqlite3.Connection,
    table: str,
    row: Any,
    first: Mapping[str, object] = NOTHING,
    changing: Mapping[str, object] = NOTHING,
) -> None:
    """A row with its columns: those that stay as they were at first, and those that may change."""
    statement = _upsert(table, tuple(first), tuple(changing))
    connection.execute(statement, (row.id, *first.values(), *changing.values(), msgspec.json.encode(row)))


@cache
def _upsert(table: str, first: tuple[str, ...], changing: tuple[str, ...]) -> str:
    """Insert, or replace: neither the order in which rows were first written changes, nor an index that need not."""
    names = ("id", *first, *changing, "body")
    update = ", ".join(f"{name} = excluded.{name}" for name in (*changing, "body"))
    return (  # names are those of the callers above, never input
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({_marks(names)}) "  # noqa: S608
        f"ON CONFLICT (id) DO UPDATE SET {update}"
    )


def _prune(connection: sqlite3.Connection, before_s: int, limit: int) -> list[tuple[Id, Hash | None]]:
    """The ids of the quotes that are gone, and the hashes of their documents."""
    ended_at = "json_extract(CAST(body AS TEXT), '$.history[#-1].at')"  # of one that waited for a person, days later
    query = (
        f"SELECT id, hash, rfq_hash, broker, external_id FROM quotes WHERE state IN ({_marks(LOST)}) "  # noqa: S608
        f"AND created_at < ? AND {ended_at} < ? LIMIT ?"
    )
    lost = connection.execute(query, (*LOST, before_s, before_s, limit)).fetchall()
    ids = [(row["id"],) for row in lost]
    connection.executemany("DELETE FROM requests WHERE id = ?", ids)
    # An rfq's jti is the external id of its quote.
    named = [(row["broker"], row["external_id"], row["id"]) for row in lost]
    connection.executemany("DELETE FROM seen WHERE iss = ? AND jti = ? AND ref = ?", named)
    hashes = [(row[column],) for row in lost for column in ("hash", "rfq_hash")]
    connection.executemany("DELETE FROM documents WHERE hash = ?", hashes)
    connection.executemany("DELETE FROM quotes WHERE id = ?", ids)
    return [(row["id"], row["hash"]) for row in lost]

"""End-to-end quotes: `QuoteStore` over SQLite."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import structs

from federation.broker.quotes.basis import NO_TEXTS
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.store.claims import bind
from federation.broker.store.documents import file_documents, find_document
from federation.broker.store.texts import find_texts, keep_texts
from federation.node.sqlite import Database
from federation.trust.jose import doc_hash
from schemas.lease import State, move
from schemas.segment import Hash

UNORDERED = "state != 'COMMITTED'"  # as the index says it
WHOLE = "SELECT state, order_id, body FROM quotes JOIN quote_bodies USING (id)"
RECENT_MAX: Final = 64  # quotes that may be ordered any moment
_DECODER = msgspec.json.Decoder(StoredQuote)


class QuoteRows:
    """Implements `QuoteStore`.

    A body never changes, so those of the latest quotes need not be read to order them; their states are, every time.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._recent: OrderedDict[str, StoredQuote] = OrderedDict()

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Mapping[Hash, str] = NO_TEXTS) -> None:
        """See `QuoteStore.put_quote`."""

        def work(connection: sqlite3.Connection) -> None:
            keep_texts(connection, texts, quote.claims.iat)
            _put(connection, quote, claim)

        await self._database.write(work)
        self._recent[quote.id] = quote
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)

    async def get_texts(self, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """See `QuoteStore.get_texts`."""
        return await self._database.read(lambda connection: find_texts(connection, hashes))

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        """See `QuoteStore.get_quote`."""
        known = self._recent.get(quote_id)
        return await self._database.look(lambda connection: _get(connection, buyer, quote_id, known))

    async def quotes_of(self, buyer: str, order_id: str) -> tuple[StoredQuote, ...]:
        """See `EvidenceStore.quotes_of`."""
        return await self._database.read(lambda connection: _of_order(connection, buyer, order_id))

    async def open_quotes(self, since_s: int) -> tuple[StoredQuote, ...]:
        """See `SweepStore.open_quotes`."""
        query = f"{WHOLE} WHERE {UNORDERED} AND state IN (?, ?) AND exp > ?"
        values = (State.HELD, State.QUOTED, since_s)

        def read(connection: sqlite3.Connection) -> tuple[StoredQuote, ...]:
            return tuple(map(_decoded, connection.execute(query, values)))

        return await self._database.read(read)

    async def prune_quotes(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_quotes`."""
        return await self._database.write(lambda connection: _prune(connection, before_s, limit), long=True)

    async def move_quote(self, buyer: str, quote_id: str, present: State, to: State) -> bool:
        """See `QuoteStore.move_quote`. Raises INCOMPATIBLE_STATE for a move that the table of states does not have."""
        move(present, to)
        return await self._database.write(lambda connection: _move(connection, buyer, quote_id, present, to))

    async def get_document(self, buyer: str, document_h: str, agent: str | None = None) -> str | None:
        """See `QuoteStore.get_document`."""
        return await self._database.look(lambda connection: find_document(connection, buyer, document_h, agent))


def _prune(connection: sqlite3.Connection, before_s: int, limit: int) -> int:
    query = f"{WHOLE} WHERE {UNORDERED} AND exp < ? ORDER BY exp LIMIT ?"
    lost = [_decoded(row) for row in connection.execute(query, (before_s, limit))]
    own = [(doc_hash(document), quote.buyer) for quote in lost for document in quote.own_documents()]
    connection.executemany("DELETE FROM documents WHERE hash = ? AND buyer = ?", own)
    connection.executemany("DELETE FROM quotes WHERE id = ?", [(quote.id,) for quote in lost])
    return len(lost)


def _put(connection: sqlite3.Connection, quote: StoredQuote, claim: Claim | None) -> None:
    connection.execute(
        "INSERT INTO quotes (id, buyer, state, order_id, exp) VALUES (?, ?, ?, ?, ?)",
        (quote.id, quote.buyer, quote.state, quote.order, quote.claims.exp),
    )
    body = msgspec.json.encode(quote)
    connection.execute("INSERT INTO quote_bodies (id, body) VALUES (?, ?)", (quote.id, body))
    between = {jws: held.operator for held in quote.held for jws in (held.rfq_jws, held.quote_jws)}
    rows = [(doc_hash(document), between.get(document), document) for document in quote.documents()]
    file_documents(connection, quote.buyer, quote.agent, rows)
    if claim is not None:
        bind(connection, claim, quote.id, quote.claims.iat)


def _get(connection: sqlite3.Connection, buyer: str, quote_id: str, known: StoredQuote | None) -> StoredQuote | None:
    query = WHOLE if known is None else "SELECT state, order_id FROM quotes"
    row = connection.execute(f"{query} WHERE id = ? AND buyer = ?", (quote_id, buyer)).fetchone()
    if row is None:
        return None
    return _decoded(row) if known is None else _standing(known, row)


def _decoded(row: sqlite3.Row) -> StoredQuote:
    return _standing(_DECODER.decode(row["body"]), row)


def _standing(quote: StoredQuote, row: sqlite3.Row) -> StoredQuote:
    return structs.replace(quote, state=State(row["state"]), order=row["order_id"])


def _of_order(connection: sqlite3.Connection, buyer: str, order_id: str) -> tuple[StoredQuote, ...]:
    rows = connection.execute(f"{WHOLE} WHERE order_id = ? AND buyer = ? ORDER BY exp, id", (order_id, buyer))
    return tuple(_decoded(row) for row in rows)


def _move(connection: sqlite3.Connection, buyer: str, quote_id: str, present: State, to: State) -> bool:
    changed = connection.execute(
        "UPDATE quotes SET state = ? WHERE id = ? AND buyer = ? AND state = ?", (to, quote_id, buyer, present)
    )
    return changed.rowcount == 1


def use(connection: sqlite3.Connection, quote_id: str, order_id: str) -> None:
    """Mark a quote as used by an order; the caller has made sure that it may be."""
    connection.execute("UPDATE quotes SET state = ?, order_id = ? WHERE id = ?", (State.COMMITTED, order_id, quote_id))

"""Signed documents by hash, each with the two parties it is between: a buyer of this broker, and an operator.

Beside them the texts that quotes rest on, each kept once for all of them: statements, marks, status lists, rates; and
which chains of statements were believed when.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from federation.broker.authority.filing import Party, Stood
from federation.broker.authority.passes import passes_of
from federation.broker.store.texts import find_texts, keep_texts, pin
from federation.node.sqlite import Database
from federation.trust.jose import doc_hash
from schemas.segment import EntityId, Hash


class DocumentRows:
    """Implements `Filing`, `Chronicle` and what `EvidenceStore` reads of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def file(self, party: Party, operator: EntityId | None, documents: Sequence[str]) -> None:
        """See `Filing.file`."""
        rows = [(doc_hash(document), operator, document) for document in documents]
        query = "INSERT OR IGNORE INTO passes (buyer, mandate_h, iat, hash) VALUES (?, ?, ?, ?)"
        passes = [row for document in documents for row in passes_of(party.buyer, document)]

        def work(connection: sqlite3.Connection) -> None:
            file_documents(connection, party.buyer, party.agent, rows)
            connection.executemany(query, passes)

        await self._database.write(work)

    async def get_documents(self, buyer: str, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """See `EvidenceStore.get_documents`."""
        return await self._database.read(lambda connection: _find(connection, buyer, hashes))

    async def get_passes(self, buyer: str, mandate_h: Hash, since: int, until: int) -> tuple[str, ...]:
        """See `EvidenceStore.get_passes`."""
        query = "SELECT hash FROM passes WHERE buyer = ? AND mandate_h = ? AND iat BETWEEN ? AND ? ORDER BY iat, hash"

        def read(connection: sqlite3.Connection) -> tuple[str, ...]:
            rows = connection.execute(query, (buyer, mandate_h, since, until))
            return tuple(_find(connection, buyer, [row["hash"] for row in rows]).values())

        return await self._database.read(read)

    async def put_chains(self, at: int, chains: Mapping[EntityId, Sequence[str]]) -> None:
        """See `Chronicle.put_chains`."""
        await self._database.write(lambda connection: _put_chains(connection, at, chains))

    async def chains(self, entity: EntityId) -> tuple[Stood, ...]:
        """See `Chronicle.chains`."""
        return await self._database.read(lambda connection: _chains(connection, entity))


def file_documents(
    connection: sqlite3.Connection, buyer: str, agent: str | None, rows: Iterable[tuple[str, str | None, str]]
) -> None:
    """Keep (hash, operator, document) rows for a buyer and, where one asked, for its agent; the same hash again changes
    nothing. `operator` is null for our own."""
    connection.executemany(
        "INSERT OR IGNORE INTO documents (hash, buyer, agent, operator, document) VALUES (?, ?, ?, ?, ?)",
        [(document_h, buyer, agent, operator, document) for document_h, operator, document in rows],
    )


def find_document(connection: sqlite3.Connection, buyer: str, document_h: str, agent: str | None) -> str | None:
    """A document, if this buyer is a party to it; of its agents, only the one that asked."""
    row = connection.execute(
        "SELECT document FROM documents WHERE hash = ? AND buyer = ? AND (? IS NULL OR agent = ?)",
        (document_h, buyer, agent, agent),
    ).fetchone()
    return None if row is None else str(row["document"])


def _find(connection: sqlite3.Connection, buyer: str, hashes: Iterable[Hash]) -> dict[Hash, str]:
    found = ((one, find_document(connection, buyer, one, None)) for one in hashes)
    return {name: document for name, document in found if document is not None}


def _put_chains(connection: sqlite3.Connection, at: int, chains: Mapping[EntityId, Sequence[str]]) -> None:
    for entity, tokens in chains.items():
        texts = {doc_hash(token): token for token in tokens}
        keep_texts(connection, texts, at)
        pin(connection, texts)
        row = (entity, ",".join(doc_hash(token) for token in tokens), at)
        connection.execute("INSERT OR IGNORE INTO standing (entity, chain, at_s) VALUES (?, ?, ?)", row)


def _chains(connection: sqlite3.Connection, entity: EntityId) -> tuple[Stood, ...]:
    query = "SELECT at_s, chain FROM standing WHERE entity = ? ORDER BY at_s, chain"
    rows = [(row["at_s"], row["chain"].split(",")) for row in connection.execute(query, (entity,))]
    texts = find_texts(connection, {name for _, chain in rows for name in chain})
    return tuple(Stood(at, tuple(texts[name] for name in chain)) for at, chain in rows)

"""Signed documents by hash, each with the two parties it is between: a buyer of this broker, and an operator.

Beside them the texts that quotes rest on, each kept once for all of them: statements, marks, status lists, rates.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from schemas.segment import Hash


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


def keep_texts(connection: sqlite3.Connection, texts: Mapping[Hash, str]) -> None:
    """Keep texts under their hashes; the same hash again changes nothing."""
    connection.executemany("INSERT OR IGNORE INTO kept (hash, text) VALUES (?, ?)", texts.items())


def find_texts(connection: sqlite3.Connection, hashes: Iterable[Hash]) -> dict[Hash, str]:
    """Those of the texts that are kept."""
    rows = (connection.execute("SELECT hash, text FROM kept WHERE hash = ?", (one,)).fetchone() for one in hashes)
    return {row["hash"]: row["text"] for row in rows if row is not None}

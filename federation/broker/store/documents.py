"""Signed documents by hash, each with the two parties it is between: a buyer of this broker, and an operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


def file_documents(connection: sqlite3.Connection, buyer: str, rows: Iterable[tuple[str, str | None, str]]) -> None:
    """Keep (hash, operator, document) rows; the same hash again changes nothing. `operator` is null for our own."""
    connection.executemany(
        "INSERT OR IGNORE INTO documents (hash, buyer, operator, document) VALUES (?, ?, ?, ?)",
        [(document_h, buyer, operator, document) for document_h, operator, document in rows],
    )


def find_document(connection: sqlite3.Connection, buyer: str, document_h: str) -> str | None:
    """A document, if this buyer is a party to it."""
    row = connection.execute(
        "SELECT document FROM documents WHERE hash = ? AND buyer = ?", (document_h, buyer)
    ).fetchone()
    return None if row is None else str(row["document"])

"""Signed documents by hash, each with the two parties it is between: a buyer of this broker, and an operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable


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

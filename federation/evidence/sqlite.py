"""A log in SQLite, in the file of the documents that it is about, and what its node remembers as a witness.

Whatever is filed in a table `documents` is queued for the log by a trigger, in the same transaction; deleting it there
later changes nothing here. The tree only ever gets rows at its end. A step of it (the leaves, the hashes above them,
the place in the queue) is one transaction, so a node that was killed goes on exactly where it was.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import Final

from federation.evidence.checkpoint import Checkpoint, leaf_of, write_inclusion
from federation.evidence.protocols import LEAVES_AT_ONCE, Kept
from federation.evidence.tree import NOTHING, Growth, Read, consistency_proof, inclusion_proof, stored
from federation.evidence.witness import AddCheckpoint, Refusal, Remembered, judge
from federation.node.sqlite import Database
from schemas.evidence import Inclusion
from schemas.problem import Problem
from schemas.segment import EntityId, Hash

# In the migrations of every store that files documents; what was filed before is logged too.
TABLES: Final = """
CREATE TABLE log_queue (place INTEGER PRIMARY KEY, hash TEXT NOT NULL) STRICT;
CREATE TABLE log_leaves (hash TEXT PRIMARY KEY, leaf INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE log_nodes (position INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
CREATE TABLE log_tree (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, root BLOB NOT NULL) STRICT;
CREATE TABLE log_checkpoints (kind TEXT PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE logs_witnessed (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TRIGGER log_documents AFTER INSERT ON documents BEGIN INSERT INTO log_queue (hash) VALUES (new.hash); END;
INSERT INTO log_queue (hash) SELECT hash FROM documents;
"""
log = logging.getLogger(__name__)


class LogRows:
    """Implements `LogStore` over a database that has `TABLES`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, at_once: int = LEAVES_AT_ONCE) -> int:
        """See `LogStore.take`."""
        return await self._database.write(lambda connection: _take(connection, at_once), long=True)

    async def tree(self) -> tuple[int, bytes]:
        """See `LogStore.tree`."""
        return await self._database.read(_tree)

    async def checkpoint(self, kind: str) -> Kept | None:
        """See `LogStore.checkpoint`."""

        def read(connection: sqlite3.Connection) -> Kept | None:
            row = connection.execute("SELECT size, note FROM log_checkpoints WHERE kind = ?", (kind,)).fetchone()
            return None if row is None else Kept(row["size"], row["note"])

        return await self._database.read(read)

    async def keep(self, kind: str, kept: Kept) -> None:
        """See `LogStore.keep`."""
        row = "INSERT OR REPLACE INTO log_checkpoints (kind, size, note) VALUES (?, ?, ?)"
        await self._database.write(lambda connection: connection.execute(row, (kind, *kept)).rowcount)

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """See `LogStore.consistency`."""
        return await self._database.read(lambda connection: consistency_proof(_reader(connection), old, new))

    async def inclusions(self, hashes: Sequence[Hash], size: int) -> dict[Hash, Inclusion] | None:
        """See `LogStore.inclusions`."""
        return await self._database.read(lambda connection: _inclusions(connection, hashes, size))

    async def known(self, hashes: Sequence[Hash]) -> bool:
        """See `LogStore.known`."""

        def read(connection: sqlite3.Connection) -> bool:
            query = "SELECT hash FROM log_leaves WHERE hash = ? UNION SELECT hash FROM log_queue WHERE hash = ?"
            return all(connection.execute(query, (one, one)).fetchone() for one in hashes)

        return await self._database.read(read)

    async def witness(self, request: AddCheckpoint, log_key: str | None) -> Checkpoint | Refusal:
        """See `LogStore.witness`."""
        return await self._database.write(lambda connection: _witness(connection, request, log_key))

    async def witnessed(self, entity: EntityId) -> Remembered:
        """See `LogStore.witnessed`."""
        return await self._database.read(lambda connection: _remembered(connection, entity))


def _take(connection: sqlite3.Connection, at_once: int) -> int:
    query = "SELECT place, hash FROM log_queue ORDER BY place LIMIT ?"
    queued = connection.execute(query, (at_once,)).fetchall()
    if not queued:
        return 0
    growth = Growth(_reader(connection), _tree(connection)[0])
    first = stored(growth.size)
    for _, document_h in queued:
        _add(connection, growth, document_h)
    rows = enumerate(growth.nodes, first)
    connection.executemany("INSERT INTO log_nodes (position, hash) VALUES (?, ?)", rows)
    tree = "INSERT OR REPLACE INTO log_tree (one, size, root) VALUES (1, ?, ?)"
    connection.execute(tree, (growth.size, growth.root))
    connection.execute("DELETE FROM log_queue WHERE place <= ?", (queued[-1]["place"],))
    return len(queued)


def _add(connection: sqlite3.Connection, growth: Growth, document_h: str) -> None:
    """A document that is in the tree already, because another party filed it too, is not put there again."""
    try:
        leaf = leaf_of(document_h)
    except Problem:
        log.warning("a document was filed under %r, which is no hash; it is not in the log", document_h)
        return
    row = "INSERT OR IGNORE INTO log_leaves (hash, leaf) VALUES (?, ?)"
    if connection.execute(row, (document_h, growth.size)).rowcount:
        growth.add(leaf)


def _tree(connection: sqlite3.Connection) -> tuple[int, bytes]:
    row = connection.execute("SELECT size, root FROM log_tree").fetchone()
    return (0, NOTHING) if row is None else (row["size"], row["root"])


def _reader(connection: sqlite3.Connection) -> Read:
    def read(wanted: Sequence[int]) -> list[bytes]:
        query = "SELECT hash FROM log_nodes WHERE position = ?"
        return [connection.execute(query, (one,)).fetchone()["hash"] for one in wanted]

    return read


def _inclusions(connection: sqlite3.Connection, hashes: Sequence[Hash], size: int) -> dict[Hash, Inclusion] | None:
    found, read = dict[Hash, Inclusion](), _reader(connection)
    for one in hashes:
        row = connection.execute("SELECT leaf FROM log_leaves WHERE hash = ?", (one,)).fetchone()
        if row is None or row["leaf"] >= size:
            return None
        found[one] = write_inclusion(row["leaf"], inclusion_proof(read, row["leaf"], size))
    return found


def _witness(connection: sqlite3.Connection, request: AddCheckpoint, log_key: str | None) -> Checkpoint | Refusal:
    """Judging and remembering are one transaction: two requests at once cannot both follow the same tree."""
    verdict = judge(request, log_key, _remembered(connection, request.log))
    if isinstance(verdict, Checkpoint):
        row = "INSERT OR REPLACE INTO logs_witnessed (log, size, root) VALUES (?, ?, ?)"
        connection.execute(row, (request.log, verdict.size, verdict.root))
    return verdict


def _remembered(connection: sqlite3.Connection, entity: EntityId) -> Remembered:
    row = connection.execute("SELECT size, root FROM logs_witnessed WHERE log = ?", (entity,)).fetchone()
    return Remembered() if row is None else Remembered(row["size"], row["root"])

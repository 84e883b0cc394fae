"""What a superior knows, on one SQLite file: itself, its keys, its members, the marks it gave, whom it lets give marks.

A key signs from `active_from` until the next one does, and is published until `published_until`; then it is history.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from msgspec import Struct

from federation.trust.keys import PrivateKey, dump_private, load_private
from schemas.entity import Constraints, Jwks

FIRST: Final = """
CREATE TABLE me (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
CREATE TABLE keys (
    kid TEXT PRIMARY KEY, jwk TEXT NOT NULL, made_at INTEGER NOT NULL, active_from INTEGER NOT NULL,
    published_until INTEGER, revoked_at INTEGER, reason TEXT
);
CREATE TABLE members (entity TEXT PRIMARY KEY, body TEXT NOT NULL, changed_at INTEGER NOT NULL);
CREATE TABLE marks (
    idx INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, subject TEXT NOT NULL, kid TEXT NOT NULL,
    token TEXT NOT NULL, iat INTEGER NOT NULL, exp INTEGER NOT NULL, revoked_at INTEGER
);
CREATE INDEX marks_of_subject ON marks (subject, type);
CREATE TABLE issuers (type TEXT NOT NULL, entity TEXT NOT NULL, PRIMARY KEY (type, entity));
"""
MIGRATIONS: Final = (FIRST,)


class Me(Struct, frozen=True, kw_only=True):
    """Who keeps these books. An anchor has no superiors."""

    entity: str
    name: str
    superiors: tuple[str, ...] = ()
    auditor: bool = False


class Enrolled(Struct, frozen=True, kw_only=True):
    """A member as enrolled: the federation keys that this superior vouches for, and what holds for it."""

    entity: str
    jwks: Jwks
    types: tuple[str, ...] = ()
    intermediate: bool = False
    metadata: dict[str, dict[str, Any]] | None = None
    policy: dict[str, dict[str, dict[str, Any]]] | None = None
    constraints: Constraints | None = None


class KeyRow(Struct, frozen=True, kw_only=True):
    """A federation key and its times, Unix seconds."""

    key: Any
    made_at: int
    active_from: int
    published_until: int | None = None
    revoked_at: int | None = None
    reason: str | None = None

    @property
    def private(self) -> PrivateKey:
        """The key itself."""
        assert isinstance(self.key, PrivateKey)
        return self.key

    def published(self, now: int) -> bool:
        """Whether it stands in the configuration."""
        return self.revoked_at is None and (self.published_until is None or now < self.published_until)


class MarkRow(Struct, frozen=True, kw_only=True):
    """A mark that was given; `idx` is its place in the status list."""

    idx: int
    type: str
    subject: str
    token: str
    exp: int
    revoked_at: int | None = None

    def counts(self, now: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and now < self.exp


def read_keys(db: sqlite3.Connection) -> list[KeyRow]:
    """Every key, the newest first."""
    rows = db.execute("SELECT * FROM keys ORDER BY active_from DESC, made_at DESC, kid").fetchall()
    return [
        KeyRow(
            key=load_private(row["jwk"].encode(), row["kid"]),
            made_at=row["made_at"],
            active_from=row["active_from"],
            published_until=row["published_until"],
            revoked_at=row["revoked_at"],
            reason=row["reason"],
        )
        for row in rows
    ]


def write_key(db: sqlite3.Connection, key: PrivateKey, *, now: int, active_from: int) -> None:
    """Add a key that signs from `active_from` on."""
    text = dump_private(key).decode()
    db.execute(
        "INSERT INTO keys (kid, jwk, made_at, active_from) VALUES (?, ?, ?, ?)", (key.kid, text, now, active_from)
    )


def read_marks(db: sqlite3.Connection, where: str = "", *values: Any) -> list[MarkRow]:
    """Marks by index; `where` is a condition with its values."""
    sql = "SELECT idx, type, subject, token, exp, revoked_at FROM marks"
    rows = db.execute(f"{sql} {where and 'WHERE ' + where} ORDER BY idx", values).fetchall()
    return [MarkRow(**dict(row)) for row in rows]


def read_issuers(db: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Per mark type, who may issue it."""
    found: dict[str, list[str]] = {}
    for row in db.execute("SELECT type, entity FROM issuers ORDER BY type, entity"):
        found.setdefault(row["type"], []).append(row["entity"])
    return {mark_type: tuple(entities) for mark_type, entities in found.items()}


def as_text(value: Any) -> str:
    """JSON for a column."""
    return json.dumps(value, sort_keys=True)

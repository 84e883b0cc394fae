"""A superior at work: enrols and removes members, gives and takes back marks, replaces its keys, and signs.

What is published is signed on demand and kept until half of its life, or until anything changes. A mark is signed once,
when it is given. Every change is on disk before it is acknowledged, and shows in the next answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from federation.anchor.books import (
    Enrolled,
    KeyRow,
    MarkRow,
    Me,
    as_text,
    read_issuers,
    read_keys,
    read_marks,
    write_key,
)
from federation.anchor.findings import check_facts
from federation.node.seams import Clock
from federation.node.sqlite import Database
from federation.trust.issue import (
    DAY_S,
    STATUS_TTL_S,
    entity_configuration,
    facts_mark,
    historical_keys,
    jwks,
    plain_mark,
    status_list,
    subordinate_statement,
)
from federation.trust.jose import sign_jws, unverified, verify_jws
from federation.trust.keys import PrivateKey, generate, public_keys
from federation.trust.metadata_policy import merged
from federation.trust.status import INDEX_MAX
from schemas.entity import (
    FACTS_MARK,
    AuditorMetadata,
    FederationEntity,
    HistoricalKey,
    MarkStatus,
    Metadata,
    Revoked,
    StatusIndex,
    TrustMark,
)
from schemas.jurisdiction import Attestation
from schemas.problem import Problem, invalid

T = TypeVar("T")
FETCH, LIST, STATUS, HISTORY = "/federation/fetch", "/federation/list", "/federation/status", "/federation/keys"
MARK, MARKED, MARK_STATUS = "/federation/mark", "/federation/marked", "/federation/mark_status"
STATEMENT_LIFE_S: Final = DAY_S
MARK_LIFE_S_MAX: Final = 90 * DAY_S
STATUS_SIZE: Final = 4096  # a list never tells how many marks there are below this
PUBLISHED_AFTER_S: Final = 2 * DAY_S  # longer than anything that a key signed last, but for marks


class Registrar:
    """One superior over its books; all times are those of `clock`, `make_key` is where keys come from."""

    def __init__(self, database: Database, me: Me, clock: Clock, make_key: Callable[[], PrivateKey] = generate) -> None:
        self.me = me
        self._database, self._clock, self._make_key = database, clock, make_key
        self._signed: dict[str, tuple[str, int]] = {}
        self._members: list[Enrolled] | None = None
        self._changes = 0

    # --- what anybody may read ----------------------------------------------------------------------------------

    async def configuration(self) -> str:
        """The entity configuration of this superior."""

        def sign(db: sqlite3.Connection, now: int) -> str:
            keys = read_keys(db)
            others = [row.private.jwk() for row in keys if row.published(now)]
            return entity_configuration(
                _signer(keys, now),
                self.me.entity,
                self._metadata(),
                now=now,
                life_s=STATEMENT_LIFE_S,
                authorities=self.me.superiors,
                also=others,
                trust_mark_issuers=read_issuers(db) or None,
            )

        return await self._fresh("configuration", sign, STATEMENT_LIFE_S // 2)

    async def statement(self, entity: str) -> str:
        """What this superior says of a member. Raises `NOT_FOUND`, `INVALID_ARGUMENT`."""
        if entity == self.me.entity:
            raise invalid("sub", "of itself an entity speaks in its configuration")
        member = await self._member(entity)

        def sign(db: sqlite3.Connection, now: int) -> str:
            return subordinate_statement(
                _signer(read_keys(db), now),
                self.me.entity,
                entity,
                member.jwks,
                now=now,
                life_s=STATEMENT_LIFE_S,
                metadata=member.metadata,
                policy=member.policy,
                constraints=member.constraints,
                source=self.me.entity + FETCH,
            )

        return await self._fresh(f"statement {entity}", sign, STATEMENT_LIFE_S // 2)

    async def members(self) -> list[Enrolled]:
        """Everybody enrolled, by entity id."""
        if self._members is None:
            sql, changes = "SELECT body FROM members ORDER BY entity", self._changes
            rows = await self._database.read(lambda db: db.execute(sql).fetchall())
            found = [msgspec.json.decode(row["body"], type=Enrolled) for row in rows]
            if changes != self._changes:
                return found
            self._members = found
        return list(self._members)

    async def marks(self) -> list[MarkRow]:
        """Every mark given, by index."""
        return await self._database.read(read_marks)

    async def mark_of(self, mark_type: str, entity: str) -> str:
        """The newest mark of a type about an entity that still counts. Raises `NOT_FOUND`."""
        found = await self._database.read(lambda db: read_marks(db, "type = ? AND subject = ?", mark_type, entity))
        counting = [row for row in found if row.counts(self._clock.now())]
        if not counting:
            raise Problem("NOT_FOUND", f"{entity} has no such mark", field="sub")
        return counting[-1].token

    async def status(self) -> str:
        """The status list of every mark."""

        def sign(db: sqlite3.Connection, now: int) -> str:
            rows = read_marks(db)
            size = max(STATUS_SIZE, rows[-1].idx + 1 if rows else 0)
            revoked = [row.idx for row in rows if row.revoked_at is not None]
            return status_list(
                _signer(read_keys(db), now), self.me.entity, self.me.entity + STATUS, revoked, size, now=now
            )

        return await self._fresh("status", sign, STATUS_TTL_S // 2)

    async def mark_status(self, token: str) -> str:
        """What has become of a mark (section 8.4). Raises `NOT_FOUND` for one that was not given here."""
        index = _index_of(token)
        found = await self._database.read(lambda db: read_marks(db, "idx = ?", index))
        if not found or found[0].token != token:
            raise Problem("NOT_FOUND", "this mark was not given here", field="trust_mark")
        now, keys = self._clock.now(), await self._database.read(read_keys)
        revoked, expired = found[0].revoked_at is not None, now >= found[0].exp
        status = "revoked" if revoked else "expired" if expired else "active"
        claims = MarkStatus(iss=self.me.entity, iat=now, exp=now + STATUS_TTL_S, trust_mark=token, status=status)
        return sign_jws(_signer(keys, now), claims)

    async def history(self) -> str:
        """The keys that are no longer used."""

        def sign(db: sqlite3.Connection, now: int) -> str:
            keys = read_keys(db)
            past = [_historical(row, now) for row in keys if not row.published(now)]
            return historical_keys(_signer(keys, now), self.me.entity, past, now=now)

        return await self._fresh("history", sign, STATEMENT_LIFE_S // 2)

    async def keys(self) -> list[KeyRow]:
        """Every key with its times, the newest first."""
        return await self._database.read(read_keys)

    # --- what the person in charge may do -----------------------------------------------------------------------

    async def enrol(self, member: Enrolled, issues: Iterable[str] = ()) -> None:
        """Vouch for a member from now on, or change what is said of it; `issues` are mark types that it may give."""
        if member.entity == self.me.entity:
            raise invalid("entity", "a superior does not enrol itself")
        if not member.jwks.keys:
            raise invalid("keys", "holds no key; expected the member's public federation keys as a JWK set")
        public_keys(member.jwks)
        if member.policy:
            merged([member.policy])

        def write(db: sqlite3.Connection) -> None:
            body = msgspec.json.encode(member).decode()
            db.execute("REPLACE INTO members VALUES (?, ?, ?)", (member.entity, body, self._clock.now()))
            for mark_type in issues:
                db.execute("INSERT OR IGNORE INTO issuers VALUES (?, ?)", (mark_type, member.entity))

        await self._change(write)

    async def recognise(self, entity: str, mark_type: str) -> None:
        """Let an entity give marks of a type; it may be enrolled here or further below."""
        await self._change(lambda db: db.execute("INSERT OR IGNORE INTO issuers VALUES (?, ?)", (mark_type, entity)))

    async def remove(self, entity: str) -> int:
        """Vouch for a member no longer, and take its marks back; returns how many. Raises `NOT_FOUND`."""

        def write(db: sqlite3.Connection) -> int:
            if db.execute("DELETE FROM members WHERE entity = ?", (entity,)).rowcount == 0:
                raise Problem("NOT_FOUND", f"{entity} is not enrolled here", field="entity")
            db.execute("DELETE FROM issuers WHERE entity = ?", (entity,))
            sql = "UPDATE marks SET revoked_at = ? WHERE subject = ? AND revoked_at IS NULL"
            return db.execute(sql, (self._clock.now(), entity)).rowcount

        return await self._change(write)

    async def mark(
        self, entity: str, mark_type: str, attest: Attestation | None, life_s: int, *, alone: bool = False
    ) -> MarkRow:
        """Give a mark; an auditor need not be the superior of whom it attests. Raises `INVALID_ARGUMENT`.

        Where it is to stand `alone`, the marks of its type that the entity had are taken back with it.
        """
        if not 0 < life_s <= MARK_LIFE_S_MAX:
            raise invalid("days", f"expected at most {MARK_LIFE_S_MAX // DAY_S} days")
        if (mark_type == FACTS_MARK) != (attest is not None):
            raise invalid("facts", f"facts belong to a mark of the type {FACTS_MARK}, and to no other")
        if attest is not None:
            check_facts(attest)
        now = self._clock.now()

        def write(db: sqlite3.Connection) -> MarkRow:
            signer = _signer(read_keys(db), now)
            row = db.execute("SELECT COALESCE(MAX(idx), 0) + 1 AS idx FROM marks").fetchone()
            if row["idx"] > INDEX_MAX:
                raise invalid("marks", f"the status list is full at {INDEX_MAX} marks")
            status = StatusIndex(idx=row["idx"], uri=self.me.entity + STATUS)
            if attest is not None:
                token = facts_mark(signer, self.me.entity, entity, attest, now=now, life_s=life_s, status=status)
            else:
                token = plain_mark(signer, self.me.entity, entity, mark_type, now=now, life_s=life_s, status=status)
            # What it would not accept from others it does not give.
            verify_jws(token, TrustMark, {signer.kid: signer.key.public_key()}, now=now, iss=self.me.entity)
            if alone:
                sql = "UPDATE marks SET revoked_at = ? WHERE type = ? AND subject = ? AND revoked_at IS NULL"
                db.execute(sql, (now, mark_type, entity))
            values = (row["idx"], mark_type, entity, signer.kid, token, now, now + life_s)
            db.execute("INSERT INTO marks VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", values)
            return MarkRow(idx=row["idx"], type=mark_type, subject=entity, token=token, exp=now + life_s)

        return await self._change(write)

    async def revoke_mark(self, index: int) -> None:
        """Take a mark back; readers of the status list know within its ttl. Raises `NOT_FOUND`."""

        def write(db: sqlite3.Connection) -> None:
            sql = "UPDATE marks SET revoked_at = COALESCE(revoked_at, ?) WHERE idx = ?"
            if db.execute(sql, (self._clock.now(), index)).rowcount == 0:
                raise Problem("NOT_FOUND", f"no mark has the index {index}", field="mark")

        await self._change(write)

    async def take_back(self, entity: str) -> int:
        """Take back every mark that an entity has from here; returns how many there were. Raises `NOT_FOUND`."""
        sql = "UPDATE marks SET revoked_at = ? WHERE subject = ? AND revoked_at IS NULL AND exp > ?"
        now = self._clock.now()
        count = await self._change(lambda db: db.execute(sql, (now, entity, now)).rowcount)
        if not count:
            raise Problem("NOT_FOUND", f"{entity} has no mark from here that counts", field="entity")
        return count

    async def rotate(self, overlap_s: int = DAY_S) -> tuple[PrivateKey, int]:
        """Publish a new key now and sign with it after `overlap_s`; returns it and when it begins to sign.

        The former key stays published until nothing that it signed is left, its marks included; then it is history.
        """
        if overlap_s < STATUS_TTL_S:
            raise invalid(
                "overlap", f"expected at least {STATUS_TTL_S} s, for that long superiors are read from caches"
            )
        now, key = self._clock.now(), self._make_key()
        begins = now + overlap_s

        def write(db: sqlite3.Connection) -> tuple[PrivateKey, int]:
            if any(row.active_from > now and row.revoked_at is None for row in read_keys(db)):
                raise Problem("INCOMPATIBLE_STATE", "a rotation is under way; let its key begin to sign first")
            former = _signer(read_keys(db), now)
            last = db.execute("SELECT MAX(exp) AS exp FROM marks WHERE kid = ?", (former.kid,)).fetchone()["exp"] or 0
            # It signs marks until the new key begins, of which nobody can know the life yet.
            until = max(begins + PUBLISHED_AFTER_S, last, begins + MARK_LIFE_S_MAX if self.me.auditor else 0)
            db.execute("UPDATE keys SET published_until = ? WHERE kid = ?", (until, former.kid))
            write_key(db, key, now=now, active_from=begins)
            return key, begins

        return await self._change(write)

    async def revoke_key(self, kid: str, reason: str) -> PrivateKey | None:
        """Use a key no more, at once; returns the one made in its place, where it was the one that signs.

        Its statements verify nowhere any more: members must learn the new key, those of an anchor by hand.
        """
        now, key = self._clock.now(), self._make_key()

        def write(db: sqlite3.Connection) -> PrivateKey | None:
            row = next((one for one in read_keys(db) if one.private.kid == kid), None)
            if row is None:
                raise Problem("NOT_FOUND", f"no key has the id {kid}", field="key")
            sql = "UPDATE keys SET revoked_at = ?, reason = ? WHERE kid = ?"
            db.execute(sql, (now, reason, kid))
            if any(one.published(now) and one.active_from <= now for one in read_keys(db)):
                return None
            write_key(db, key, now=now, active_from=now)
            return key

        return await self._change(write)

    # --- inside -------------------------------------------------------------------------------------------------

    def _metadata(self) -> Metadata:
        base = self.me.entity
        endpoints = FederationEntity(
            organization_name=self.me.name,
            federation_fetch_endpoint=base + FETCH,
            federation_list_endpoint=base + LIST,
            federation_trust_mark_endpoint=base + MARK,
            federation_trust_mark_list_endpoint=base + MARKED,
            federation_trust_mark_status_endpoint=base + MARK_STATUS,
            federation_historical_keys_endpoint=base + HISTORY,
        )
        auditor = AuditorMetadata() if self.me.auditor else None
        return Metadata(federation_entity=endpoints, connectivity_auditor=auditor)

    async def _member(self, entity: str) -> Enrolled:
        sql = "SELECT body FROM members WHERE entity = ?"
        row = await self._database.read(lambda db: db.execute(sql, (entity,)).fetchone())
        if row is None:
            raise Problem("NOT_FOUND", "no such subordinate", field="sub")
        return msgspec.json.decode(row["body"], type=Enrolled)

    async def _fresh(self, name: str, sign: Callable[[sqlite3.Connection, int], str], fresh_s: int) -> str:
        """A signed document, at most `fresh_s` old."""
        now, changes = self._clock.now(), self._changes
        found = self._signed.get(name)
        if found is not None and now < found[1]:
            return found[0]
        token = await self._database.read(lambda db: sign(db, now))
        if changes == self._changes:  # otherwise somebody changed what was just read
            self._signed[name] = (token, now + fresh_s)
        return token

    async def _change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result = await self._database.write(work)
        self._changes += 1
        self._members = None
        self._signed.clear()
        return result


async def begin(database: Database, me: Me, clock: Clock, make_key: Callable[[], PrivateKey] = generate) -> PrivateKey:
    """Open new books with a first key. Raises `INCOMPATIBLE_STATE` where there are some."""
    now, key = clock.now(), make_key()

    def write(db: sqlite3.Connection) -> None:
        if db.execute("SELECT 1 FROM me").fetchone():
            raise Problem("INCOMPATIBLE_STATE", "the folder already holds a superior", field="folder")
        db.execute("INSERT INTO me VALUES (1, ?)", (as_text(msgspec.to_builtins(me)),))
        write_key(db, key, now=now, active_from=now)

    await database.write(write)
    return key


async def registrar_of(database: Database, clock: Clock) -> Registrar:
    """The registrar of books that were begun. Raises `INVALID_ARGUMENT` where they were not."""
    row = await database.read(lambda db: db.execute("SELECT body FROM me").fetchone())
    if row is None:
        raise invalid("folder", "holds no superior; make one with: peerway anchor init")
    return Registrar(database, msgspec.json.decode(row["body"], type=Me), clock)


def anchors_file(entity: str, keys: Iterable[KeyRow], now: int) -> Mapping[str, Any]:
    """What others put into their file of anchors to believe this one."""
    return {entity: msgspec.to_builtins(jwks(*(row.private for row in keys if row.published(now))))}


def _index_of(token: str) -> int:
    """The index that a mark says it has; none has -1."""
    try:
        status = unverified(token, TrustMark).status
    except Problem:
        return -1
    return status.status_list.idx if status and status.status_list.idx <= INDEX_MAX else -1


def _signer(keys: list[KeyRow], now: int) -> PrivateKey:
    """The newest key whose time has come."""
    return next(row.private for row in keys if row.active_from <= now and row.revoked_at is None)


def _historical(row: KeyRow, now: int) -> HistoricalKey:
    jwk, ended = row.private.jwk(), row.revoked_at or row.published_until or now
    revoked = Revoked(revoked_at=row.revoked_at, reason=row.reason or "unspecified") if row.revoked_at else None
    return HistoricalKey(
        kty=jwk.kty, crv=jwk.crv, x=jwk.x, y=jwk.y, kid=jwk.kid, iat=row.made_at, exp=ended, revoked=revoked
    )

"""The orders of the person in charge of a superior, and the hatch they come through while it serves.

Books belong to one process. While a daemon has them, orders reach it over a Unix socket in its folder, which only the
folder's owner can open; otherwise the command opens the books itself. Both do the same thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import aiohttp
import msgspec
from msgspec import Meta, Struct

from federation.anchor.books import MIGRATIONS, Enrolled, MarkRow
from federation.anchor.registrar import MARK_LIFE_S_MAX, Registrar, anchors_file, registrar_of
from federation.node import hatch
from federation.node.http import decode
from federation.node.seams import Clock
from federation.node.sqlite import Database
from federation.trust.jose import unverified
from federation.trust.status import INDEX_MAX
from schemas.entity import MarkType, TrustMark
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from schemas.segment import EntityId

BOOKS: Final = "anchor.sqlite3"


class Enrol(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Enrol a member, or change what is said of it."""

    member: Enrolled
    issues: tuple[MarkType, ...] = ()


class Recognise(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let an entity give marks of a type."""

    entity: EntityId
    type: MarkType


class Give(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give a mark; `alone`: in place of those of its type that the entity had."""

    entity: EntityId
    type: MarkType
    life_s: Annotated[int, Meta(ge=1, le=MARK_LIFE_S_MAX)]
    facts: Attestation | None = None
    alone: bool = False


class TakeBack(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take back every mark of an entity."""

    entity: EntityId


class Read(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what one mark says."""

    index: Annotated[int, Meta(ge=0, le=INDEX_MAX)]


class Remove(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Remove a member and take its marks back."""

    entity: EntityId


class RevokeMark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take one mark back."""

    index: Annotated[int, Meta(ge=0, le=INDEX_MAX)]


class RevokeKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stop using a key at once."""

    kid: str
    reason: str = "unspecified"


class Rotate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish a new key, and sign with it later."""

    overlap_s: Annotated[int, Meta(ge=0, le=MARK_LIFE_S_MAX)]


class Show(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how things stand."""


Order = Enrol | Recognise | Give | TakeBack | Read | Remove | RevokeMark | RevokeKey | Rotate | Show
NAMES: Final[Mapping[str, type[Any]]] = {kind.__name__.lower(): kind for kind in get_args(Order)}


async def carry_out(order: Order, registrar: Registrar, clock: Clock) -> dict[str, Any]:
    """Do one order; returns what there is to say about it. Raises `Problem`."""
    match order:
        case Enrol(member=member, issues=issues):
            await registrar.enrol(member, issues)
            return {"entity": member.entity}
        case Recognise(entity=entity, type=mark_type):
            await registrar.recognise(entity, mark_type)
            return {"entity": entity}
        case Give(entity=entity, type=mark_type, life_s=life_s, facts=facts, alone=alone):
            row = await registrar.mark(entity, mark_type, facts, life_s, alone=alone)
            return {"index": row.idx, "mark": row.token, "until": row.exp}
        case TakeBack(entity=entity):
            return {"entity": entity, "marks_revoked": await registrar.take_back(entity)}
        case Read(index=index):
            return _read(index, await registrar.marks())
        case Remove(entity=entity):
            return {"entity": entity, "marks_revoked": await registrar.remove(entity)}
        case RevokeMark(index=index):
            await registrar.revoke_mark(index)
            return {"index": index}
        case RevokeKey(kid=kid, reason=reason):
            key = await registrar.revoke_key(kid, reason)
            return {"kid": kid, "new_kid": key.kid if key else None, "anchors": await _anchors(registrar, clock)}
        case Rotate(overlap_s=overlap_s):
            key, begins = await registrar.rotate(overlap_s)
            return {"kid": key.kid, "begins": begins, "anchors": await _anchors(registrar, clock)}
        case Show():
            return await _shown(registrar, clock)


async def order_at(folder: Path, order: Order, clock: Clock) -> dict[str, Any]:
    """Carry an order out on the superior in `folder`, whether it serves or not. Raises `Problem`."""
    if (folder / hatch.SOCKET).exists():
        try:
            return await hatch.hand_in(folder, type(order).__name__.lower(), msgspec.json.encode(order))
        except aiohttp.ClientConnectorError:
            pass  # the daemon is gone and left its socket; its books are free
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Problem("UNAVAILABLE", f"the daemon of {folder} does not answer ({type(error).__name__})") from error
    async with open_books(folder) as database:
        done = await carry_out(order, await registrar_of(database, clock), clock)
        return msgspec.json.decode(msgspec.json.encode(done), type=dict[str, Any])


def open_books(folder: Path) -> Database:
    """The books of a superior, to be entered. Raises `Problem` where another process has them."""
    return Database(folder / BOOKS, MIGRATIONS)


async def open_hatch(folder: Path, registrar: Registrar, clock: Clock, stack: AsyncExitStack) -> None:
    """Take orders for `registrar` until `stack` closes."""

    async def take(name: str, body: bytes) -> dict[str, Any]:
        kind = NAMES.get(name)
        if kind is None:
            raise Problem("NOT_FOUND", "no such order")
        return await carry_out(decode(body, kind), registrar, clock)

    await hatch.open_hatch(folder, take, stack)


async def _anchors(registrar: Registrar, clock: Clock) -> Mapping[str, Any] | None:
    """What goes into others' files of anchors; nothing where there are superiors."""
    if registrar.me.superiors:
        return None
    return anchors_file(registrar.me.entity, await registrar.keys(), clock.now())


async def _shown(registrar: Registrar, clock: Clock) -> dict[str, Any]:
    now, keys = clock.now(), await registrar.keys()
    return {
        "me": msgspec.to_builtins(registrar.me),
        "keys": [_key(row, now) for row in keys],
        "members": [
            {"entity": m.entity, "types": m.types, "intermediate": m.intermediate} for m in await registrar.members()
        ],
        "marks": [_mark(m) for m in await registrar.marks()],
        "jwks": {"keys": [msgspec.to_builtins(row.private.jwk()) for row in keys if row.published(now)]},
        "anchors": await _anchors(registrar, clock),
    }


def _mark(row: MarkRow) -> dict[str, Any]:
    return {"index": row.idx, "type": row.type, "subject": row.subject, "until": row.exp, "revoked_at": row.revoked_at}


def _read(index: int, rows: list[MarkRow]) -> dict[str, Any]:
    row = next((one for one in rows if one.idx == index), None)
    if row is None:
        raise Problem("NOT_FOUND", f"no mark has the index {index}", field="mark")
    facts = unverified(row.token, TrustMark).attest
    return {**_mark(row), "facts": msgspec.to_builtins(facts), "mark": row.token}


def _key(row: Any, now: int) -> dict[str, Any]:
    times = {"made_at": row.made_at, "active_from": row.active_from, "published_until": row.published_until}
    return {"kid": row.private.kid, **times, "published": row.published(now), "reason": row.reason}

"""What every addressed document says of itself, before what it is about."""

from __future__ import annotations

from msgspec import Struct

from schemas.segment import EntityId


class Document(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Version, signer, the buyer's pseudonym, receiver, times as Unix seconds, an id of 16 to 64 characters."""

    v: int = 1
    iss: EntityId
    sub: str
    aud: str
    iat: int
    exp: int
    jti: str

"""An endpoint grant: a UNI owner's signed consent that somebody may connect there (`endpoint-grant+jwt`)."""

from __future__ import annotations

from typing import Final

from schemas.document import Document
from schemas.segment import Bps, EntityId, Id, Window

GRANT_LIFE_S: Final = 366 * 86400


class EndpointGrant(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `endpoint-grant+jwt`: owner `iss` of `uni` at operator `aud` lets `sub` connect there.

    `sub` is a broker's entity id, for all its buyers, or one buyer's pseudonym at that operator; then `via` is the
    broker who calls the buyer so, because others may say the same word. Leases lie inside `window` and carry at most
    `bandwidth_bps`. It may be used for many orders until it expires.
    """

    uni: Id
    bandwidth_bps: Bps
    window: Window
    via: EntityId | None = None

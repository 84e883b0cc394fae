"""Evidence: everything a stranger needs to check a purchase with no network, in one file (DESIGN section 4).

Nothing in a bundle is believed: documents and statements are signed, marks are auditors', policies are named by hash in
the decision, logs are signed by their owners and by witnesses. A profile says which documents are shown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from schemas.segment import EntityId, Hash, Id

BUNDLE_BYTES_MAX: Final = 4 * 1024 * 1024
DOCUMENTS_MAX: Final = 512
PROOF_HASHES_MAX: Final = 64

Jws = Annotated[str, Meta(min_length=1, max_length=65536)]
Digest = Annotated[str, Meta(min_length=43, max_length=44)]


class Profile(StrEnum):
    """Whom a bundle is for.

    `buyer`: every document. `regulator`: decision, receipts until ACTIVE and confirms: who, where, when, under which
    law, bound to the operators' signatures; no price, no mandate. `countries`: the decision alone, with the marks.
    """

    BUYER = "buyer"
    REGULATOR = "regulator"
    COUNTRIES = "countries"


class Inclusion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a document stands in a log: its leaf is its hash; `path` is the audit path of RFC 9162 section 2.1.3."""

    index: Annotated[int, Meta(ge=0)]
    path: Annotated[tuple[Digest, ...], Meta(max_length=PROOF_HASHES_MAX)]


class LogEvidence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What shows that documents stand in the log of one node: a checkpoint, with its witnesses' lines, and inclusions
    by document hash.
    """

    checkpoint: Annotated[str, Meta(max_length=16384)]
    inclusions: dict[Hash, Inclusion]


class PolicyText(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A policy as it was decided by; `signed` is the `policy+jwt` of a buyer's own."""

    name: str
    cedar: str
    signed: Jws | None = None


class Bundle(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file that `peerway evidence` writes and `peerway verify` reads.

    `at` is the Unix second that everything is judged at: when the quote was decided. `chains` holds, per entity, its
    statements in order from its own configuration up to its anchor. `intent` and `rates` are JSON as the quote names
    them by hash.
    """

    v: int = 1
    profile: Profile
    order: Id
    broker: EntityId
    at: int
    chains: dict[EntityId, tuple[Jws, ...]]
    marks: tuple[Jws, ...]
    status_lists: dict[str, Jws]
    documents: Annotated[tuple[Jws, ...], Meta(max_length=DOCUMENTS_MAX)]
    policies: tuple[PolicyText, ...]
    policy_schema: str
    logs: dict[EntityId, LogEvidence]
    intent: dict[str, Any] | None = None
    rates: dict[str, Any] | None = None

"""Evidence: everything a stranger needs to check a purchase with no network, in one file (DESIGN section 4).

Nothing in a bundle is believed: documents and statements are signed, marks are auditors', policies are named by hash in
the decision, logs are signed by their owners and by witnesses. A profile says which documents are shown. Every document
is judged at its own time, so a bundle says of itself neither when it was made nor by whom.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from schemas.authority import Authority
from schemas.segment import EntityId, Hash

BUNDLE_BYTES_MAX: Final = 4 * 1024 * 1024
DOCUMENTS_MAX: Final = 512
CHAINS_MAX: Final = 64  # of one entity: its statements as they were at different times
PROOF_HASHES_MAX: Final = 64

Jws = Annotated[str, Meta(min_length=1, max_length=65536)]
Chains = Annotated[tuple[tuple[Jws, ...], ...], Meta(min_length=1, max_length=CHAINS_MAX)]


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

    index: Annotated[int, Meta(ge=0, lt=2**62)]
    path: Annotated[tuple[Hash, ...], Meta(max_length=PROOF_HASHES_MAX)]


class LogEvidence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What shows that documents stand in the log of one node: a checkpoint, with its witnesses' lines, and inclusions
    by document hash.
    """

    checkpoint: Annotated[str, Meta(max_length=16384)]
    inclusions: Annotated[dict[Hash, Inclusion], Meta(max_length=DOCUMENTS_MAX)]


class PolicyText(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A policy as it was decided by; `signed` is the `policy+jwt` of a buyer's own."""

    name: Annotated[str, Meta(max_length=60)]
    cedar: str
    signed: Jws | None = None


class House(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The limits that a broker's configuration gives a buyer who comes with a bearer key and no mandate.

    `mandate_h` of its documents is base64url SHA-256 over the JSON `[broker, buyer, authority]` with sorted members.
    """

    buyer: Annotated[str, Meta(max_length=200)]
    authority: Authority


class Bundle(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file that `peerway evidence` writes and `peerway verify` reads: JSON with sorted members and no spaces.

    `chains` holds, per entity, its statements in order from its own configuration up to its anchor: once for each time
    at which others are needed. `marks`, `status_lists`, `documents` and the chains of one entity are sorted as text,
    policies by name, and the lines below a checkpoint are the log's and then its witnesses' by name. `intent` and the
    tables of `rates`, by their hashes, are JSON as the path quotes name them.
    """

    v: int = 1
    profile: Profile
    chains: dict[EntityId, Chains]
    marks: tuple[Jws, ...]
    status_lists: tuple[Jws, ...]
    documents: Annotated[tuple[Jws, ...], Meta(max_length=DOCUMENTS_MAX)]
    policies: tuple[PolicyText, ...]
    policy_schema: str
    logs: dict[EntityId, LogEvidence]
    intent: dict[str, Any] | None = None
    rates: Annotated[dict[Hash, dict[str, Any]], Meta(max_length=CHAINS_MAX)] = {}
    house: House | None = None

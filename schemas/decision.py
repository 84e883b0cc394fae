"""What a broker decided about a path before it was sold: `decision+jwt`, and the policies behind it: `policy+jwt`.

A decision names no buyer, price, place or time of use: it can be shown to anyone. `path_root` ties it to the quotes
that were bought, the hashes of the marks to the auditors whose word it rests on.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.document import Document
from schemas.interface import Country
from schemas.segment import EntityId, Hash, Id

DECISION_LIFE_S: Final = 10 * 366 * 86400
POLICY_LIFE_S: Final = 5 * 366 * 86400
POLICY_CHARS_MAX: Final = 24 * 1024

POLICY_NAME_PATTERN: Final = r"^[a-z][a-z0-9\-]*(\.[a-z0-9\-]+)*\Z"
PolicyName = Annotated[str, Meta(min_length=1, max_length=60, pattern=POLICY_NAME_PATTERN)]
DataClass = Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]*\Z")]


class Part(StrEnum):
    """What of a purchase is judged: a segment carries the data, the broker arranges, whoever runs a network manages."""

    CARRY = "carry"
    ARRANGE = "arrange"
    MANAGE = "manage"


class PolicyRef(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A policy by name, and the base64url SHA-256 of its text."""

    name: PolicyName
    policy_h: Hash


class Judged(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One subject that every policy permitted.

    `marks` are the hashes of the trust marks that its facts come from, `facts_h` the hash of those facts as policies
    see them (canonical JSON). `route_class` and `quote_h` are of a segment.
    """

    part: Part
    entity: EntityId
    route_class: Id | None = None
    quote_h: Hash | None = None
    marks: tuple[Hash, ...]
    facts_h: Hash


class Decision(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `decision+jwt`, by a broker, to itself (`sub` and `aud` are its own id): every subject was permitted.

    `judged` holds the segments in path order, then the broker, then who manages either. `countries` and `sea` are what
    the path may cross, of all its segments. `at` is the Unix second that policies saw as now.
    """

    policies: tuple[PolicyRef, ...]
    schema_h: Hash
    data_class: DataClass | None
    judged: tuple[Judged, ...]
    countries: tuple[Country, ...] | None
    sea: bool | None
    path_root: Hash
    at: int


class Policy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `policy+jwt`: a buyer's own policy, signed with a key that signs its mandates; `cedar` is the text."""

    v: int = 1
    iss: EntityId
    iat: int
    exp: int
    name: PolicyName
    cedar: Annotated[str, Meta(min_length=1, max_length=POLICY_CHARS_MAX)]

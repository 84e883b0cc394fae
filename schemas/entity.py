"""Who is who: OpenID Federation 1.1 statements and trust marks, with our entity types and metadata.

An entity id is an https URL without user, query, fragment or trailing slash, compared byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from schemas.jurisdiction import Attestation
from schemas.segment import EntityId

FACTS_MARK = "https://peerway.dev/marks/facts/v1"

Url = Annotated[str, Meta(max_length=500)]
Certificate = Annotated[str, Meta(max_length=8192)]
VerifierKey = Annotated[str, Meta(max_length=300, pattern=r"^[^+\s]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\Z")]
MarkType = Annotated[str, Meta(min_length=1, max_length=200)]


class Jwk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public EC key (RFC 7517), P-256 for every Peerway signature; `kid` is its RFC 7638 thumbprint."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str = "ES256"
    use: str = "sig"


class Jwks(Struct, frozen=True):
    """A key set."""

    keys: tuple[Jwk, ...]


class FederationEntity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata every member has; the endpoints are those of an anchor, an intermediate or an issuer of marks.

    `log_key` and `witness_key` are verifier keys of signed notes (C2SP signed-note): of the log of what the entity
    signed and received, and of its signatures under the checkpoints of others. `log_endpoint` is the base of both.
    """

    organization_name: Annotated[str, Meta(min_length=1, max_length=100)]
    contacts: tuple[str, ...] = ()
    federation_fetch_endpoint: Url | None = None
    federation_list_endpoint: Url | None = None
    federation_trust_mark_endpoint: Url | None = None
    federation_trust_mark_list_endpoint: Url | None = None
    federation_trust_mark_status_endpoint: Url | None = None
    federation_historical_keys_endpoint: Url | None = None
    log_endpoint: Url | None = None
    log_key: VerifierKey | None = None
    witness_key: VerifierKey | None = None


class OperatorMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of a `connectivity_operator`.

    `sonata_endpoint` is the base under which the API names and majors follow, `mesh_endpoint` the host:port of the
    gRPC service, `documents_endpoint` where confirms are handed in, and the base of documents by hash; `jwks` are the
    keys that sign its documents.
    `tls_ca` holds the certificates of its own CA, base64 DER as in `x5c` (RFC 7517 section 4.7): its TLS leaves are
    checked against these alone.
    """

    sonata_endpoint: str
    mesh_endpoint: str
    documents_endpoint: str
    jwks: Jwks
    document_versions: tuple[int, ...] = (1,)
    tls_ca: Annotated[tuple[Certificate, ...], Meta(max_length=4)] = ()
    token_endpoint: Url | None = None
    signing_alg_values_supported: tuple[str, ...] = ("ES256",)
    authorization_details_types_supported: tuple[str, ...] = ()


class BrokerMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of a `connectivity_broker`: where buyers reach it, the keys that sign its documents, its TLS CA."""

    endpoint: str
    jwks: Jwks
    document_versions: tuple[int, ...] = (1,)
    tls_ca: Annotated[tuple[Certificate, ...], Meta(max_length=4)] = ()
    token_endpoint: Url | None = None
    signing_alg_values_supported: tuple[str, ...] = ("ES256",)
    authorization_details_types_supported: tuple[str, ...] = ()


class AuditorMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of a `connectivity_auditor`. Its marks are signed by its federation keys (section 7), not by `jwks`."""

    jwks: Jwks | None = None


class Metadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata by entity type."""

    federation_entity: FederationEntity | None = None
    connectivity_operator: OperatorMetadata | None = None
    connectivity_broker: BrokerMetadata | None = None
    connectivity_auditor: AuditorMetadata | None = None


class NamingConstraints(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Hosts (`host.example`) and domains (`.example`, any host below it), as RFC 5280 section 4.2.1.10 writes them."""

    permitted: tuple[str, ...] | None = None
    excluded: tuple[str, ...] = ()


class Constraints(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a superior allows below the subject (section 6.2); members that are not known are ignored, as it says."""

    max_path_length: Annotated[int, Meta(ge=0)] | None = None
    naming_constraints: NamingConstraints | None = None
    allowed_entity_types: tuple[str, ...] | None = None


class CarriedMark(Struct, frozen=True, kw_only=True):
    """A trust mark inside its subject's entity configuration; the type repeats what the mark itself says."""

    trust_mark_type: MarkType
    trust_mark: str


class EntityStatement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims of `entity-statement+jwt`: an entity configuration (iss = sub) or a subordinate statement.

    `metadata` and `metadata_policy` are plain JSON by entity type: superiors change and check single members of them
    (`federation/trust/metadata_policy.py`); only what comes out is read as `Metadata`. `trust_mark_issuers` and
    `trust_mark_owners` count in an anchor's configuration only: per mark type, who may issue it.
    """

    iss: EntityId
    sub: EntityId
    iat: int
    exp: int
    jwks: Jwks
    metadata: dict[str, dict[str, Any]] | None = None
    authority_hints: tuple[EntityId, ...] | None = None
    trust_anchor_hints: tuple[EntityId, ...] | None = None
    metadata_policy: dict[str, dict[str, dict[str, Any]]] | None = None
    metadata_policy_crit: tuple[str, ...] | None = None
    constraints: Constraints | None = None
    crit: tuple[str, ...] | None = None
    trust_marks: tuple[CarriedMark, ...] | None = None
    trust_mark_issuers: dict[str, tuple[EntityId, ...]] | None = None
    trust_mark_owners: dict[str, Any] | None = None
    source_endpoint: Url | None = None


class StatusIndex(Struct, frozen=True, kw_only=True):
    """Where the status of a mark stands: the bit at `idx` of the list at `uri` (Token Status List)."""

    idx: Annotated[int, Meta(ge=0)]
    uri: Url


class Status(Struct, frozen=True, kw_only=True):
    """The `status` claim; status lists are the only mechanism spoken here."""

    status_list: StatusIndex


class TrustMark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims of `trust-mark+jwt`: an issuer attests that an entity conforms, and, in a facts mark, what it found."""

    iss: EntityId
    sub: EntityId
    iat: int
    exp: int
    trust_mark_type: MarkType
    attest: Attestation = Attestation()
    ref: str | None = None
    status: Status | None = None
    delegation: str | None = None


class StatusBits(Struct, frozen=True, kw_only=True):
    """`lst` is base64url of zlib-compressed bits, the first entry in the lowest bit of the first byte."""

    bits: int
    lst: str


class StatusList(Struct, frozen=True, kw_only=True):
    """Claims of `statuslist+jwt`: entry n is 1 once the mark with index n is revoked. Asked again after `ttl` s."""

    iss: EntityId
    sub: Url
    iat: int
    exp: int
    ttl: Annotated[int, Meta(ge=1)]
    status_list: StatusBits


class MarkStatus(Struct, frozen=True, kw_only=True):
    """Claims of `trust-mark-status-response+jwt`: `active`, `expired`, `revoked` or `invalid`."""

    iss: EntityId
    iat: int
    exp: int
    trust_mark: str
    status: str


class Revoked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a key may not be believed any more: `unspecified`, `compromised` or `superseded`."""

    revoked_at: int
    reason: str = "unspecified"


class HistoricalKey(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key of the past: what it signed from `iat`, or a later `nbf`, until `exp` counts, unless it was compromised."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    exp: int
    iat: int = 0
    nbf: int = 0
    alg: str = "ES256"
    use: str = "sig"
    revoked: Revoked | None = None


class HistoricalKeys(Struct, frozen=True, kw_only=True):
    """Claims of `jwk-set+jwt`: the federation keys that an entity no longer uses (section 8.7)."""

    iss: EntityId
    iat: int
    exp: int
    keys: tuple[HistoricalKey, ...]

"""Who is who: OpenID Federation 1.1 statements and trust marks, with our entity types and metadata.

An entity id is an https URL without user, query, fragment or trailing slash, compared byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from schemas.jurisdiction import Attestation
from schemas.segment import EntityId

FACTS_MARK = "https://peerway.dev/marks/facts/v1"


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
    """Metadata every member has."""

    organization_name: Annotated[str, Meta(min_length=1, max_length=100)]


class OperatorMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of a `connectivity_operator`.

    `sonata_endpoint` is the base under which the API names and majors follow, `mesh_endpoint` the host:port of the
    gRPC service, `documents_endpoint` the base of documents by hash; `jwks` are the keys that sign its documents.
    """

    sonata_endpoint: str
    mesh_endpoint: str
    documents_endpoint: str
    jwks: Jwks
    document_versions: tuple[int, ...] = (1,)


class BrokerMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of a `connectivity_broker`: where buyers reach it, and the keys that sign its documents."""

    endpoint: str
    jwks: Jwks
    document_versions: tuple[int, ...] = (1,)


class AuditorMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata of a `connectivity_auditor`: the keys that sign its trust marks."""

    jwks: Jwks


class Metadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata by entity type."""

    federation_entity: FederationEntity | None = None
    connectivity_operator: OperatorMetadata | None = None
    connectivity_broker: BrokerMetadata | None = None
    connectivity_auditor: AuditorMetadata | None = None


class EntityStatement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims of `entity-statement+jwt`: an entity configuration (iss = sub) or a subordinate statement.

    `trust_mark_issuers` stands in an anchor's configuration: per mark type, who may issue it.
    """

    iss: EntityId
    sub: EntityId
    iat: int
    exp: int
    jwks: Jwks
    metadata: Metadata | None = None
    authority_hints: tuple[EntityId, ...] = ()
    metadata_policy: dict[str, Any] | None = None
    metadata_policy_crit: tuple[str, ...] | None = None
    constraints: dict[str, Any] | None = None
    crit: tuple[str, ...] | None = None
    trust_mark_issuers: dict[str, tuple[EntityId, ...]] | None = None


class TrustMark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims of `trust-mark+jwt`: an auditor attests facts about an operator, or with another type just gives a mark.

    A mark of type `FACTS_MARK` without `attest` attests nothing.
    """

    iss: EntityId
    sub: EntityId
    iat: int
    exp: int
    trust_mark_type: Annotated[str, Meta(min_length=1, max_length=200)]
    attest: Attestation = Attestation()
    ref: str | None = None

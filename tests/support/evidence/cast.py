"""Who takes part: anchor, auditor, operators, broker, witnesses, buyer; keys that follow from names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.evidence.checkpoint import origin_of
from federation.evidence.note import NoteSigner, Type
from federation.trust.issue import entity_configuration, jwks, subordinate_statement
from federation.trust.keys import PrivateKey, b64url, load_private
from schemas.entity import (
    FACTS_MARK,
    AuditorMetadata,
    BrokerMetadata,
    FederationEntity,
    Jwks,
    Metadata,
    OperatorMetadata,
)
from schemas.jurisdiction import Attestation, AttestedPlace, ClassFacts, Landing, Management
from tests.support.seams import NOW

ANCHOR, AUDITOR, BROKER = "https://anchor.example", "https://audit.example", "https://broker.example"
BUYER, OWNER, STRANGER = "https://buyer.example", "https://owner.example", "https://stranger.example"
OPERATORS = tuple(f"https://op{number}.example" for number in range(5))
WITNESSES = (OPERATORS[0], AUDITOR, "https://watch.example")
STATUS = f"{AUDITOR}/status"
CITIES = ((52_370_000, 4_890_000), (50_110_000, 8_680_000), (48_140_000, 11_580_000), (45_460_000, 9_190_000),
          (43_300_000, 5_370_000), (41_390_000, 2_170_000))  # fmt: skip
COUNTRIES = (("NL", "DE"), ("DE",), ("AT", "IT"), ("FR", "IT"), ("ES", "FR"))


@cache
def key_of(name: str) -> PrivateKey:
    """The key of a name: the same in every run."""
    return load_private(msgspec.json.encode({"d": b64url(hashlib.sha256(name.encode()).digest())}), name)


@cache
def note_key(entity: str, kind: Type) -> NoteSigner:
    """The log's or witness's key of an entity."""
    seed = hashlib.sha256(f"{entity} {kind.name}".encode()).digest()
    return NoteSigner(origin_of(entity), kind, Ed25519PrivateKey.from_private_bytes(seed))


def anchors() -> dict[str, Jwks]:
    """What whoever verifies believes."""
    return {ANCHOR: jwks(key_of(ANCHOR))}


def known() -> dict[str, Jwks]:
    """Keys of those who are no members."""
    return {BUYER: jwks(key_of(BUYER)), OWNER: jwks(key_of(OWNER))}


@cache
def chain(entity: str, since: int, life_s: int = 86400) -> tuple[str, ...]:
    """The chain of a member from `since`."""
    own, anchor = key_of(f"{entity} federation"), key_of(ANCHOR)
    named = FederationEntity(organization_name="Anchor")
    issuers: dict[str, tuple[str, ...]] = {FACTS_MARK: (AUDITOR,), MARK_TYPE: (AUDITOR,)}
    return (
        entity_configuration(own, entity, metadata_of(entity), authority=ANCHOR, now=since, life_s=life_s),
        subordinate_statement(anchor, ANCHOR, entity, jwks(own), now=since, life_s=life_s),
        entity_configuration(
            anchor,
            ANCHOR,
            Metadata(federation_entity=named),
            now=since,
            life_s=life_s,
            trust_mark_issuers=issuers,
        ),
    )


MARK_TYPE = "https://marks.example/carrier/v1"


def metadata_of(entity: str) -> Metadata:
    """What an entity says of itself."""
    named = FederationEntity(
        organization_name=entity.removeprefix("https://"),
        log_key=str(note_key(entity, Type.NOTE).verifier) if entity == BROKER else None,
        witness_key=str(note_key(entity, Type.COSIGNATURE).verifier) if entity in WITNESSES else None,
    )
    if entity in OPERATORS:
        role = OperatorMetadata(
            sonata_endpoint=f"{entity}/mefApi/sonata",
            mesh_endpoint=f"{entity.removeprefix('https://')}:8443",
            documents_endpoint=f"{entity}/peerway/v1/documents",
            jwks=jwks(key_of(entity)),
        )
        return Metadata(federation_entity=named, connectivity_operator=role)
    if entity in {AUDITOR, WITNESSES[2]}:
        return Metadata(federation_entity=named, connectivity_auditor=AuditorMetadata())
    role_ = BrokerMetadata(endpoint=f"{entity}/peerway/v1", jwks=jwks(key_of(entity)))
    return Metadata(federation_entity=named, connectivity_broker=role_)


def facts_of(entity: str) -> Attestation:
    """What the auditor attests: enough for eu-health."""
    if entity == BROKER:
        return _facts("IE", {}, {})
    index = OPERATORS.index(entity)
    classes = {"eu": ClassFacts(countries=COUNTRIES[index], sea=False, landings=())}
    if index == 3:
        classes = {"eu": ClassFacts(countries=COUNTRIES[index], sea=True, landings=(Landing(name="M", country="FR"),))}
    sites = {
        name: AttestedPlace(country=COUNTRIES[index][0], lat_e6=CITIES[at][0], lon_e6=CITIES[at][1])
        for name, at in zip(ends_of(index), (index, index + 1), strict=True)
    }
    return _facts(COUNTRIES[index][0], classes, sites)


def _facts(country: str, classes: Mapping[str, ClassFacts], sites: Mapping[str, AttestedPlace]) -> Attestation:
    return Attestation(
        legal_domicile=(country,),
        controlling_parents=(country,),
        classes=dict(classes),
        operations=(country,),
        management=Management(legal_domicile=("DE",), controlling_parents=("DE",), countries=("DE", country)),
        key_custody=(country,),
        assessed_regimes=("US-CLOUD-ACT", "US-FISA-702"),
        subject_to=(),
        seal=3,
        certificates=("ISO/IEC 27001",),
        sites=dict(sites),
    )


def ends_of(index: int) -> tuple[str, str]:
    """The interfaces of an operator's segment, from a to z."""
    return f"if-{index}-a", f"if-{index}-z"


def later(seconds: int) -> int:
    """A Unix second after that of the quote."""
    return NOW + seconds

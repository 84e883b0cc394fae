"""A throwaway trust domain in a folder, for demos and tests: one anchor, made-up members, invented attestations."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import structs

from federation.trust.certificates import Certificate, x5c
from federation.trust.domain import CONFIGURATION, MEMBERS, STATEMENT
from federation.trust.issue import (
    DAY_S,
    entity_configuration,
    facts_mark,
    jwks,
    plain_mark,
    subordinate_statement,
)
from federation.trust.keys import PrivateKey, generate
from schemas.entity import (
    FACTS_MARK,
    AuditorMetadata,
    BrokerMetadata,
    FederationEntity,
    Metadata,
    OperatorMetadata,
)
from schemas.jurisdiction import Attestation

ANCHOR = "https://anchor.example"


class ThrowawayDomain:
    """Builds a trust domain below `folder`; `anchors_file` is what a node's configuration points to."""

    def __init__(self, folder: Path, now: int, *, life_s: int = DAY_S) -> None:
        self.folder = folder
        self.anchors_file = folder / "anchors.json"
        self._now, self._life_s = now, life_s
        self._anchor = generate()
        self._members: dict[str, tuple[Metadata, PrivateKey]] = {}
        self._auditors: dict[str, PrivateKey] = {}
        self._recognised: list[str] = []
        self._issuers: dict[str, list[str]] = {}

    def add_operator(
        self, entity: str, name: str, *, sonata: str, mesh: str, documents: str, tls: Certificate | None = None
    ) -> PrivateKey:
        """Admit an operator with its endpoints and its TLS authority; returns the key that signs its documents."""
        key = generate()
        role = OperatorMetadata(
            sonata_endpoint=sonata,
            mesh_endpoint=mesh,
            documents_endpoint=documents,
            jwks=jwks(key),
            tls_ca=() if tls is None else (x5c(tls),),
        )
        self._admit(entity, Metadata(federation_entity=_named(name), connectivity_operator=role))
        return key

    def add_broker(self, entity: str, name: str, *, endpoint: str, tls: Certificate | None = None) -> PrivateKey:
        """Admit a broker with its TLS authority; returns the key that signs its documents."""
        key = generate()
        role = BrokerMetadata(endpoint=endpoint, jwks=jwks(key), tls_ca=() if tls is None else (x5c(tls),))
        self._admit(entity, Metadata(federation_entity=_named(name), connectivity_broker=role))
        return key

    def add_auditor(self, entity: str, name: str, *, recognised: bool = True) -> PrivateKey:
        """Admit an auditor; the anchor recognises its marks unless told otherwise. Returns its federation key."""
        key = generate()
        # Marks are signed by a federation key of their issuer (OpenID Federation 1.1, section 7).
        self._admit(entity, Metadata(federation_entity=_named(name), connectivity_auditor=AuditorMetadata()), key)
        self._auditors[entity] = key
        self._recognised += [entity] if recognised else []
        return key

    def publish_tls(self, entity: str, *tls: Certificate) -> None:
        """Let a member name these TLS authorities from now on: two of them while one replaces the other."""
        metadata, key = self._members[entity]
        named = tuple(x5c(one) for one in tls)
        operator, broker = metadata.connectivity_operator, metadata.connectivity_broker
        changed = structs.replace(
            metadata,
            connectivity_operator=operator and structs.replace(operator, tls_ca=named),
            connectivity_broker=broker and structs.replace(broker, tls_ca=named),
        )
        self._admit(entity, changed, key)

    def publish_keys(self, entity: str, *keys: PrivateKey) -> None:
        """Let these keys sign the documents of an operator or broker from now on, and no others."""
        metadata, key = self._members[entity]
        operator, broker = metadata.connectivity_operator, metadata.connectivity_broker
        changed = structs.replace(
            metadata,
            connectivity_operator=operator and structs.replace(operator, jwks=jwks(*keys)),
            connectivity_broker=broker and structs.replace(broker, jwks=jwks(*keys)),
        )
        self._admit(entity, changed, key)

    def attest(self, auditor: str, operator: str, facts: Attestation) -> None:
        """Let an auditor attest `facts` about an operator or broker."""
        mark = facts_mark(self._auditors[auditor], auditor, operator, facts, now=self._now)
        self._put(f"{slug(operator)}/marks", f"{slug(auditor)}.jwt", mark)

    def attest_itself(self, entity: str, facts: Attestation, *, life_s: int = 60 * DAY_S) -> None:
        """Let an operator or broker carry a mark that it gave itself."""
        mark = facts_mark(self._members[entity][1], entity, entity, facts, now=self._now, life_s=life_s)
        self._put(f"{slug(entity)}/marks", "itself.jwt", mark)

    def mark(self, auditor: str, operator: str, mark_type: str) -> None:
        """Let the anchor recognise an auditor for marks of another type, and the auditor give one to an operator."""
        issuers = self._issuers.setdefault(mark_type, [])
        if auditor not in issuers:
            issuers.append(auditor)
        mark = plain_mark(self._auditors[auditor], auditor, operator, mark_type, now=self._now)
        self._put(f"{slug(operator)}/marks", f"{slug(auditor)}-{slug(mark_type)}.jwt", mark)

    def write(self) -> None:
        """Write what concerns the domain as a whole: the members list, the anchor's configuration and keys."""
        lines = [f"{entity} {slug(entity)}" for entity in self._members]
        (self.folder / MEMBERS).write_text("\n".join(lines) + "\n")
        metadata = Metadata(federation_entity=_named("Throwaway anchor"))
        issuers = {FACTS_MARK: tuple(self._recognised), **{name: tuple(who) for name, who in self._issuers.items()}}
        configuration = entity_configuration(
            self._anchor, ANCHOR, metadata, now=self._now, life_s=self._life_s, trust_mark_issuers=issuers
        )
        self._put("anchor", CONFIGURATION, configuration)
        self.anchors_file.write_bytes(msgspec.json.encode({ANCHOR: jwks(self._anchor)}))

    def _admit(self, entity: str, metadata: Metadata, key: PrivateKey | None = None) -> None:
        key, now, life_s = key or generate(), self._now, self._life_s
        own = entity_configuration(key, entity, metadata, authority=ANCHOR, now=now, life_s=life_s)
        statement = subordinate_statement(self._anchor, ANCHOR, entity, jwks(key), now=now, life_s=life_s)
        self._put(slug(entity), CONFIGURATION, own)
        self._put(slug(entity), STATEMENT, statement)
        self._members[entity] = (metadata, key)

    def _put(self, folder: str, name: str, document: str) -> None:
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / folder / name).write_text(document)


def slug(entity: str) -> str:
    """Folder name of an entity id."""
    return entity.removeprefix("https://").replace("/", "-").replace(":", "-")


def _named(name: str) -> FederationEntity:
    return FederationEntity(organization_name=name)

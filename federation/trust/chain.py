"""From the files of a trust domain to members that may be believed (OpenID Federation 1.1, sections 3 and 10).

A registry or a folder is a hint, never the truth: every statement is verified down from an anchor whose keys are
local configuration. The anchor is the direct superior of every member in this version; a member's keys are those its
superior lists, never those it lists itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from federation.trust.jose import unverified, verify_jws
from federation.trust.keys import PublicKey, public_keys
from schemas.entity import FACTS_MARK, EntityStatement, Jwks, Metadata, TrustMark
from schemas.jurisdiction import Attestation
from schemas.problem import Problem

MARKS_MAX: Final = 32


@dataclass(frozen=True)
class MemberFiles:
    """What was found about one member: its own configuration, its superior's statement, marks about it."""

    configuration: str
    statement: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DomainFiles:
    """What was found of a trust domain. Nothing here is believed yet."""

    anchor_configurations: tuple[str, ...]
    members: Mapping[str, MemberFiles]


@dataclass(frozen=True)
class Member:
    """A verified member: `keys` sign its documents; believed until `exp`, a Unix second."""

    entity: str
    name: str
    metadata: Metadata
    keys: Mapping[str, PublicKey]
    exp: int


@dataclass(frozen=True)
class Mark:
    """A verified mark of any type that its issuer may give; `attest` is empty where the type attests no facts."""

    type: str
    issuer: str
    attest: Attestation
    exp: int


@dataclass(frozen=True)
class TrustDomain:
    """The members that verified, and why each other one was rejected."""

    members: Mapping[str, Member]
    marks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)

    def member(self, entity: str, now: int) -> Member:
        """The member, if it is believed at `now`. Raises `NOT_FOUND`."""
        found = self.members.get(entity)
        if found is None or found.exp <= now:
            raise Problem("NOT_FOUND", f"{entity} is no member of this trust domain", extra={"entity": entity})
        return found

    def operators(self) -> tuple[Member, ...]:
        """Members that are operators, by entity id."""
        return tuple(m for _, m in sorted(self.members.items()) if m.metadata.connectivity_operator)

    def facts(self, entity: str, now: int) -> Attestation | None:
        """What a recognised auditor attests of an operator at `now`; the mark that lasts longest counts."""
        valid = [mark for mark in self._valid(entity, now) if mark.type == FACTS_MARK]
        return max(valid, key=lambda mark: mark.exp).attest if valid else None

    def mark_types(self, entity: str, now: int) -> frozenset[str]:
        """The types of all marks that auditors recognised for them gave an operator, as far as valid at `now`."""
        return frozenset(mark.type for mark in self._valid(entity, now))

    def _valid(self, entity: str, now: int) -> tuple[Mark, ...]:
        return tuple(mark for mark in self.marks.get(entity, ()) if mark.exp > now)


def verify_domain(files: DomainFiles, anchors: Mapping[str, Jwks], now: int) -> TrustDomain:
    """Verify every member against the configured `anchors`; one bad member never spoils the others.

    Raises `DOCUMENT_INVALID` when no anchor's own configuration verifies.
    """
    roots = _anchors(files.anchor_configurations, anchors, now)
    members: dict[str, Member] = {}
    rejected: dict[str, str] = {}
    for entity, found in files.members.items():
        try:
            members[entity] = _member(entity, found, roots, anchors, now)
        except Problem as problem:
            rejected[entity] = str(problem)
    marks = {entity: _marks(files.members[entity].marks, entity, members, roots, now) for entity in members}
    return TrustDomain(members, marks, rejected)


def _anchors(tokens: tuple[str, ...], anchors: Mapping[str, Jwks], now: int) -> dict[str, EntityStatement]:
    roots: dict[str, EntityStatement] = {}
    for token in tokens:
        claimed = unverified(token, EntityStatement).iss
        if claimed in anchors:
            statement = verify_jws(token, EntityStatement, public_keys(anchors[claimed]), now=now, iss=claimed)
            roots[claimed] = statement
    if not roots:
        raise Problem("DOCUMENT_INVALID", "no configured trust anchor has a valid configuration in this trust domain")
    return roots


def _member(
    entity: str,
    found: MemberFiles,
    roots: Mapping[str, EntityStatement],
    anchors: Mapping[str, Jwks],
    now: int,
) -> Member:
    superior = unverified(found.statement, EntityStatement).iss
    if superior not in roots:
        raise Problem("DOCUMENT_INVALID", f"{superior} is no configured trust anchor")
    statement = verify_jws(found.statement, EntityStatement, public_keys(anchors[superior]), now=now, iss=superior)
    own = verify_jws(found.configuration, EntityStatement, public_keys(statement.jwks), now=now, iss=entity)
    _check_pair(entity, own, statement, superior)
    metadata = own.metadata or Metadata()
    name = metadata.federation_entity.organization_name if metadata.federation_entity else entity
    exp = min(own.exp, statement.exp, roots[superior].exp)
    return Member(entity, name, metadata, _document_keys(metadata), exp)


def _check_pair(entity: str, own: EntityStatement, statement: EntityStatement, superior: str) -> None:
    if own.sub != entity or statement.sub != entity:
        raise Problem("DOCUMENT_INVALID", "the statements speak about another entity")
    if superior not in own.authority_hints:
        raise Problem("DOCUMENT_INVALID", f"the entity does not name {superior} as its authority")
    critical = (own.crit, own.metadata_policy_crit, statement.crit, statement.metadata_policy_crit)
    if any(critical) or statement.metadata_policy:
        raise Problem("DOCUMENT_INVALID", "the statement makes demands that are not understood here")


def _document_keys(metadata: Metadata) -> dict[str, PublicKey]:
    roles = (metadata.connectivity_operator, metadata.connectivity_broker, metadata.connectivity_auditor)
    keys: dict[str, PublicKey] = {}
    for role in roles:
        keys |= public_keys(role.jwks) if role else {}
    return keys


def _marks(
    tokens: tuple[str, ...],
    entity: str,
    members: Mapping[str, Member],
    roots: Mapping[str, EntityStatement],
    now: int,
) -> tuple[Mark, ...]:
    stated = (root.trust_mark_issuers or {} for root in roots.values())
    issuers = {(type_, issuer) for types in stated for type_, named in types.items() for issuer in named}
    verified = []
    for token in tokens[:MARKS_MAX]:
        try:
            verified.append(_mark(token, entity, members, issuers, now))
        except Problem:
            continue  # a mark that does not verify is as good as absent: unknown means refused
    return tuple(verified)


def _mark(token: str, entity: str, members: Mapping[str, Member], issuers: set[tuple[str, str]], now: int) -> Mark:
    claimed = unverified(token, TrustMark)
    issuer, type_ = claimed.iss, claimed.trust_mark_type
    auditor = members.get(issuer)
    if (type_, issuer) not in issuers or auditor is None or auditor.metadata.connectivity_auditor is None:
        raise Problem("DOCUMENT_INVALID", f"{issuer} is no auditor that the anchor recognises for {type_}")
    keys = public_keys(auditor.metadata.connectivity_auditor.jwks)
    mark = verify_jws(token, TrustMark, keys, now=now, iss=issuer)
    if mark.sub != entity:
        raise Problem("DOCUMENT_INVALID", "the mark is about another entity")
    return Mark(type_, issuer, mark.attest, min(mark.exp, auditor.exp))

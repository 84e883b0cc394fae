"""From statements to members that may be believed (OpenID Federation 1.1, sections 3, 4, 6 and 10).

A registry, a folder or a list is a hint, never the truth: a chain is verified from an anchor, whose keys are local
configuration, down to the entity. The keys of an entity are those that its superior lists, never those it lists
itself; its metadata are what is left of its own once every superior has changed, limited and checked them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import msgspec
from cryptography import x509

from federation.trust.constraints import allowed_metadata, check_constraints
from federation.trust.jose import unverified, verify_jws
from federation.trust.keys import PublicKey, public_keys
from federation.trust.metadata_policy import applied, merged
from schemas.entity import FACTS_MARK, EntityStatement, Jwks, Metadata, TrustMark
from schemas.jurisdiction import Attestation
from schemas.problem import Problem

DEPTH_MAX: Final = 4  # superiors above an entity, the anchor among them
HINTS_MAX: Final = 4
STATEMENT_BYTES_MAX: Final = 16 * 1024
KEYS_MAX: Final = 16
MARKS_READ_MAX: Final = 32


@dataclass(frozen=True)
class Chain:
    """A verified chain: `path` runs from the entity up to its anchor; believed until `exp`, a Unix second.

    `keys` are the entity's federation keys, `issued` says when each statement was made, by issuer and subject.
    """

    path: tuple[str, ...]
    own: EntityStatement
    root: EntityStatement
    metadata: Mapping[str, Mapping[str, Any]]
    keys: Mapping[str, PublicKey]
    exp: int
    issued: Mapping[tuple[str, str], int]
    tokens: tuple[str, ...]

    @property
    def entity(self) -> str:
        """Whom the chain is about."""
        return self.path[0]

    @property
    def anchor(self) -> str:
        """On whose word."""
        return self.path[-1]


@dataclass(frozen=True)
class Member:
    """A verified member: `keys` sign its documents, `federation_keys` its statements and marks; believed until `exp`.

    `tls_ca` are the DER certificates of its own CA, `path` the ids from itself up to the anchor that vouches for it.
    """

    entity: str
    name: str
    metadata: Metadata
    keys: Mapping[str, PublicKey]
    exp: int
    federation_keys: Mapping[str, PublicKey] = field(default_factory=dict)
    tls_ca: tuple[bytes, ...] = ()
    path: tuple[str, ...] = ()

    @property
    def anchor(self) -> str | None:
        """The anchor at the end of its chain."""
        return self.path[-1] if self.path else None


@dataclass(frozen=True)
class Mark:
    """A verified mark of any type that its issuer may give; `attest` is empty where the type attests no facts.

    `token` is the mark itself, `status` the uri of its status list and that list as it was believed. It counts until
    `exp`, when it has to be verified again: its issuer's chain or its status list may end before it does, at `own_exp`.
    """

    type: str
    issuer: str
    attest: Attestation
    exp: int
    token: str = ""
    status: tuple[str, str] | None = None
    own_exp: int = 0


@dataclass(frozen=True)
class TrustDomain:
    """The members that verified, and why each other one was rejected.

    `chains` holds the statements behind each member and each issuer of a mark, from its own configuration upwards.
    """

    members: Mapping[str, Member]
    marks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def member(self, entity: str, now: int) -> Member:
        """The member, if it is believed at `now`. Raises `NOT_FOUND`."""
        found = self.members.get(entity)
        if found is None or found.exp <= now:
            raise Problem("NOT_FOUND", f"{entity} is no member of this trust domain", extra={"entity": entity})
        return found

    def operators(self) -> tuple[Member, ...]:
        """Members that are operators, by entity id."""
        return tuple(m for _, m in sorted(self.members.items()) if m.metadata.connectivity_operator)

    def brokers(self) -> tuple[Member, ...]:
        """Members that are brokers, by entity id."""
        return tuple(m for _, m in sorted(self.members.items()) if m.metadata.connectivity_broker)

    def facts(self, entity: str, now: int) -> Attestation | None:
        """What a recognised auditor attests of an operator at `now`.

        The mark that lasts longest by its own word counts, of equals the one whose bytes come last, so that everybody
        who sees these marks sees the same facts.
        """
        valid = [mark for mark in self.valid_marks(entity, now) if mark.type == FACTS_MARK]
        return max(valid, key=lambda mark: (mark.own_exp, mark.token)).attest if valid else None

    def mark_types(self, entity: str, now: int) -> frozenset[str]:
        """The types of all marks that auditors recognised for them gave an operator, as far as valid at `now`."""
        return frozenset(mark.type for mark in self.valid_marks(entity, now))

    def valid_marks(self, entity: str, now: int) -> tuple[Mark, ...]:
        """Every mark about an operator that counts at `now`."""
        return tuple(mark for mark in self.marks.get(entity, ()) if mark.exp > now)


def verify_chain(tokens: Sequence[str], anchors: Mapping[str, Jwks], now: int) -> Chain:
    """Verify a chain, ordered as in section 4: the entity's configuration, statements upwards, the anchor's own.

    (1) the anchor's configuration with the keys that this node's configuration has for it
    (2) every statement with the keys that the statement above it lists; nobody appears twice
    (3) the entity's configuration with the keys that its superior lists, of which it must list the one it uses
    (4) constraints of every superior
    (5) metadata: what the superior sets, the entity types that are allowed, then the merged policy

    An anchor alone is a chain of one. Raises `DOCUMENT_INVALID`; its field says at which statement.
    """
    if not 1 <= len(tokens) <= DEPTH_MAX + 2 or len(tokens) == 2:
        _refuse("chain", f"expected an anchor alone, or an entity below at most {DEPTH_MAX} superiors")
    root = _root(tokens[-1], anchors, now)
    if len(tokens) == 1:
        return _chain([root], tokens, public_keys(root.jwks), {t: dict(p) for t, p in (root.metadata or {}).items()})
    keys, issuer, above = public_keys(root.jwks), root.iss, [root]
    for token in reversed(tokens[1:-1]):
        statement = _statement(token, keys, issuer, now)
        keys, issuer, above = public_keys(statement.jwks), statement.sub, [statement, *above]
    own = _configuration(tokens[0], keys, issuer, now)
    if above[0].iss not in (own.authority_hints or ()):
        _refuse(f"configuration of {own.iss}", f"does not name {above[0].iss} among its authority_hints")
    path = (own.iss, *(one.iss for one in above[:-1]))
    if len(set(path)) != len(path):
        _refuse("chain", "an entity stands twice in it")
    return _chain([own, *above], tokens, keys, _metadata(own, above[:-1], path))


def member_of(chain: Chain) -> Member:
    """The member that a chain shows. Raises `DOCUMENT_INVALID` where its resolved metadata are of another shape."""
    try:
        metadata = msgspec.convert(chain.metadata, Metadata)
    except msgspec.ValidationError as error:
        raise Problem("DOCUMENT_INVALID", str(error), field=f"metadata of {chain.entity}") from error
    named = metadata.federation_entity
    roles = (metadata.connectivity_operator, metadata.connectivity_broker)
    return Member(
        chain.entity,
        named.organization_name if named else chain.entity,
        metadata,
        _document_keys(metadata),
        chain.exp,
        chain.keys,
        tuple(dict.fromkeys(_certificate(text, chain.entity) for role in roles if role for text in role.tls_ca)),
        chain.path,
    )


def best_chain(chains: Iterable[Chain]) -> Chain | None:
    """The shortest; of equals the one that lasts longest; of equals the first by its path."""
    return min(chains, key=lambda chain: (len(chain.path), -chain.exp, chain.path), default=None)


def _chain(
    statements: list[EntityStatement], tokens: Sequence[str], keys: Mapping[str, PublicKey], metadata: dict[str, Any]
) -> Chain:
    path = list(dict.fromkeys(one.iss for one in statements))
    issued = {(one.iss, one.sub): one.iat for one in statements}
    exp = min(one.exp for one in statements)
    return Chain(tuple(path), statements[0], statements[-1], metadata, keys, exp, issued, tuple(tokens))


def _root(token: str, anchors: Mapping[str, Jwks], now: int) -> EntityStatement:
    claimed = unverified(token, EntityStatement).iss
    if claimed not in anchors:
        _refuse("chain", f"{claimed} is no configured trust anchor")
    return _configuration(token, public_keys(anchors[claimed]), claimed, now)


def _configuration(token: str, keys: Mapping[str, PublicKey], entity: str, now: int) -> EntityStatement:
    """An entity about itself: signed by a key that is among `keys` and that it lists itself."""
    at = f"configuration of {entity}"
    try:
        listed = {jwk.kid for jwk in unverified(token, EntityStatement).jwks.keys}
        usable = {kid: key for kid, key in keys.items() if kid in listed}
        found = verify_jws(token, EntityStatement, usable, now=now, iss=entity)
    except Problem as problem:
        raise Problem(problem.code, problem.detail, field=at) from problem
    if found.sub != entity:
        _refuse(at, f"is about {found.sub}")
    if found.constraints or found.metadata_policy or found.metadata_policy_crit or found.source_endpoint:
        _refuse(at, "holds what only a superior may say (constraints, metadata_policy, source_endpoint)")
    if found.authority_hints == ():
        _refuse(at, "authority_hints is empty; an entity without superiors leaves it out")
    if found.trust_anchor_hints is not None and not (found.trust_anchor_hints and found.authority_hints):
        _refuse(at, "trust_anchor_hints is empty, or of an entity without superiors; both leave it out")
    _check_labels(found, at)
    _check_both(found, at)
    return found


def _check_labels(found: EntityStatement, at: str) -> None:
    """A mark that is carried under another type than its own spoils the statement (section 3.2).

    What cannot be read as one of our marks has no type to compare, and counts for nothing later.
    """
    for carried in (found.trust_marks or ())[:MARKS_READ_MAX]:
        try:
            said = unverified(carried.trust_mark, TrustMark).trust_mark_type
        except Problem:
            continue
        if said != carried.trust_mark_type:
            _refuse(at, f"carries a mark as {carried.trust_mark_type} that is one of {said}")


def _statement(token: str, keys: Mapping[str, PublicKey], issuer: str, now: int) -> EntityStatement:
    """A superior about an entity below it."""
    at = f"statement of {issuer}"
    try:
        if len(token) > STATEMENT_BYTES_MAX:
            _refuse(at, f"larger than {STATEMENT_BYTES_MAX} bytes")
        found = verify_jws(token, EntityStatement, keys, now=now, iss=issuer)
    except Problem as problem:
        raise Problem(problem.code, problem.detail, field=at) from problem
    at = f"statement of {issuer} about {found.sub}"
    if found.sub == issuer:
        _refuse(at, "a superior's statement is about another entity")
    hints = found.authority_hints is not None or found.trust_anchor_hints is not None
    if hints or found.trust_marks or found.trust_mark_issuers or found.trust_mark_owners:
        _refuse(at, "holds what only an entity may say of itself (authority_hints, trust_marks and the like)")
    _check_both(found, at)
    return found


def _check_both(found: EntityStatement, at: str) -> None:
    """What holds for every statement (section 3.1); no claim beyond those of the specification is understood here."""
    if found.crit is not None:
        _refuse(at, f"demands that {', '.join(found.crit[:4]) or 'nothing'} be understood (crit), which it is not")
    if not 0 < len(found.jwks.keys) <= KEYS_MAX or len({key.kid for key in found.jwks.keys}) != len(found.jwks.keys):
        _refuse(at, f"expected 1 to {KEYS_MAX} keys, each with its own kid")
    if any(value is None for parameters in (found.metadata or {}).values() for value in parameters.values()):
        _refuse(at, "null is no value in metadata")


def _metadata(own: EntityStatement, superiors: Sequence[EntityStatement], path: Sequence[str]) -> dict[str, Any]:
    """The resolved metadata of the entity; `superiors` are the statements from the nearest up to the anchor's."""
    for height, statement in enumerate(superiors):
        if statement.constraints is not None:
            with_intermediates = path[: height + 1][::-1]
            check_constraints(statement.constraints, with_intermediates)
    said = {entity_type: dict(parameters) for entity_type, parameters in (own.metadata or {}).items()}
    for entity_type, parameters in (superiors[0].metadata or {}).items():
        if entity_type in said:
            said[entity_type] |= parameters
    allowed = allowed_metadata([one.constraints for one in superiors if one.constraints], said)
    critical = {name for one in superiors for name in _critical(one)}
    policies = [one.metadata_policy for one in reversed(superiors) if one.metadata_policy]
    return applied(merged(policies, frozenset(critical)), allowed)


def _critical(statement: EntityStatement) -> tuple[str, ...]:
    names = statement.metadata_policy_crit
    if names == ():
        _refuse(f"statement of {statement.iss}", "metadata_policy_crit is empty; without operators it is left out")
    return names or ()


def _document_keys(metadata: Metadata) -> dict[str, PublicKey]:
    roles = (metadata.connectivity_operator, metadata.connectivity_broker, metadata.connectivity_auditor)
    keys: dict[str, PublicKey] = {}
    for role in roles:
        keys |= public_keys(role.jwks) if role and role.jwks else {}
    return keys


def _certificate(text: str, entity: str) -> bytes:
    """A CA certificate of `tls_ca`, as DER."""
    try:
        der = base64.b64decode(text, validate=True)
        extension = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, binascii.Error, x509.ExtensionNotFound) as error:
        raise Problem("DOCUMENT_INVALID", "no certificate of a CA", field=f"tls_ca of {entity}") from error
    if not extension.value.ca:
        _refuse(f"tls_ca of {entity}", "no certificate of a CA")
    return der


def _refuse(field: str, why: str) -> NoReturn:
    raise Problem("DOCUMENT_INVALID", why, field=field)

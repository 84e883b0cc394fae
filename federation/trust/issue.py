"""Making statements and marks: what an anchor, a member and an auditor sign."""

from __future__ import annotations

from federation.trust.jose import sign_jws
from federation.trust.keys import PrivateKey
from schemas.entity import FACTS_MARK, EntityStatement, Jwks, Metadata, TrustMark
from schemas.jurisdiction import Attestation

DAY_S = 86400


def jwks(*keys: PrivateKey) -> Jwks:
    """The key set of some keys."""
    return Jwks(tuple(key.jwk() for key in keys))


def entity_configuration(
    key: PrivateKey,
    entity: str,
    metadata: Metadata,
    *,
    now: int,
    life_s: int = DAY_S,
    authority: str | None = None,
    trust_mark_issuers: dict[str, tuple[str, ...]] | None = None,
) -> str:
    """An entity about itself, signed by its federation key; an anchor names who may issue which marks."""
    claims = EntityStatement(
        iss=entity,
        sub=entity,
        iat=now,
        exp=now + life_s,
        jwks=jwks(key),
        metadata=metadata,
        authority_hints=(authority,) if authority else (),
        trust_mark_issuers=trust_mark_issuers,
    )
    return sign_jws(key, claims)


def subordinate_statement(
    key: PrivateKey, superior: str, entity: str, entity_keys: Jwks, *, now: int, life_s: int = DAY_S
) -> str:
    """A superior about a member: these are its federation keys."""
    claims = EntityStatement(iss=superior, sub=entity, iat=now, exp=now + life_s, jwks=entity_keys)
    return sign_jws(key, claims)


def facts_mark(
    key: PrivateKey, auditor: str, operator: str, attest: Attestation, *, now: int, life_s: int = 30 * DAY_S
) -> str:
    """An auditor attests facts about an operator."""
    claims = TrustMark(iss=auditor, sub=operator, iat=now, exp=now + life_s, trust_mark_type=FACTS_MARK, attest=attest)
    return sign_jws(key, claims)


def plain_mark(
    key: PrivateKey, auditor: str, operator: str, mark_type: str, *, now: int, life_s: int = 30 * DAY_S
) -> str:
    """An auditor gives an operator a mark of a type that says it all."""
    return sign_jws(key, TrustMark(iss=auditor, sub=operator, iat=now, exp=now + life_s, trust_mark_type=mark_type))

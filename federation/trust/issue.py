"""Making statements, marks and status lists: what an anchor, a member and an auditor sign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from federation.trust.jose import sign_jws, unverified
from federation.trust.keys import PrivateKey
from federation.trust.status import status_bits
from schemas.entity import (
    FACTS_MARK,
    CarriedMark,
    Constraints,
    EntityStatement,
    HistoricalKey,
    HistoricalKeys,
    Jwk,
    Jwks,
    Metadata,
    Status,
    StatusIndex,
    StatusList,
    TrustMark,
)
from schemas.jurisdiction import Attestation

DAY_S = 86400
STATUS_TTL_S = 300
STATUS_LIFE_S = 3600


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
    authorities: tuple[str, ...] = (),
    also: Iterable[Jwk] = (),
    marks: Iterable[str] = (),
    trust_mark_issuers: dict[str, tuple[str, ...]] | None = None,
) -> str:
    """An entity about itself, signed by its federation key; `also` are its other keys, for the overlap of a rotation.

    `authorities` are its superiors; `marks` are carried along; an anchor names who may issue which marks.
    """
    superiors = (*((authority,) if authority else ()), *authorities)
    carried = [CarriedMark(trust_mark_type=unverified(m, TrustMark).trust_mark_type, trust_mark=m) for m in marks]
    keys = {jwk.kid: jwk for jwk in (key.jwk(), *also)}
    claims = EntityStatement(
        iss=entity,
        sub=entity,
        iat=now,
        exp=now + life_s,
        jwks=Jwks(tuple(keys.values())),
        metadata=msgspec.to_builtins(metadata),
        authority_hints=superiors or None,
        trust_marks=tuple(carried) or None,
        trust_mark_issuers=trust_mark_issuers,
    )
    return sign_jws(key, claims)


def subordinate_statement(
    key: PrivateKey,
    superior: str,
    entity: str,
    entity_keys: Jwks,
    *,
    now: int,
    life_s: int = DAY_S,
    metadata: Mapping[str, Any] | None = None,
    policy: Mapping[str, Any] | None = None,
    constraints: Constraints | None = None,
    source: str | None = None,
) -> str:
    """A superior about a member: these are its federation keys, and this holds for it and everything below it."""
    claims = EntityStatement(
        iss=superior,
        sub=entity,
        iat=now,
        exp=now + life_s,
        jwks=entity_keys,
        metadata=dict(metadata) if metadata else None,
        metadata_policy=dict(policy) if policy else None,
        constraints=constraints,
        source_endpoint=source,
    )
    return sign_jws(key, claims)


def facts_mark(
    key: PrivateKey,
    auditor: str,
    operator: str,
    attest: Attestation,
    *,
    now: int,
    life_s: int = 30 * DAY_S,
    status: StatusIndex | None = None,
) -> str:
    """An auditor attests facts about an operator."""
    claims = _mark(auditor, operator, FACTS_MARK, now, life_s, status)
    return sign_jws(key, msgspec.structs.replace(claims, attest=attest))


def plain_mark(
    key: PrivateKey,
    auditor: str,
    operator: str,
    mark_type: str,
    *,
    now: int,
    life_s: int = 30 * DAY_S,
    status: StatusIndex | None = None,
) -> str:
    """An auditor gives an operator a mark of a type that says it all."""
    return sign_jws(key, _mark(auditor, operator, mark_type, now, life_s, status))


def _mark(  # noqa: PLR0917 - the claims in their order
    auditor: str, operator: str, mark_type: str, now: int, life_s: int, status: StatusIndex | None
) -> TrustMark:
    return TrustMark(
        iss=auditor,
        sub=operator,
        iat=now,
        exp=now + life_s,
        trust_mark_type=mark_type,
        status=Status(status_list=status) if status else None,
    )


def status_list(key: PrivateKey, issuer: str, uri: str, revoked: Iterable[int], size: int, *, now: int) -> str:
    """Which of the marks with an index below `size` the issuer has taken back."""
    claims = StatusList(
        iss=issuer,
        sub=uri,
        iat=now,
        exp=now + STATUS_LIFE_S,
        ttl=STATUS_TTL_S,
        status_list=status_bits(revoked, size),
    )
    return sign_jws(key, claims)


def historical_keys(key: PrivateKey, issuer: str, keys: Iterable[HistoricalKey], *, now: int) -> str:
    """The federation keys that an entity no longer uses, signed by one that it does."""
    return sign_jws(key, HistoricalKeys(iss=issuer, iat=now, exp=now + DAY_S, keys=tuple(keys)))

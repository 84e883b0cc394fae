"""Access tokens (RFC 9068): issued and verified by the same node, bound to a key or to a certificate (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from federation.tokens.dpop import Nonces, Proven, check_proof
from federation.tokens.refusal import TokenRefused
from federation.trust.jose import sign_jws, verify_jws
from federation.trust.keys import PrivateKey, PublicKey
from schemas.access import AccessToken, Actor, Confirmation
from schemas.authority import Authority
from schemas.problem import Problem
from schemas.segment import EntityId, Hash


class Issuer(NamedTuple):
    """A node that issues tokens for itself: its entity id, its protocol key, and where ids come from."""

    entity: EntityId
    key: PrivateKey
    token: Callable[[], str]

    def keys(self) -> Mapping[str, PublicKey]:
        """The keys that verify its tokens."""
        return self.key.verifiers()


class Holder(NamedTuple):
    """Who gets a token: the client, for whom it acts, over whom, and what the token is bound to."""

    client: str
    subject: str
    bound: Confirmation
    act: Actor | None = None


def issue_access(
    issuer: Issuer, holder: Holder, authority: Authority, *, mandate_h: Hash, txn: str, now: int, life_s: int
) -> str:
    """Sign an access token of this node for itself."""
    claims = AccessToken(
        iss=issuer.entity,
        sub=holder.subject,
        aud=issuer.entity,
        iat=now,
        exp=now + life_s,
        jti=issuer.token(),
        client_id=holder.client,
        authorization_details=(authority,),
        cnf=holder.bound,
        txn=txn,
        mandate_h=mandate_h,
        act=holder.act,
    )
    return sign_jws(issuer.key, claims)


def verify_access(
    token: str, keys: Mapping[str, PublicKey], *, me: EntityId, bound: Confirmation, now: int
) -> AccessToken:
    """A token that this node issued, shown by whoever it is bound to. Raises `TokenRefused`."""
    try:
        claims = verify_jws(token, AccessToken, keys, now=now, iss=me, aud=me)
    except Problem as problem:
        raise TokenRefused("invalid_token", problem.detail) from problem
    if claims.cnf != bound:
        raise TokenRefused("invalid_token", "the token is bound to another key")
    return claims


class Call(NamedTuple):
    """An agent's request as its headers and its listener tell it: `url` is what the agent called, without query."""

    authorization: str | None
    proof: str | None
    method: str
    url: str


def verify_call(
    call: Call, keys: Mapping[str, PublicKey], *, me: EntityId, now: int, nonces: Nonces | None = None
) -> tuple[AccessToken, Proven]:
    """Token and proof of an agent's request (RFC 9449 section 7); `nonces` for writes. Raises `TokenRefused`.

    Whether the proof was seen before is for the caller to ask.
    """
    scheme, _, token = (call.authorization or "").partition(" ")
    if scheme.lower() != "dpop" or not token or call.proof is None:
        raise TokenRefused("invalid_token", "send 'Authorization: DPoP TOKEN' and a DPoP proof")
    proven = check_proof(call.proof, call.method, call.url, now=now, token=token, nonces=nonces)
    return verify_access(token, keys, me=me, bound=Confirmation(jkt=proven.jkt), now=now), proven

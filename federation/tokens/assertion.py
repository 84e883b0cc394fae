"""What a node signs to get a token of another: who it is, and what it asks for (RFC 7523, identity chaining; pure).

The audience is the issuer, as one string: an assertion made for one node is worth nothing at any other.
"""

from __future__ import annotations

from typing import NamedTuple

from federation.tokens.access import Issuer
from federation.tokens.mandate import KeysOf
from federation.tokens.refusal import TokenRefused
from federation.trust.jose import sign_jws, unverified, verify_jws
from schemas.access import ASSERTION_LIFE_S, Actor, ClientAssertion, DelegationGrant
from schemas.authority import Authority
from schemas.problem import Problem
from schemas.segment import EntityId, Hash


class Chained(NamedTuple):
    """For whom a broker asks: the mandate, the purchase, and buyer and agent by their pseudonyms at the operator."""

    mandate_h: Hash
    txn: str
    buyer: str
    agent: str


def client_assertion(client: Issuer, audience: EntityId, *, now: int) -> str:
    """This is me, `client`, speaking to `audience` now."""
    claims = ClientAssertion(
        iss=client.entity, sub=client.entity, aud=audience, iat=now, exp=now + ASSERTION_LIFE_S, jti=client.token()
    )
    return sign_jws(client.key, claims)


def verify_assertion(token: str, keys_of: KeysOf, *, me: EntityId, now: int) -> ClientAssertion:
    """Who asserts itself. Raises `TokenRefused`."""
    try:
        client = unverified(token, ClientAssertion).iss
        claims = verify_jws(token, ClientAssertion, keys_of(client), now=now, iss=client, aud=me)
    except Problem as problem:
        raise TokenRefused("invalid_client", problem.detail) from problem
    if claims.sub != claims.iss:
        raise TokenRefused("invalid_client", "iss and sub differ")
    return claims


def delegation_grant(broker: Issuer, operator: EntityId, authority: Authority, chained: Chained, *, now: int) -> str:
    """What a broker asks of one operator, narrowed already (`slice_for`)."""
    claims = DelegationGrant(
        iss=broker.entity,
        sub=chained.buyer,
        aud=operator,
        iat=now,
        exp=now + ASSERTION_LIFE_S,
        jti=broker.token(),
        act=Actor(sub=broker.entity, act=Actor(sub=chained.agent)),
        authorization_details=(authority,),
        txn=chained.txn,
        mandate_h=chained.mandate_h,
    )
    return sign_jws(broker.key, claims)


def verify_delegation(token: str, keys_of: KeysOf, *, client: EntityId, me: EntityId, now: int) -> DelegationGrant:
    """What an authenticated client asks for, valid here and nowhere else. Raises `TokenRefused`."""
    try:
        claims = verify_jws(token, DelegationGrant, keys_of(client), now=now, iss=client, aud=me)
    except Problem as problem:
        raise TokenRefused("invalid_grant", problem.detail) from problem
    if claims.act.sub != client:
        raise TokenRefused("invalid_grant", "act names another than the client")
    asked = claims.authorization_details[0]
    if asked.locations != (me,):
        raise TokenRefused("invalid_authorization_details", "the authority must be for this operator alone")
    if asked.spend.until <= now:
        raise TokenRefused("invalid_authorization_details", "the authority has ended")
    return claims

"""A buyer, an agent, a broker and an operator with their keys, and what they sign for one another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from federation.tokens.access import Issuer
from federation.trust.jose import sign_jws
from federation.trust.keys import PrivateKey, PublicKey, generate
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.grant import EndpointGrant
from schemas.mandate import AgentKey, Mandate
from schemas.price import RateTable
from schemas.problem import Problem
from schemas.segment import window
from tests.support.seams import NOW, CountingEntropy

BUYER, BROKER, OPERATOR = "https://buyer.example", "https://broker.example", "https://surf.example"
OWNER, STRANGER = "https://owner.example", "https://stranger.example"
AGENT = "agent-7"
RATES = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_000, "GBP": 1_149_000})
SPEND = Spend(ccy="EUR", per_order_micro=50_000_000, total_micro=200_000_000, until=NOW + 86400)
AUTHORITY = Authority(
    type=AUTHORITY_TYPE,
    actions=tuple(Deed),
    max_bandwidth_bps=10**11,
    spend=SPEND,
    max_hops=6,
    depth=3,
)


class Cast:
    """Everybody's keys. `keys_of` is what a node knows of the others."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {
            name: generate() for name in (BUYER, BROKER, OPERATOR, OWNER, STRANGER, AGENT)
        }
        self.known = {BUYER, BROKER, OPERATOR, OWNER}
        self._ids = CountingEntropy("jti")

    def keys_of(self, entity: str) -> Mapping[str, PublicKey]:
        """Keys of an entity that is believed. Raises `NOT_FOUND`."""
        if entity not in self.known:
            raise Problem("NOT_FOUND", f"{entity} is no member")
        key = self.keys[entity]
        return {key.kid: key.key.public_key()}

    def issuer(self, entity: str) -> Issuer:
        """A node as it issues and asks for tokens."""
        return Issuer(entity, self.keys[entity], self._ids.token)

    def jti(self) -> str:
        """A fresh id."""
        return self._ids.token()

    def mandate(self, authority: Authority = AUTHORITY, signer: str = BUYER, **changes: Any) -> str:
        """A mandate for the agent at the broker."""
        claims = Mandate(
            iss=BUYER,
            sub=AGENT,
            aud=BROKER,
            iat=NOW,
            exp=NOW + 7 * 86400,
            jti=self.jti(),
            cnf=AgentKey(self.keys[AGENT].kid),
            authorization_details=(authority,),
        )
        return sign_jws(self.keys[signer], structs.replace(claims, **changes))

    def grant(self, signer: str = OWNER, **changes: Any) -> str:
        """The owner's consent for the broker at `uni-utrecht`."""
        claims = EndpointGrant(
            iss=OWNER,
            sub=BROKER,
            aud=OPERATOR,
            iat=NOW,
            exp=NOW + 86400,
            jti=self.jti(),
            uni="uni-utrecht",
            bandwidth_bps=10**10,
            window=window(NOW - 3600, NOW + 86400),
        )
        return sign_jws(self.keys[signer], structs.replace(claims, **changes))

"""The golden vectors of what may be done, chained from a buyer's mandate to an operator's token."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from federation.tokens.narrows import passed_on, slice_for
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import PrivateKey
from schemas.access import AccessToken, Actor, ClientAssertion, Confirmation, DelegationGrant, DpopProof
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.grant import EndpointGrant
from schemas.mandate import AgentKey, Mandate
from schemas.price import RateTable
from schemas.segment import window

BUYER, BROKER, OPERATOR = "https://buyer.example", "https://broker.example", "https://surf.example"
HASH: Final = "A" * 43


def authority(key: PrivateKey, now: int) -> list[msgspec.Struct]:
    """One document of every typ that concerns authority, signed by one key, as a chain."""
    given = Authority(
        type=AUTHORITY_TYPE,
        actions=tuple(Deed),
        max_bandwidth_bps=10**11,
        jurisdictions=("NL", "DE"),
        excluded_regimes=("US-CLOUD-ACT",),
        spend=Spend(ccy="EUR", per_order_micro=50_000_000, total_micro=200_000_000, until=now + 86400),
        max_hops=6,
        depth=3,
    )

    def times(life_s: int) -> dict[str, Any]:
        return {"iat": now, "exp": now + life_s, "jti": "j" * 22}

    mandate = Mandate(
        iss=BUYER,
        sub="agent-7",
        aud=BROKER,
        **times(7 * 86400),
        cnf=AgentKey(key.kid),
        authorization_details=(given,),
    )
    consent = EndpointGrant(
        iss=BUYER,
        sub=BROKER,
        aud=OPERATOR,
        **times(86400),
        uni="uni-utrecht",
        bandwidth_bps=10**10,
        window=window(now, now + 7200),
    )
    slice_ = slice_for(given, OPERATOR, "CHF", RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_000}))
    chained: dict[str, Any] = {
        "sub": "buyer-pseudonym",
        "aud": OPERATOR,
        "act": Actor(sub=BROKER, act=Actor(sub="agent-pseudonym")),
        "txn": "t" * 22,
        "mandate_h": doc_hash(sign_jws(key, mandate)),
    }
    grant = DelegationGrant(iss=BROKER, **times(60), **chained, authorization_details=(slice_,))
    token = AccessToken(
        iss=OPERATOR,
        **times(120),
        **chained,
        client_id=BROKER,
        cnf=Confirmation(x5t=HASH),
        authorization_details=(passed_on(slice_),),
    )
    proof = DpopProof(jti="j" * 22, htm="POST", htu=f"{BROKER}/peerway/v1/quotes", iat=now, ath=HASH)
    asserted = ClientAssertion(iss=BROKER, sub=BROKER, aud=OPERATOR, **times(60))
    return [mandate, consent, proof, asserted, grant, token]

"""What goes with a call to prove who may make it: access tokens and what they are asked for with.

`at+jwt` (RFC 9068), `dpop+jwt` (RFC 9449), `client-authentication+jwt` and `authorization-grant+jwt` (RFC 7523 and its
revision). Their shapes are those of the standards, so they carry no `v`.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct, field

from schemas.authority import Authority
from schemas.segment import EntityId, Hash, Id

AGENT_TOKEN_LIFE_S: Final = 300
OPERATOR_TOKEN_LIFE_S: Final = 120
ASSERTION_LIFE_S: Final = 60
PROOF_AGE_S: Final = 30

Subject = Annotated[str, Meta(min_length=1, max_length=200)]


class Actor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Who acts for the subject (RFC 8693 section 4.1): the present actor outside, earlier ones inside."""

    sub: Subject
    act: Actor | None = None


class Confirmation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a token is bound to: a DPoP key (`jkt`) or a TLS certificate (`x5t#S256`, RFC 8705); exactly one of them."""

    jkt: Hash | None = None
    x5t: Hash | None = field(default=None, name="x5t#S256")

    def __post_init__(self) -> None:
        if (self.jkt is None) == (self.x5t is None):
            raise ValueError("a token is bound to one key or to one certificate")


class AccessToken(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Claims of `at+jwt`: `client_id` may do at `aud`, for `sub`, what `authorization_details` says.

    `txn` is the same on every hop below one agent's token; `mandate_h` is the hash of the mandate that it comes from.
    """

    iss: EntityId
    sub: Subject
    aud: EntityId
    iat: int
    exp: int
    jti: str
    client_id: Subject
    authorization_details: tuple[Authority]
    cnf: Confirmation
    txn: Id
    mandate_h: Hash
    act: Actor | None = None


class DpopProof(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims of `dpop+jwt`: whoever has the key in the header makes this very request now. Members that others add are
    passed over, as the standard says."""

    jti: str
    htm: Annotated[str, Meta(min_length=1, max_length=20)]
    htu: Annotated[str, Meta(min_length=1, max_length=2048)]
    iat: int
    ath: Hash | None = None
    nonce: Annotated[str, Meta(max_length=200)] | None = None


class ClientAssertion(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `client-authentication+jwt` (private_key_jwt): iss = sub = the client; aud is one issuer."""

    iss: EntityId
    sub: EntityId
    aud: EntityId
    iat: int
    exp: int
    jti: str


class DelegationGrant(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `authorization-grant+jwt`: broker `iss` asks operator `aud` for a token with this narrowed authority.

    `sub` is the buyer's pseudonym at that operator; `act` is the broker, and inside it the agent's pseudonym there.
    """

    iss: EntityId
    sub: Subject
    aud: EntityId
    iat: int
    exp: int
    jti: str
    act: Actor
    authorization_details: tuple[Authority]
    txn: Id
    mandate_h: Hash

"""Mandates: a buyer's signed authority, verified, and the budget that a broker keeps of it (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from federation.trust.jose import doc_hash, unverified, verify_jws
from federation.trust.keys import PublicKey
from schemas.authority import Authority
from schemas.mandate import Mandate
from schemas.segment import EntityId, Hash

KeysOf = Callable[[EntityId], Mapping[str, PublicKey]]  # raises `Problem` for an entity that is not believed


class Given(NamedTuple):
    """A verified mandate and its hash, which every document of a purchase under it names."""

    claims: Mandate
    hash: Hash

    @property
    def authority(self) -> Authority:
        """What it allows."""
        return self.claims.authorization_details[0]


class Budget(NamedTuple):
    """What may be spent under one mandate, in micro-units of `ccy`; nothing is reserved from Unix second `until`."""

    mandate_h: Hash
    buyer: EntityId
    ccy: str
    per_order_micro: int
    total_micro: int
    until: int


def verify_mandate(token: str, keys_of: KeysOf, *, broker: EntityId, now: int) -> Given:
    """A mandate for this broker, signed by a buyer that `keys_of` knows. Raises `Problem`.

    The time to spend may be over before the mandate is: until then its agent can still end what it ordered.
    """
    buyer = unverified(token, Mandate).iss
    claims = verify_jws(token, Mandate, keys_of(buyer), now=now, iss=buyer, aud=broker)
    return Given(claims, doc_hash(token))


def budget_of(given: Given) -> Budget:
    """The budget of a mandate. It ends with the mandate, whatever its `until` says."""
    spend = given.authority.spend
    return Budget(
        mandate_h=given.hash,
        buyer=given.claims.iss,
        ccy=spend.ccy,
        per_order_micro=spend.per_order_micro,
        total_micro=spend.total_micro,
        until=min(spend.until, given.claims.exp),
    )

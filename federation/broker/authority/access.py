"""How a configuration names a buyer, and what it lets the owner of a bearer key do."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from federation.node.settings import KeyHash
from schemas.authority import HOPS_MAX, Countries, Deed, Deeds, Locations, Terms
from schemas.price import MICRO_MAX, Currency, Micro
from schemas.segment import BANDWIDTH_BPS_MAX, Bps, EntityId, Time

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@\-]*\Z")]


class BuyerLimits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the owner of a bearer key may do, as a mandate would say it; without limits, anything.

    `operators` are entity ids; amounts are micro-units of `currency`, by default EUR or the first that has a rate.
    Other limits are a new mandate, of which nothing is spent yet.
    """

    actions: Deeds = tuple(Deed)
    operators: Locations | None = None
    max_bandwidth_bps: Bps = BANDWIDTH_BPS_MAX
    jurisdictions: Countries | None = None
    excluded_regimes: Terms = ()
    required_marks: Terms = ()
    max_hops: Annotated[int, Meta(ge=1, le=HOPS_MAX)] = HOPS_MAX
    currency: Currency | None = None
    per_order_micro: Micro = MICRO_MAX
    total_micro: Micro = MICRO_MAX
    until: Time | None = None


class BuyerAccess(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A buyer: `entity` with the file of its public keys, whose mandates are then believed, or the SHA-256 of a bearer
    key with its `limits` (the key itself is in no file of the broker), or both.
    """

    name: Name
    entity: EntityId | None = None
    jwks: str | None = None
    key_sha256: KeyHash | None = None
    limits: BuyerLimits = BuyerLimits()

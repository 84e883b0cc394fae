"""What may be done: the one `authorization_details` type of Peerway (RFC 9396), in mandates, grants and access tokens.

Every hop passes on less than it was given: `federation/tokens/narrows.py` compares two of them axis by axis. A null
list means no limit on that axis; an empty one allows nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from schemas.interface import Country
from schemas.price import Currency, Micro
from schemas.segment import Bps, EntityId

AUTHORITY_TYPE: Final = "urn:peerway:rar:connectivity:v1"
HOPS_MAX: Final = 16
DEPTH_MAX: Final = 8

Unix = Annotated[int, Meta(ge=0, le=10**11)]
Term = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[!-~]+\Z")]
Terms = Annotated[tuple[Term, ...], Meta(max_length=64)]
Countries = Annotated[tuple[Country, ...], Meta(max_length=260)]
Locations = Annotated[tuple[EntityId, ...], Meta(max_length=128)]


class Deed(StrEnum):
    """What somebody may do: ask for firm quotes, order them, change leases in force, end them."""

    QUOTE = "quote"
    ORDER = "order"
    EXTEND = "extend"
    RELEASE = "release"


Deeds = Annotated[tuple[Deed, ...], Meta(max_length=8)]


class Spend(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much: at most `per_order_micro` for one order and `total_micro` for all, nothing from Unix second `until`."""

    ccy: Currency
    per_order_micro: Micro
    total_micro: Micro
    until: Unix


class Authority(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One authority.

    `actions` may be done at `locations` (operators by entity id), up to `max_bandwidth_bps` per path, inside
    `jurisdictions`, for data of `data_class`, away from `excluded_regimes`, over operators that have every one of
    `required_marks`, within `spend`, over at most `max_hops` segments. `depth` is how often it may still be passed on.
    """

    type: Literal["urn:peerway:rar:connectivity:v1"]
    actions: Deeds
    locations: Locations | None = None
    max_bandwidth_bps: Bps
    jurisdictions: Countries | None = None
    data_class: Term | None = None
    excluded_regimes: Terms = ()
    required_marks: Terms = ()
    spend: Spend
    max_hops: Annotated[int, Meta(ge=1, le=HOPS_MAX)]
    depth: Annotated[int, Meta(ge=0, le=DEPTH_MAX)]

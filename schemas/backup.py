"""A disjoint backup: what it must not share with the primary path, and the limits it has of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.price import Money
from schemas.segment import Limits


class Apart(StrEnum):
    """What the two paths of a pair must not have in common.

    Whatever is asked for, they cross no common interconnect and have no common segment (operator, interfaces, class).
    `segment` forbids a common stretch between the same two points of an operator's abstract graph too, `operator` a
    common operator, `site` interfaces at one place (equal coordinates to a thousandth of a degree), `city`
    interfaces in one city. What an end leaves no choice about is exempt: the operator, site or city that all UNIs of
    that end have in common, and the only stretch that leads away from a UNI.
    """

    SEGMENT = "segment"
    OPERATOR = "operator"
    SITE = "site"
    CITY = "city"


class BackupRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A second path beside the best one, apart from it.

    Everything that the intent asks for holds for both. `limits`, `hops` and `budget` stand for the backup in place of
    the intent's; null means as in the intent. A budget is for one path, not for the pair.
    """

    apart: Apart
    limits: Limits | None = None
    hops: Annotated[int, Meta(ge=1, le=16)] | None = None
    budget: Money | None = None

"""Offers and the sheets they travel in: published, non-binding, signed by the operator.

A sheet is a signed manifest and pages; page i is the JSON of a `Page`, and the manifest holds the Merkle root over
the pages in order. A delta is one signed batch from version to version; a gap means fetch the sheet again.

An operator discloses a mesh (offers between pairs of its interfaces) or an abstract graph (offers between nodes that
it names, and border offers between an interface and a node). Offers hold in both directions. The offers of one route
class that follow each other form one segment: hourly and gbps_hourly rates and promises add up along them, while the
class terms (set-up, minimum, exit, bands) count once.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.interface import Interface
from schemas.price import Currency, Micro, Tariff, TermFactor, TimeBand, check_bands
from schemas.segment import Hash, Id, Promise

PAGE_BYTES_MAX: Final = 48 * 1024


class Disclosure(StrEnum):
    """How much of its inside an operator shows."""

    MESH = "mesh"
    ABSTRACT = "abstract"


class ClassTerms(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="class", tag_field="kind_of"):
    """A route class and the part of its tariff that counts once per segment."""

    id: Id
    set_up_micro: Micro = 0
    minimum_micro: Micro = 0
    exit_micro: Micro = 0
    minimum_term_s: Annotated[int, Meta(ge=0)] = 0
    zone: str = "UTC"
    bands: tuple[TimeBand, ...] = ()
    terms: tuple[TermFactor, ...] = ()

    def __post_init__(self) -> None:
        check_bands(self.zone, self.bands)

    def tariff(self, currency: str, hourly_micro: int, gbps_hourly_micro: int) -> Tariff:
        """The whole tariff of a segment whose rates add up to the two given."""
        return Tariff(
            currency=currency,
            set_up_micro=self.set_up_micro,
            hourly_micro=hourly_micro,
            gbps_hourly_micro=gbps_hourly_micro,
            minimum_micro=self.minimum_micro,
            exit_micro=self.exit_micro,
            minimum_term_s=self.minimum_term_s,
            zone=self.zone,
            bands=self.bands,
            terms=self.terms,
        )


class Node(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="node", tag_field="kind_of"):
    """A node of an abstract graph; it says no more than its name."""

    id: Id


class Offer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="offer", tag_field="kind_of"):
    """A stretch on sale between `a` and `z` (interfaces or nodes) in one route class.

    `free` is the capacity left as steps of (Unix second, bit/s): each holds until the next, the last for good.
    """

    id: Id
    a: Id
    z: Id
    route_class: Id
    hourly_micro: Micro = 0
    gbps_hourly_micro: Micro = 0
    promise: Promise
    free: tuple[tuple[int, int], ...]


Item = Interface | ClassTerms | Node | Offer


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """One page of a sheet, at most `PAGE_BYTES_MAX` bytes as JSON."""

    version: int
    page: int
    items: tuple[Item, ...]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `offer-manifest+jwt`: which sheet is current, and how to check its pages."""

    v: int = 1
    iss: str
    iat: int
    exp: int
    jti: str
    version: int
    currency: Currency
    disclosure: Disclosure
    pages: Annotated[int, Meta(ge=0, le=65535)]
    root: Hash


class Delta(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `offer-delta+jwt`: what changed between two versions; `put` replaces by kind and id."""

    v: int = 1
    iss: str
    iat: int
    exp: int
    jti: str
    from_version: int
    to_version: int
    put: tuple[Item, ...] = ()
    drop: tuple[tuple[str, Id], ...] = ()


def steps_least(steps: tuple[tuple[int, int], ...], start_s: int, end_s: int) -> int:
    """The least capacity of `steps` between two seconds; before the first step nothing is free."""
    least: int | None = None
    for index, (at, bps) in enumerate(steps):
        until = steps[index + 1][0] if index + 1 < len(steps) else end_s
        if at < end_s and (until > start_s or index + 1 == len(steps)):
            least = bps if least is None else min(least, bps)
    covered = bool(steps) and steps[0][0] <= start_s
    return least if covered and least is not None else 0

"""What a buyer sends a broker over HTTP: the bodies of the operations in `openapi/broker.yaml`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.backup import BackupRequest
from schemas.intent import Intent, Objective
from schemas.price import Money
from schemas.segment import WINDOW_S_MAX, Bps, Id, Micros, Time

PATHS_DEFAULT = 3
PATHS_MAX = 16

OBJECTIVES_MAX = 3

Objectives = Annotated[tuple[Objective, ...], Meta(min_length=2, max_length=OBJECTIVES_MAX)]


def check_front(objectives: tuple[Objective, ...]) -> None:
    """Raises `ValueError` unless these are two or three objectives that a front can have."""
    if len(set(objectives)) < len(objectives) or not 2 <= len(objectives) <= OBJECTIVES_MAX:
        raise ValueError("front must name two or three different objectives")
    if "weighted" in objectives:
        raise ValueError("front takes price, latency and carbon, which it weighs against each other itself")


class SearchRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Which paths would serve this intent? `paths` is how many candidates to answer with at most.

    `front` names two or three objectives: the answer then also has the paths that no other beats on all of them.
    With `backup` it also has the two paths of least sum that have nothing of a kind in common.
    """

    intent: Intent
    paths: Annotated[int, Meta(ge=1, le=PATHS_MAX)] = PATHS_DEFAULT
    front: Objectives | None = None
    backup: BackupRequest | None = None

    def __post_init__(self) -> None:
        if self.front is not None:
            check_front(self.front)


class QuoteRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A firm price and a hold on every segment for this intent, please.

    `grants` are endpoint grants of whoever owns the UNIs at the ends, compact JWS, where these belong to others.
    """

    intent: Intent
    grants: Annotated[tuple[str, ...], Meta(max_length=2)] = ()


class OrderRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Turn this quote into a lease."""

    quote: Id


class Measurement(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Latency of a lease in force, measured from end to end: one way, or half of what the way and back took."""

    latency_us: Micros


class Way(StrEnum):
    """How a lease gets another bandwidth: where it is, or over a new path that is in force before the old one ends."""

    IN_PLACE = "in_place"
    NEW_PATH = "new_path"


class Resize(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Give a lease another bandwidth until its end. `way` allows only that one; null tries in place first.

    `budget` is the most that this may come to: the price until the end at the other bandwidth, and over a new path also
    what it costs to leave the old one before its end, and the new one. Null leaves it to the budget of the intent.
    """

    bandwidth_bps: Bps
    way: Way | None = None
    budget: Money | None = None


class Extension(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Make a lease last longer: `by_s` seconds beyond its end, or until `end`; one of them, never both."""

    by_s: Annotated[int, Meta(ge=1, le=WINDOW_S_MAX)] | None = None
    end: Time | None = None

    def __post_init__(self) -> None:
        if (self.by_s is None) == (self.end is None):
            raise ValueError("give either by_s or end, and only one of them")
        if self.end and self.end.microsecond:
            raise ValueError("end must be whole seconds")

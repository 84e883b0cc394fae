"""Cases of a policy: what it must permit and what it must deny, in a file beside it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from schemas.segment import Id


class Expected(StrEnum):
    """What a policy must say."""

    PERMIT = "permit"
    DENY = "deny"


class Case(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One case: `facts` by name, with some of them changed and some unknown.

    `context` is what the policy sees besides; `now` is an hour before the evidence ends if it is not given. With
    `broker`, facts by name too, it is a sale by an operator to that broker. One reason of a denial holds `reason`.
    """

    about: Annotated[str, Meta(min_length=1, max_length=200)]
    facts: Id
    change: dict[str, Any] = {}
    unknown: tuple[str, ...] = ()
    context: dict[str, Any] = {}
    broker: Id | None = None
    expect: Expected
    reason: str | None = None


class CaseFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Facts by name, as the schema of policies names them with their `part`, and the cases made of them."""

    facts: dict[Id, dict[str, Any]]
    cases: Annotated[tuple[Case, ...], Meta(min_length=1, max_length=1000)]

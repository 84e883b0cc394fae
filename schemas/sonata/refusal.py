"""How one of our problems travels inside a Sonata envelope: JSON text where Sonata has a free string.

A termination error carries it as `value`, an error body as `message`. A plain Sonata buyer reads code and reason;
a Peerway buyer reads the problem back whole: `{"code":"LABEL_TAKEN","detail":..,"field":..,"free":"100-200"}`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.problem import CATALOGUE, Outcome, Problem

TEXT_CHARS_MAX: Final = 16 * 1024
OWN: Final = ("code", "detail", "field", "retry_after_s")


class Refusal(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A problem as data, fit for a row: its code, one sentence, the field at fault, members of the code."""

    code: str
    detail: str
    field: str | None = None
    retry_after_s: int | None = None
    extra: dict[str, Any] = {}


def refusal_of(problem: Problem) -> Refusal:
    """The refusal that says what `problem` says."""
    return Refusal(
        code=problem.code,
        detail=problem.detail,
        field=problem.field,
        retry_after_s=problem.retry_after_s,
        extra=problem.extra,
    )


def problem_of(refusal: Refusal, outcome: Outcome | None = None) -> Problem:
    """The problem to raise for `refusal`."""
    return Problem(
        refusal.code,
        refusal.detail,
        field=refusal.field,
        outcome=outcome,
        retry_after_s=refusal.retry_after_s,
        extra=refusal.extra,
    )


def to_text(refusal: Refusal) -> str:
    """Our agreed form: one JSON object, members of the code beside the own members of a refusal."""
    own = {name: getattr(refusal, name) for name in OWN if getattr(refusal, name) is not None}
    return msgspec.json.encode(refusal.extra | own).decode()


def from_text(text: str) -> Refusal | None:
    """Read our agreed form back; None for any other text, since a foreign seller writes what it likes."""
    if len(text) > TEXT_CHARS_MAX:
        return None
    try:
        body = msgspec.json.decode(text, type=dict[str, Any])
        own = {name: body.pop(name) for name in OWN if name in body}
        refusal = msgspec.convert(own | {"extra": body}, Refusal)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return None
    return refusal if refusal.code in CATALOGUE else None

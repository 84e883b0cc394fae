"""How one of our problems travels inside a Sonata envelope: JSON text where Sonata has a free string.

A termination error carries it as `value`, an error body as `message`. A plain Sonata buyer reads code and reason;
a Peerway buyer reads the problem back whole: `{"code":"LABEL_TAKEN","detail":..,"field":..,"free":"100-200"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from schemas.problem import CATALOGUE, Problem

TEXT_BYTES_MAX: Final = 16 * 1024


class Refusal(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A problem as data, fit for a row: its code, one sentence, the field at fault, members of the code."""

    code: str
    detail: str
    field: str | None = None
    extra: dict[str, Any] = {}


def refusal_of(problem: Problem) -> Refusal:
    """The refusal that says what `problem` says."""
    return Refusal(code=problem.code, detail=problem.detail, field=problem.field, extra=problem.extra)


def problem_of(refusal: Refusal) -> Problem:
    """The problem to raise for `refusal`."""
    return Problem(refusal.code, refusal.detail, field=refusal.field, extra=refusal.extra)


def to_text(refusal: Refusal) -> str:
    """Our agreed form: one JSON object, members of the code beside `code`, `detail` and `field`."""
    own = {"code": refusal.code, "detail": refusal.detail}
    field = {"field": refusal.field} if refusal.field else {}
    return msgspec.json.encode(refusal.extra | own | field).decode()


def from_text(text: str) -> Refusal | None:
    """Read our agreed form back; None for any other text, since a foreign seller writes what it likes."""
    if len(text) > TEXT_BYTES_MAX:
        return None
    try:
        body = msgspec.json.decode(text.encode(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        return None
    return _read(body)


def _read(body: Mapping[str, Any]) -> Refusal | None:
    code, detail, field = body.get("code"), body.get("detail", ""), body.get("field")
    if (
        not isinstance(code, str)
        or code not in CATALOGUE
        or not isinstance(detail, str)
        or not isinstance(field, str | None)
    ):
        return None
    extra = {k: v for k, v in body.items() if k not in {"code", "detail", "field"}}
    return Refusal(code=code, detail=detail or CATALOGUE[code].title, field=field, extra=extra)

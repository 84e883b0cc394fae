"""What a seller answers when it cannot do as asked: Sonata's error bodies, made of ours.

The standard declares 400, 401, 403, 404, 422, 500 and 501 and nothing else; a body too large is therefore 400, and
busy is 500 with Retry-After. A problem travels whole in `message`, so that a Peerway buyer can read it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from schemas.problem import Problem
from schemas.sonata.errors import CODES, REASON_CHARS_MAX, ErrorBody
from schemas.sonata.refusal import refusal_of, to_text

CONFIGURATION: Final = "product/productConfiguration"
# Where the parts of an ask come from, below the item.
_PLACES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "segment": CONFIGURATION,
        "segment.window": f"{CONFIGURATION}/start",
        "segment.window.start": f"{CONFIGURATION}/start",
        "segment.window.end": f"{CONFIGURATION}/end",
        "segment.boundary": f"{CONFIGURATION}/boundary",
        "limits": f"{CONFIGURATION}/limits",
        "rfq": f"{CONFIGURATION}/rfq",
        "order": f"{CONFIGURATION}/order",
        "product": "product/id",
        "quote_id": "quoteItem/quoteId",
        "quote_item_id": "quoteItem/id",
        "billing_account": "billingAccount/id",
    }
)
# Where a write says what it is about: its item, or by a field of the ask.
_ITEMS: Final[Mapping[str, str]] = MappingProxyType({"quote": "/quoteItem/0", "productOrder": "/productOrderItem/0"})
_WHOLE: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("declineQuote", "quote_id"): "/quoteId",
        ("cancelQuote", "quote_id"): "/quoteId",
        ("cancelProductOrder", "order_id"): "/productOrder/productOrderId",
    }
)
_EVERYWHERE: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "UNAUTHENTICATED": (401, "invalidCredentials"),
        "POLICY_DENIED": (403, "accessDenied"),
        "PAYLOAD_TOO_LARGE": (400, "invalidBody"),
        "INTERNAL": (500, "internalError"),
        "UNAVAILABLE": (500, "internalError"),
        "OPERATOR_UNREACHABLE": (500, "internalError"),
    }
)
_ON_WRITE: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "NOT_FOUND": (422, "referenceNotFound"),
        "INVALID_ARGUMENT": (422, "invalidValue"),
        "DOCUMENT_INVALID": (422, "invalidValue"),
    }
)
_ON_READ: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {"NOT_FOUND": (404, "notFound"), "INVALID_ARGUMENT": (400, "invalidQuery")}
)
_SHAPES: Final = (
    ("Object missing required field", "missingProperty"),
    ("Object contains unknown field", "unexpectedProperty"),
    ("Invalid RFC3339", "invalidFormat"),
    ("Expected `datetime`", "invalidFormat"),
    ("Expected `str` matching regex", "invalidFormat"),
)


class Issue(msgspec.Struct, frozen=True):
    """One thing wrong: a code of Sonata's, a sentence, a JSON pointer into the body, our problem as text."""

    code: str
    reason: str
    pointer: str | None = None
    message: str | None = None


class Fault(Exception):
    """An error answer of a Sonata API: `status` and at least one issue; only a 422 may have several."""

    def __init__(self, status: int, *issues: Issue, retry_after_s: int | None = None) -> None:
        assert issues, "an error says what is wrong"
        assert len(issues) == 1 or status == 422, "only a 422 lists several issues"
        assert all(issue.code in CODES[status] for issue in issues), issues
        super().__init__(f"{status} {issues[0].code}: {issues[0].reason}")
        self.status = status
        self.issues = issues
        self.retry_after_s = retry_after_s

    def body(self) -> bytes:
        """The error body, JSON."""
        bodies = [_body(issue) for issue in self.issues]
        return msgspec.json.encode(bodies if self.status == 422 else bodies[0])


def unfit(code: str, pointer: str, reason: str) -> Fault:
    """A 422 on one part of the body."""
    return Fault(422, Issue(code, reason, pointer))


def fault_of(problem: Problem, resource: str, *, write: bool) -> Fault:
    """How `problem` is answered on a resource (`quote`, `declineQuote`, `productOrder` ...)."""
    status, code = _meaning(problem, write)
    message = None if problem.code in {"INTERNAL", "UNAUTHENTICATED"} else to_text(refusal_of(problem))
    pointer = _pointer(problem.field, resource) if status == 422 else None
    return Fault(status, Issue(code, problem.detail, pointer, message), retry_after_s=problem.retry_after_s)


def shape_fault(error: msgspec.ValidationError) -> Fault:
    """How a body of another shape is answered: 422 with a pointer to the member at fault."""
    why, _, path = str(error).partition(" - at `")
    code = next((code for start, code in _SHAPES if why.startswith(start)), "invalidValue")
    member = re.search(r"field `([^`]*)`", why) if code in {"missingProperty", "unexpectedProperty"} else None
    parts = re.findall(r"[^.$\[\]`]+", path.removesuffix("`")) + ([member[1]] if member else [])
    return unfit(code, "".join(f"/{escape(part)}" for part in parts), why)


def escape(part: str) -> str:
    """One token of a JSON pointer (RFC 6901)."""
    return part.replace("~", "~0").replace("/", "~1")


def camel(name: str) -> str:
    """`bandwidth_bps` as Sonata writes it."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _meaning(problem: Problem, write: bool) -> tuple[int, str]:
    rest = (422, "otherIssue") if write else (500, "internalError")
    return _EVERYWHERE.get(problem.code) or (_ON_WRITE if write else _ON_READ).get(problem.code, rest)


def _pointer(field: str | None, resource: str) -> str | None:
    if field is None:
        return None
    if whole := _WHOLE.get((resource, field)):
        return whole
    known = [name for name in _PLACES if field == name or field.startswith(f"{name}.")]
    if resource not in _ITEMS or not known:
        return None
    longest = max(known, key=len)
    below = [camel(part) for part in field[len(longest) :].split(".") if part]
    return "/".join([_ITEMS[resource], _PLACES[longest], *below])


def _body(issue: Issue) -> ErrorBody:
    return ErrorBody(
        code=issue.code,
        reason=issue.reason[:REASON_CHARS_MAX],
        message=issue.message,
        property_path=issue.pointer,
    )

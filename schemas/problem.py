"""The error catalogue: every operating error a user can meet, in one place.

A `Problem` is raised by rules and adapters alike and rendered once per transport: RFC 9457 problem+json over
HTTP, a status over gRPC, an error result over MCP, an error body over Sonata. Programmer errors are plain
assertions and reach a caller as `INTERNAL`, without detail.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple


class Outcome(StrEnum):
    """What a failed write left behind; `pending` and `unknown` come with the address to ask."""

    NONE = "none"
    UNDONE = "undone"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Kind(NamedTuple):
    """One row of the catalogue: HTTP status, a title that never changes, whether trying again can help."""

    status: int
    title: str
    retryable: bool


CATALOGUE: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": Kind(400, "The request is not valid", False),
        "UNAUTHENTICATED": Kind(401, "The caller is not known", False),
        "POLICY_DENIED": Kind(403, "Policy does not allow it", False),
        "NOT_FOUND": Kind(404, "No such thing, or not yours", False),
        "INCOMPATIBLE_STATE": Kind(409, "The present state does not allow it", False),
        "IDEMPOTENCY_CONFLICT": Kind(409, "The same Idempotency-Key came with another body", False),
        "CAPACITY_CHANGED": Kind(409, "The capacity is no longer free", True),
        "LABEL_TAKEN": Kind(409, "The label is no longer free", True),
        "HOLD_LOST": Kind(409, "The hold behind the quote is gone", False),
        "QUOTE_USED": Kind(409, "The quote was already ordered", False),
        "OPERATOR_REFUSED": Kind(409, "An operator refused", False),
        "QUOTE_EXPIRED": Kind(410, "The quote has expired", False),
        "PAYLOAD_TOO_LARGE": Kind(413, "The body is too large", False),
        "NO_FEASIBLE_PATH": Kind(422, "No path satisfies every limit", False),
        "DOCUMENT_INVALID": Kind(422, "A signed document does not verify", False),
        "TOO_MANY_REQUESTS": Kind(429, "A limit on use is reached", True),
        "INTERNAL": Kind(500, "An unexpected fault on our side", False),
        "NOT_IMPLEMENTED": Kind(501, "This seller does not offer it", False),
        "UNAVAILABLE": Kind(503, "Not able to serve now", True),
        "OPERATOR_UNREACHABLE": Kind(504, "An operator did not answer", True),
    }
)

# Refusals that bind no Idempotency-Key: the same request is asked to come again under it, and may have an effect then.
PASSING: Final = frozenset({"INTERNAL", "OPERATOR_UNREACHABLE", "TOO_MANY_REQUESTS", "UNAUTHENTICATED", "UNAVAILABLE"})


class Problem(Exception):
    """An operating error with a code of `CATALOGUE`.

    `detail` is one sentence for a person: what was wrong and what would be right. `field` names the part of
    the input at fault (dotted path). `outcome` is set on every failed write. `extra` holds members of the code:
    the operator that failed, binding limits, labels free now.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        outcome: Outcome | None = None,
        retry_after_s: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        assert code in CATALOGUE, code
        super().__init__(f"{field}: {detail}" if field else detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.outcome = outcome
        self.retry_after_s = retry_after_s
        self.extra = dict(extra or {})

    @property
    def status(self) -> int:
        """HTTP status of this problem."""
        return CATALOGUE[self.code].status

    def as_dict(self) -> dict[str, Any]:
        """RFC 9457 members, ours after the standard ones."""
        kind = CATALOGUE[self.code]
        body: dict[str, Any] = {
            "type": f"urn:peerway:problem:{self.code.lower().replace('_', '-')}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": kind.retryable,
        }
        optional = {"field": self.field, "outcome": self.outcome, "retry_after_s": self.retry_after_s}
        return body | {k: v for k, v in optional.items() if v is not None} | self.extra

    def with_field(self, field: str) -> Problem:
        """The same problem, naming the part at fault as whoever asked calls it."""
        return Problem(
            self.code,
            self.detail,
            field=field,
            outcome=self.outcome,
            retry_after_s=self.retry_after_s,
            extra=self.extra,
        )

    def with_outcome(self, outcome: Outcome, **extra: Any) -> Problem:
        """The same problem, saying what a failed write left behind."""
        return Problem(
            self.code,
            self.detail,
            field=self.field,
            outcome=outcome,
            retry_after_s=self.retry_after_s,
            extra=self.extra | extra,
        )


RETRY_AFTER_S_MAX: Final = 86_400
STANDARD_MEMBERS: Final = frozenset(
    {"type", "title", "status", "detail", "code", "retryable", "field", "outcome", "retry_after_s"}
)


def from_dict(body: Mapping[str, Any]) -> Problem:
    """Read a problem+json body back; an unknown code becomes `INTERNAL` with its detail kept. A member of another shape
    than ours is as good as absent: whoever wrote it need not be of good will."""
    code, outcome = str(body.get("code", "")), body.get("outcome")
    field, wait_s = body.get("field"), body.get("retry_after_s")
    return Problem(
        code if code in CATALOGUE else "INTERNAL",
        str(body.get("detail", body.get("title", "no detail given"))),
        field=field if isinstance(field, str) else None,
        outcome=Outcome(outcome) if isinstance(outcome, str) and outcome in set(Outcome) else None,
        retry_after_s=wait_s if type(wait_s) is int and 0 <= wait_s <= RETRY_AFTER_S_MAX else None,
        extra={k: v for k, v in body.items() if k not in STANDARD_MEMBERS},
    )


def invalid(field: str, why: str) -> Problem:
    """`INVALID_ARGUMENT` on `field`; `why` says what was wrong and what would be right."""
    return Problem("INVALID_ARGUMENT", why, field=field)


def not_found(what: str) -> Problem:
    """`NOT_FOUND`; the same answer whether it does not exist or belongs to another."""
    return Problem("NOT_FOUND", f"{what} is not known here")

"""The HTTP face, one row per operation: the table that routes requests and that the OpenAPI document is made from."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

from aiohttp import web

from federation.broker.api.exchange import Exchange
from federation.broker.config import Limits
from federation.broker.orders.protocols import PAGE_MAX
from federation.node.http import json_body
from schemas.answer import (
    AllowanceView,
    AuditView,
    EvidenceView,
    FederationView,
    MeasurementView,
    OrderView,
    PoliciesView,
    QuotePending,
    QuoteView,
    ResizeView,
    RevocationView,
    SearchAnswer,
    StatementView,
)
from schemas.evidence import Profile
from schemas.problem import Problem, invalid
from schemas.request import Extension, Measurement, OrderRequest, QuoteRequest, Resize, SearchRequest

T = TypeVar("T")
BASE: Final = "/peerway/v1"
KEY_HEADER: Final = "Idempotency-Key"
KEY_CHARS_MAX: Final = 255
WAIT_DIGITS_MAX: Final = 4
LIMIT_DIGITS_MAX: Final = 4
PAGE_DEFAULT: Final = 100
HASH: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
READ_PROBLEMS: Final = ("INVALID_ARGUMENT", "UNAUTHENTICATED", "INTERNAL", "UNAVAILABLE")
MANDATED: Final = "POLICY_DENIED"  # not within the mandate
WRITE_PROBLEMS: Final = (*READ_PROBLEMS, "IDEMPOTENCY_CONFLICT", "PAYLOAD_TOO_LARGE")


class Call:
    """One request: the buyer's exchange, and the parts of the request, read strictly. Every reader raises `Problem`."""

    def __init__(self, request: web.Request, exchange: Exchange, limits: Limits) -> None:
        self.request, self.exchange, self.limits = request, exchange, limits

    async def body(self, kind: type[T]) -> T:
        """The JSON body."""
        return await json_body(self.request, kind, self.limits.body_bytes)

    def id(self) -> str:
        """The id in the path."""
        return self.request.match_info["id"]

    def hash(self) -> str:
        """The hash of a document in the path."""
        if not HASH.fullmatch(self.id()):
            raise invalid("id", "is no hash of a mandate: 43 base64url characters, as `peerway mandate show` prints")
        return self.id()

    def profile(self) -> Profile:
        """Whom evidence is for, from the query; the buyer itself if nothing is said."""
        text = self.request.query.get("profile", Profile.BUYER.value)
        try:
            return Profile(text)
        except ValueError as error:
            raise invalid("profile", f"'{text[:20]}' is none of {', '.join(Profile)}") from error

    def key(self) -> str:
        """The `Idempotency-Key`."""
        key = self.request.headers.get(KEY_HEADER, "")
        if not 1 <= len(key) <= KEY_CHARS_MAX or not key.isascii() or not key.isprintable():
            why = f"send 1 to {KEY_CHARS_MAX} printable ASCII characters, new for each new request"
            raise invalid(KEY_HEADER, f"is required on every write: {why}")
        return key

    def wait_s(self) -> int:
        """Seconds to wait, from the query; never more than this broker waits."""
        text = self.request.query.get("wait_s", "0")
        if not (text.isascii() and text.isdigit() and len(text) <= WAIT_DIGITS_MAX):
            raise invalid("wait_s", f"'{text[:20]}' is not a whole number of seconds, such as 20")
        return min(int(text), self.limits.wait_s)

    def limit(self) -> int:
        """How many orders the answer may have, from the query."""
        text = self.request.query.get("limit", str(PAGE_DEFAULT))
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= LIMIT_DIGITS_MAX else 0
        if not 1 <= number <= PAGE_MAX:
            raise invalid("limit", f"'{text[:20]}' is not a number from 1 to {PAGE_MAX}")
        return number


class Operation(NamedTuple):
    """One row. `write` operations need an `Idempotency-Key`; `problems` are the codes beyond the usual ones. `later` is
    what it answers with status 202 where its answer is not there yet."""

    method: str
    path: str
    name: str
    summary: str
    run: Callable[[Call], Awaitable[Any]]
    answer: Any
    body: Any = None
    status: int = 200
    query: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    later: Any = None

    @property
    def write(self) -> bool:
        """Whether the operation changes anything."""
        return self.method == "POST" and self.name != "search"

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Every code it may answer with."""
        usual = WRITE_PROBLEMS if self.write else READ_PROBLEMS
        sized = ("PAYLOAD_TOO_LARGE",) if self.body and not self.write else ()
        return (*usual, *sized, *self.problems)


async def search(call: Call) -> SearchAnswer:
    """Candidates for an intent."""
    asked = await call.body(SearchRequest)
    paths = min(asked.paths, call.limits.paths)
    return await call.exchange.search(asked.intent, paths, front=asked.front, backup=asked.backup)


async def quote(call: Call) -> QuoteView | QuotePending:
    """A firm quote, or what is waited for."""
    key, asked = call.key(), await call.body(QuoteRequest)
    return await call.exchange.quote(asked.intent, key, asked.grants)


async def get_quote(call: Call) -> QuoteView | QuotePending:
    """A quote as it stands, perhaps after a wait."""
    return await call.exchange.get_quote(call.id(), call.wait_s())


async def decline(call: Call) -> QuoteView | QuotePending:
    """Let a quote go."""
    return await call.exchange.decline(call.id(), call.key())


async def order(call: Call) -> OrderView:
    """Quote to order."""
    key, wait_s, asked = call.key(), call.wait_s(), await call.body(OrderRequest)
    return await _settled(call, await call.exchange.order(asked.quote, key), wait_s)


async def _settled(call: Call, written: OrderView, wait_s: int) -> OrderView:
    """An order once it stands still, where the caller waits for that. It is written already, whatever comes now."""
    if wait_s == 0:
        return written
    try:
        return await call.exchange.get_order(written.id, wait_s)
    except Problem:
        return written


async def get_order(call: Call) -> OrderView:
    """An order as it stands, perhaps after a wait."""
    return await call.exchange.get_order(call.id(), call.wait_s())


async def orders(call: Call) -> tuple[OrderView, ...]:
    """A page of the buyer's orders."""
    return await call.exchange.orders(call.limit(), call.request.query.get("after"))


async def extend(call: Call) -> OrderView:
    """Make a lease last longer."""
    key, asked = call.key(), await call.body(Extension)
    return await call.exchange.extend(call.id(), asked, key)


async def resize(call: Call) -> ResizeView:
    """Give a lease another bandwidth."""
    key, asked = call.key(), await call.body(Resize)
    return await call.exchange.resize(call.id(), asked, key)


async def release(call: Call) -> OrderView:
    """End a lease."""
    key, wait_s = call.key(), call.wait_s()
    return await _settled(call, await call.exchange.release(call.id(), key), wait_s)


async def heartbeat(call: Call) -> OrderView:
    """The holder is still there."""
    return await call.exchange.heartbeat(call.id(), call.key())


async def measure(call: Call) -> MeasurementView:
    """What was measured of a lease."""
    key, measured = call.key(), await call.body(Measurement)
    return await call.exchange.measure(call.id(), measured, key)


async def measurements(call: Call) -> tuple[MeasurementView, ...]:
    """All that was measured of it."""
    return await call.exchange.measurements(call.id())


async def revoke(call: Call) -> RevocationView:
    """Take a mandate back."""
    return await call.exchange.revoke(call.hash(), call.key())


async def evidence(call: Call) -> EvidenceView:
    """What proves an order."""
    return await call.exchange.evidence(call.id(), call.profile())


async def statement(call: Call) -> StatementView:
    """What an order came to."""
    return await call.exchange.statement(call.id())


async def audit(call: Call) -> AuditView:
    """What is kept that nobody owns."""
    return await call.exchange.audit()


async def allowance(call: Call) -> AllowanceView:
    """What may be done, and what is left."""
    return await call.exchange.allowance()


async def policies(call: Call) -> PoliciesView:
    """What an intent may name."""
    return await call.exchange.policies()


async def federation(call: Call) -> FederationView:
    """Who is there."""
    return await call.exchange.federation()


async def document(call: Call) -> dict[str, str]:
    """A signed document."""
    return {"document": await call.exchange.document(call.id())}


REFUSALS: Final = ("OPERATOR_REFUSED", "OPERATOR_UNREACHABLE", "CAPACITY_CHANGED", "LABEL_TAKEN", "TOO_MANY_REQUESTS")
USED: Final = ("NOT_FOUND", "INCOMPATIBLE_STATE")

OPERATIONS: Final = (
    Operation(
        "POST", "/search", "search", "Candidate paths from published offers, or why there is none. Nothing is held.",
        search, SearchAnswer, SearchRequest, problems=("NOT_FOUND", "TOO_MANY_REQUESTS", MANDATED),
    ),
    Operation(
        "POST", "/quotes", "quote", "A firm, signed end-to-end quote, with a hold at every operator until it expires.",
        quote, QuoteView, QuoteRequest, 201,
        problems=("NOT_FOUND", "NO_FEASIBLE_PATH", "DOCUMENT_INVALID", MANDATED, *REFUSALS), later=QuotePending,
    ),
    Operation(
        "GET", "/quotes/{id}", "getQuote",
        "A quote as it stands; with wait_s, one that operators take long for once it is there or time is up.",
        get_quote, QuoteView, query=("wait_s",),
        problems=("NOT_FOUND", "NO_FEASIBLE_PATH", "DOCUMENT_INVALID", MANDATED, *REFUSALS), later=QuotePending,
    ),
    Operation(
        "POST", "/quotes/{id}/decline", "decline", "Let a quote and its holds go, or stop waiting for it.",
        decline, QuoteView, problems=USED, later=QuotePending,
    ),
    Operation(
        "POST", "/orders", "order",
        "Turn a quote into an order: ACTIVE on every operator, or on none; with wait_s, told once it stands still.",
        order, OrderView, OrderRequest, 201, ("wait_s",),
        problems=(
            *USED, "QUOTE_EXPIRED", "QUOTE_USED", "HOLD_LOST", MANDATED, "OPERATOR_REFUSED", "OPERATOR_UNREACHABLE",
        ),
    ),
    Operation(
        "GET", "/orders", "listOrders",
        "Orders of this buyer, or of the agent's key, latest first, a page at a time: a short page is the last.",
        orders, tuple[OrderView, ...], query=("limit", "after"),
    ),
    Operation(
        "GET", "/orders/{id}", "getOrder", "An order as it stands; with wait_s, once it stands still or time is up.",
        get_order, OrderView, query=("wait_s",), problems=("NOT_FOUND",),
    ),
    Operation(
        "POST", "/orders/{id}/extend", "extend", "Make a lease last longer, on every operator or on none.",
        extend, OrderView, Extension, problems=(*USED, "HOLD_LOST", "DOCUMENT_INVALID", MANDATED, *REFUSALS),
    ),
    Operation(
        "POST", "/orders/{id}/resize", "resize",
        "Give a lease another bandwidth: in place on every operator, or over a new path that is in force before the "
        "old one ends. The answer says which, and names the order to use.",
        resize, ResizeView, Resize,
        problems=(*USED, "NO_FEASIBLE_PATH", "QUOTE_EXPIRED", "HOLD_LOST", "DOCUMENT_INVALID", MANDATED, *REFUSALS),
    ),
    Operation(
        "GET", "/orders/{id}/evidence", "evidence",
        "What proves an order to a stranger, as a file for `peerway verify`; 503 while a checkpoint is pending.",
        evidence, EvidenceView, query=("profile",), problems=(*USED, "OPERATOR_UNREACHABLE", "NOT_IMPLEMENTED"),
    ),
    Operation(
        "GET", "/orders/{id}/statement", "statement",
        "What an order that is over came to: signed, segment by segment, to the second; 503 while it is released.",
        statement, StatementView, problems=USED,
    ),
    Operation(
        "POST", "/orders/{id}/release", "release", "End a lease everywhere. Legal in every state, and again.",
        release, OrderView, query=("wait_s",), problems=("NOT_FOUND", MANDATED),
    ),
    Operation(
        "POST", "/orders/{id}/heartbeat", "heartbeat",
        "Whoever holds the lease is still there: a lease with `idle_release_s` is released without it.",
        heartbeat, OrderView, problems=("NOT_FOUND",),
    ),
    Operation(
        "POST", "/orders/{id}/measurements", "measure",
        "Report a latency measured of a lease in force. The answer says what it contradicts; it never proves anything.",
        measure, MeasurementView, Measurement, 201, problems=(*USED, "TOO_MANY_REQUESTS"),
    ),
    Operation(
        "GET", "/orders/{id}/measurements", "listMeasurements", "What was measured of an order, the first first.",
        measurements, tuple[MeasurementView, ...], problems=("NOT_FOUND",),
    ),
    Operation(
        "POST", "/mandates/{id}/revoke", "revokeMandate",
        "Take back a mandate by its hash, as its buyer: no token, quote or order under it from then on. Leases go on.",
        revoke, RevocationView, problems=(MANDATED,),
    ),
    Operation(
        "GET", "/audit", "audit",
        "What operators keep for this buyer that no live order of its owns, each asked just now: zero, or a list.",
        audit, AuditView, problems=("TOO_MANY_REQUESTS",),
    ),
    Operation(
        "GET", "/mandate", "mandate",
        "What whoever asks may do here, under its mandate or the limits of its key, and what is left to be spent.",
        allowance, AllowanceView, problems=("NOT_FOUND",),
    ),
    Operation(
        "GET", "/policies", "policies",
        "The policies that this buyer may name in an intent, with their texts, and what data classes bring.",
        policies, PoliciesView,
    ),
    Operation(
        "GET", "/federation", "federation", "The federation as the broker knows it now.", federation, FederationView
    ),
    Operation(
        "GET", "/documents/{id}", "getDocument", "A signed document of this buyer's quotes and orders, by its hash.",
        document, dict[str, str], problems=("NOT_FOUND",),
    ),
)  # fmt: skip

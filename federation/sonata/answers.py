"""What a buyer makes of a seller's answer: envelopes into answers, error bodies into problems. Pure.

A seller of ours writes a problem of ours into a free string of the envelope; of any other we know a code of Sonata's
and a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec import Struct

from schemas.problem import Outcome, Problem
from schemas.segment import Segment
from schemas.sonata.errors import ErrorBody
from schemas.sonata.inventory import Product
from schemas.sonata.order import Cancel, ProductOrder
from schemas.sonata.parts import TerminationError
from schemas.sonata.quote import Quote
from schemas.sonata.refusal import from_text, problem_of
from schemas.sonata.segment import SegmentConfiguration, given_or_none, missing, segment_of
from schemas.sonata.states import UNANSWERED, CancelState, OrderState, ProductStatus, QuoteState

_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "POLICY_DENIED",
        404: "NOT_FOUND",
        501: "NOT_IMPLEMENTED",
    }
)


class QuoteAnswer(Struct, frozen=True, kw_only=True):
    """A quote as it stands at the seller. `quote_jws` is unverified; `refusal` says why there is none."""

    id: str
    item_id: str
    state: QuoteState
    valid_until: datetime | None
    quote_jws: str | None
    refusal: Problem | None

    @property
    def waiting(self) -> bool:
        """Whether it is not answered yet."""
        return self.state in UNANSWERED

    @property
    def orderable(self) -> bool:
        """Whether it may be ordered now."""
        return self.state in {QuoteState.ORDERABLE, QuoteState.ORDERABLE_ALTERNATE}


class OrderAnswer(Struct, frozen=True, kw_only=True):
    """An order as it stands at the seller. `receipt_jws` is unverified; `refusal` says why it failed."""

    id: str
    state: OrderState
    product: str | None
    receipt_jws: str | None
    refusal: Problem | None


class CancelAnswer(Struct, frozen=True, kw_only=True):
    """A cancellation as it stands at the seller."""

    id: str
    state: CancelState
    denied: str | None


class ProductAnswer(Struct, frozen=True, kw_only=True):
    """A lease in the seller's inventory: the segment in force and its latest receipt, unverified."""

    id: str
    status: ProductStatus
    order: str | None
    segment: Segment | None
    receipt_jws: str | None


def read_quote(body: bytes) -> QuoteAnswer:
    """A `Quote`. Raises `msgspec.MsgspecError` on anything else."""
    quote = msgspec.json.decode(body, type=Quote)
    item = quote.quote_item[0]
    written = given_or_none(item.product.product_configuration)
    until = given_or_none(quote.valid_for)
    refused = quote.state in {QuoteState.UNABLE_TO_PROVIDE, QuoteState.REJECTED}
    return QuoteAnswer(
        id=quote.id,
        item_id=item.id,
        state=quote.state,
        valid_until=None if until is None else until.end_date_time,
        quote_jws=None if written is None else given_or_none(written.quote),
        refusal=refusal(item.termination_error, "the quote") if refused else None,
    )


def read_order(body: bytes) -> OrderAnswer:
    """A `ProductOrder`. Raises `msgspec.MsgspecError` on anything else."""
    order = msgspec.json.decode(body, type=ProductOrder)
    item = order.product_order_item[0]
    written = given_or_none(item.product.product_configuration)
    failed = order.state in {OrderState.FAILED, OrderState.REJECTED}
    return OrderAnswer(
        id=order.id,
        state=order.state,
        product=given_or_none(item.product.id),
        receipt_jws=None if written is None else given_or_none(written.receipt),
        refusal=refusal(item.termination_error, "the order") if failed else None,
    )


def read_cancel(body: bytes) -> CancelAnswer:
    """A `CancelProductOrder`. Raises `msgspec.MsgspecError` on anything else."""
    cancel = msgspec.json.decode(body, type=Cancel)
    return CancelAnswer(id=cancel.id, state=cancel.state, denied=given_or_none(cancel.cancellation_denied_reason))


def read_product(body: bytes) -> ProductAnswer:
    """A `MEFProduct`. Raises `msgspec.MsgspecError` on anything else."""
    product = msgspec.json.decode(body, type=Product)
    written = given_or_none(product.product_configuration)
    orders = product.product_order_item
    return ProductAnswer(
        id=product.id,
        status=product.status,
        order=orders[0].product_order_id if orders else None,
        segment=_segment(written),
        receipt_jws=None if written is None else given_or_none(written.receipt),
    )


def refusal(errors: Iterable[TerminationError], what: str) -> Problem:
    """Why an item could not be met, as a problem whose outcome is none."""
    errors = tuple(errors)
    ours = (from_text(given_or_none(error.value) or "") for error in errors)
    if first := next((found for found in ours if found), None):
        return problem_of(first, Outcome.NONE)
    said = "; ".join(f"{given_or_none(e.code)} {given_or_none(e.value) or ''}".strip() for e in errors)
    return Problem("OPERATOR_REFUSED", f"{what} was refused: {said or 'no reason given'}", outcome=Outcome.NONE)


def error_of(status: int, body: bytes, *, write: bool, retry_after_s: int | None = None) -> Problem:
    """An error answer as a problem. A write answered 4xx or 501 left nothing behind; one answered 5xx may have."""
    definite = status < 500 or status == 501
    outcome = (Outcome.NONE if definite else Outcome.UNKNOWN) if write else None
    errors = _errors(body, status)
    ours = from_text(errors[0].message or "") if errors else None
    if ours:
        return problem_of(ours, outcome)
    said = "; ".join(f"{error.code}: {error.reason} {error.property_path or ''}".strip() for error in errors)
    code = _CODES.get(status) or ("OPERATOR_REFUSED" if definite else "UNAVAILABLE")
    detail = f"the seller answered {status}{f' ({said})' if said else ''}"
    return Problem(code, detail, outcome=outcome, retry_after_s=retry_after_s)


def _errors(body: bytes, status: int) -> tuple[ErrorBody, ...]:
    try:
        if status == 422:
            return msgspec.json.decode(body, type=tuple[ErrorBody, ...])
        return (msgspec.json.decode(body, type=ErrorBody),)
    except (msgspec.MsgspecError, RecursionError):
        return ()


def _segment(written: SegmentConfiguration | None) -> Segment | None:
    if written is None or missing(written):
        return None
    try:
        return segment_of(written)
    except Problem as problem:
        raise msgspec.ValidationError(problem.detail) from problem

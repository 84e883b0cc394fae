"""From a request body to an ask: everything about an envelope that can be judged without the seller's own state.

Raises `Fault` for the envelope. The `check_*` functions are for the desk, once it has verified the documents, and
raise `Problem`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from federation.node.http import parse
from federation.sonata.errors import CONFIGURATION, Fault, Issue, camel, fault_of, shape_fault, unfit
from federation.sonata.protocols import CancelAsk, OrderAsk, QuoteAsk, QuoteRecord
from schemas.order import Order
from schemas.problem import Problem, invalid
from schemas.quote import Action, Rfq
from schemas.segment import End, Segment
from schemas.sonata.order import CancelCreate, OrderCreate, OrderItemCreate
from schemas.sonata.parts import EndOfTerm, ItemAction, ItemTerm, ProductValue, QuoteLevel, TimeUnit
from schemas.sonata.quote import QuoteCreate, QuoteOperation
from schemas.sonata.segment import SegmentConfiguration, given_or_none, limits_of, missing, segment_of

T = TypeVar("T")
ACTIONS: Final[Mapping[ItemAction, Action]] = MappingProxyType(
    {ItemAction.ADD: Action.ADD, ItemAction.MODIFY: Action.MODIFY, ItemAction.DELETE: Action.RELEASE}
)
QUOTE_ITEM: Final = "/quoteItem/0"
ORDER_ITEM: Final = "/productOrderItem/0"
_FIXED_S: Final[Mapping[TimeUnit, int]] = MappingProxyType(
    {
        TimeUnit.SECONDS: 1,
        TimeUnit.MINUTES: 60,
        TimeUnit.CALENDAR_HOURS: 3600,
        TimeUnit.CALENDAR_DAYS: 86400,
    }
)


def quote_ask(raw: bytes, offering: str | None) -> QuoteAsk:
    """A POST quote; of one that was taken before, the `offering` is not compared again. Raises `Fault`."""
    request = decode(raw, QuoteCreate)
    item = _sole(request.quote_item, "/quoteItem")
    if item.action is ItemAction.DELETE:
        raise unfit("invalidValue", f"{QUOTE_ITEM}/action", "a release needs no quote; order it with action delete")
    written = _product(item.product, item.action, QUOTE_ITEM, offering, ours="rfq")
    return QuoteAsk(
        raw=raw,
        external_id=given_or_none(request.external_id),
        project_id=given_or_none(request.project_id),
        firm=request.buyer_requested_quote_level is QuoteLevel.FIRM,
        action=ACTIONS[item.action],
        segment=_segment(written, "quote"),
        limits=limits_of(written),
        product=given_or_none(item.product.id),
        rfq=given_or_none(written.rfq),
        instant=request.instant_sync_quote,
        answer_by=_seconds(given_or_none(request.requested_quote_completion_date)),
    )


def order_ask(raw: bytes, offering: str) -> OrderAsk:
    """A POST productOrder. Raises `Fault`."""
    request = decode(raw, OrderCreate)
    item = _sole(request.product_order_item, "/productOrderItem")
    release = item.action is ItemAction.DELETE
    terms = _release_terms(item) if release else _terms(item, offering)
    return OrderAsk(
        raw=raw,
        external_id=given_or_none(request.external_id),
        project_id=given_or_none(request.project_id),
        action=ACTIONS[item.action],
        quote_id=terms.quote_id,
        quote_item_id=terms.quote_item_id,
        product=given_or_none(item.product.id),
        segment=terms.segment,
        order=terms.order,
    )


def cancel_ask(raw: bytes) -> CancelAsk:
    """A POST cancelProductOrder. Raises `Fault`."""
    request = decode(raw, CancelCreate)
    why = given_or_none(request.cancellation_reason) or "cancelled by the buyer"
    return CancelAsk(raw=raw, order_id=request.product_order.product_order_id, why=why)


def quote_operation(raw: bytes) -> QuoteOperation:
    """A POST cancelQuote or declineQuote. Raises `Fault`."""
    return decode(raw, QuoteOperation)


def decode(raw: bytes, kind: type[T]) -> T:
    """The body as `kind`; 400 for what is no JSON object, 422 for one of another shape."""
    body = read_object(raw)
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise shape_fault(error) from error


def read_object(raw: bytes) -> dict[str, Any]:
    """The body as plain values. Raises `Fault` for what is no JSON object or cannot be echoed."""
    try:
        body = parse(raw)
    except Problem as problem:
        raise Fault(400, Issue("invalidBody", problem.detail)) from problem
    if not isinstance(body, dict):
        raise Fault(400, Issue("invalidBody", "the body must be one JSON object"))
    return body


def check_rfq(ask: QuoteAsk, rfq: Rfq) -> None:
    """That a verified rfq says the same as the envelope around it. Raises `INVALID_ARGUMENT`."""
    same = {
        "externalId, which must be its jti": ask.external_id == rfq.jti,
        "the item's action": ask.action == rfq.action,
        "the product id": ask.product == rfq.product,
        "the segment": ask.segment == rfq.segment,
        "the limits": ask.limits == rfq.limits,
        "the quote level, which must be firm": ask.firm,
    }
    _agree(same, "rfq")


def check_order(ask: OrderAsk, order: Order) -> None:
    """That a verified order document says the same as the envelope around it. Raises `INVALID_ARGUMENT`."""
    same = {
        "externalId, which must be its jti": ask.external_id == order.jti,
        "the item's action": ask.action == order.action,
        "the product id": ask.product == order.product,
    }
    _agree(same, "order")


def check_ordered(ask: OrderAsk, quote: QuoteRecord) -> None:
    """That an order takes what was quoted: its item, its product and its segment. Raises `INVALID_ARGUMENT`.

    The segment may name the labels that are held where the quote left them to the seller.
    """
    item = decode(quote.raw, QuoteCreate).quote_item[0]
    if ask.quote_item_id != item.id:
        raise invalid("quote_item_id", f"the quote's item is '{item.id}'")
    if ask.action != ACTIONS[item.action] or ask.product != given_or_none(item.product.id):
        raise invalid("quote_id", "the quote is for another action or product")
    if ask.segment is None or quote.segment is None or not same_segment(ask.segment, quote.segment):
        raise invalid("segment", "differs from the one quoted; an order repeats it")


def same_segment(asked: Segment, held: Segment) -> bool:
    """Whether `asked` is `held`, a label left open matching any."""
    open_ended = msgspec.structs.replace(asked, a=_filled(asked.a, held.a), z=_filled(asked.z, held.z))
    return open_ended == held


def _filled(asked: End, held: End) -> End:
    return End(asked.interface, held.label if asked.label is None else asked.label)


def _agree(same: Mapping[str, bool], document: str) -> None:
    differing = [name for name, agrees in same.items() if not agrees]
    if differing:
        raise invalid(document, f"the document differs from the envelope in {', '.join(differing)}")


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


def _sole(items: tuple[T, ...], pointer: str) -> T:
    if len(items) > 1:
        raise unfit("tooManyRecords", pointer, f"{len(items)} items; this seller takes one at a time")
    return items[0]


def _product(
    product: ProductValue, action: ItemAction, item: str, offering: str | None, *, ours: str
) -> SegmentConfiguration:
    """The configuration of a product to add or modify, once it is whole and holds nothing out of place."""
    issues = _misplaced_id(product, action, item)
    issues += [] if offering is None else _offering(product, action, item, offering)
    written = product.product_configuration
    if written is UNSET:
        lack = Issue("missingProperty", "a segment needs its configuration", f"{item}/{CONFIGURATION}")
        raise Fault(422, *issues, lack)
    issues += _members(written, item, ours)
    if issues:
        raise Fault(422, *issues)
    return written


def _misplaced_id(product: ProductValue, action: ItemAction, item: str) -> list[Issue]:
    if action is ItemAction.ADD and product.id is not UNSET:
        return [Issue("unexpectedProperty", "a product to add has no id yet", f"{item}/product/id")]
    if action is not ItemAction.ADD and product.id is UNSET:
        return [Issue("missingProperty", "name the product to change", f"{item}/product/id")]
    return []


def _offering(product: ProductValue, action: ItemAction, item: str, offering: str) -> list[Issue]:
    pointer = f"{item}/product/productOffering"
    if product.product_offering is UNSET:
        lack = Issue("missingProperty", f"name the offering; this seller has '{offering}'", pointer)
        return [lack] if action is ItemAction.ADD else []
    if product.product_offering.id != offering:
        return [Issue("referenceNotFound", f"this seller has the offering '{offering}'", f"{pointer}/id")]
    return []


def _members(written: SegmentConfiguration, item: str, ours: str) -> list[Issue]:
    pointer = f"{item}/{CONFIGURATION}"
    lacking = [Issue("missingProperty", f"{name} is missing", f"{pointer}/{name}") for name in missing(written)]
    documents = {"rfq": written.rfq, "order": written.order, "quote": written.quote, "receipt": written.receipt}
    misplaced = [name for name, token in documents.items() if name != ours and token is not UNSET]
    return lacking + [Issue("unexpectedProperty", _why_misplaced(n), f"{pointer}/{n}") for n in misplaced]


def _why_misplaced(name: str) -> str:
    places = {"rfq": "rfq belongs in a quote", "order": "order belongs in an order"}
    return places.get(name, f"{name} is set by the seller")


class _Terms(NamedTuple):
    """What an order item says beside its action and product."""

    quote_id: str | None = None
    quote_item_id: str | None = None
    segment: Segment | None = None
    order: str | None = None


def _terms(item: OrderItemCreate, offering: str) -> _Terms:
    written = _product(item.product, item.action, ORDER_ITEM, offering, ours="order")
    segment = _segment(written, "productOrder")
    _check_term(item.requested_item_term, segment)
    if item.quote_item is UNSET:
        raise unfit("missingProperty", f"{ORDER_ITEM}/quoteItem", "this seller sells by quote only: name its item")
    return _Terms(item.quote_item.quote_id, item.quote_item.id, segment, given_or_none(written.order))


def _release_terms(item: OrderItemCreate) -> _Terms:
    """A release names its product, and carries its order document or no configuration at all."""
    if item.product.id is UNSET:
        raise unfit("missingProperty", f"{ORDER_ITEM}/product/id", "name the product to release")
    written = item.product.product_configuration
    if written is UNSET:
        return _Terms()
    for name in written.__struct_fields__:
        if name not in {"type_", "order"} and getattr(written, name) is not UNSET:
            pointer = f"{ORDER_ITEM}/{CONFIGURATION}/{camel(name)}"
            raise unfit("unexpectedProperty", pointer, "a release carries only order")
    return _Terms(order=given_or_none(written.order))


def _segment(written: SegmentConfiguration, resource: str) -> Segment:
    try:
        return segment_of(written)
    except Problem as problem:
        raise fault_of(problem, resource, write=True) from problem


def _check_term(term: ItemTerm | UnsetType, segment: Segment) -> None:
    """The term, if one is given, is the one quoted: the window, and then an end."""
    if term is UNSET:
        return
    pointer = f"{ORDER_ITEM}/requestedItemTerm"
    if term.end_of_term_action is not EndOfTerm.AUTO_DISCONNECT:
        raise unfit("invalidValue", f"{pointer}/endOfTermAction", "a lease ends by itself: autoDisconnect")
    if term.duration.amount * _FIXED_S.get(term.duration.units, 0) != segment.window.duration_s:
        raise unfit("invalidValue", f"{pointer}/duration", f"the window lasts {segment.window.duration_s} seconds")

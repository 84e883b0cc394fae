"""From a record to an envelope: what the buyer sent, unchanged, and what the seller adds. Pure.

Nothing here is stored: the envelope of a record is the same whenever it is rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from federation.sonata.asks import read_object
from federation.sonata.listing import ReasonType, answered_at, entered, present
from federation.sonata.protocols import CancelRecord, Change, HubRecord, OrderRecord, ProductRecord, QuoteRecord
from schemas.price import total
from schemas.segment import moment
from schemas.sonata.amounts import decimal, item_prices, item_term
from schemas.sonata.parts import Duration, Note, TimeUnit
from schemas.sonata.refusal import Refusal, to_text
from schemas.sonata.segment import OFFERING, configuration
from schemas.sonata.states import OrderItemState, OrderState, ProductStatus, QuoteItemState

S = TypeVar("S", bound=str)
Json = dict[str, Any]
NOTE_ID: Final = "total"
_QUOTE_STATES: Final = frozenset(QuoteItemState)
_ORDER_STATES: Final = frozenset(OrderItemState)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ORDER_ITEM_STATES: Final = {
    OrderState.HELD: OrderItemState.HELD,
    OrderState.PENDING: OrderItemState.PENDING,
    OrderState.PENDING_CANCELLATION: OrderItemState.PENDING,
}


class SellerProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What Sonata demands of a seller beside its product: a desk to call, and the id of the offering."""

    name: str
    number: str
    email_address: str
    offering: str = OFFERING

    def contact(self, role: str) -> Json:
        """This seller as `RelatedContactInformation`."""
        return {"role": role, "name": self.name, "number": self.number, "emailAddress": self.email_address}


def encode(envelope: Json | Sequence[Json]) -> bytes:
    """JSON, with decimals as numbers."""
    return _ENCODER.encode(envelope)


def quote_envelope(record: QuoteRecord, seller: SellerProfile) -> Json:
    """`Quote`."""
    body = read_object(record.raw)
    state = present(record.history)
    body |= {
        "id": record.id,
        "quoteDate": moment(record.created_at),
        **_completion(record),
        "state": state,
        "stateChange": _changes(record.history),
        "quoteItem": [_quote_item(record, body["quoteItem"][0])],
        **_signed(body, seller.contact("sellerContactInformation")),
    }
    if record.tariff is not None:
        body |= {
            "quoteLevel": body["buyerRequestedQuoteLevel"],
            "note": [*body.get("note", ()), _total(record, seller)],
        }
        body |= {} if record.valid_until is None else {"validFor": {"endDateTime": moment(record.valid_until)}}
    return body


def quote_summary(record: QuoteRecord) -> Json:
    """`Quote_Find`."""
    body = read_object(record.raw)
    level = {} if record.tariff is None else {"quoteLevel": body["buyerRequestedQuoteLevel"]}
    return {
        "id": record.id,
        "state": present(record.history),
        "quoteDate": moment(record.created_at),
        **_completion(record),
        **level,
        **_kept(body, "externalId", "projectId", "requestedQuoteCompletionDate"),
    }


def order_envelope(record: OrderRecord, seller: SellerProfile) -> Json:
    """`ProductOrder`."""
    body = read_object(record.raw)
    cancelled = [change for change in record.history if change.state is OrderState.CANCELLED]
    reason = {"cancellationReason": cancelled[0].why} if cancelled and cancelled[0].why else {}
    return {
        **body,
        "id": record.id,
        "orderDate": moment(record.created_at),
        "state": present(record.history),
        "stateChange": _changes(record.history),
        "productOrderItem": [_order_item(record, body["productOrderItem"][0])],
        **_signed(body, seller.contact("sellerContact")),
        **_order_dates(record),
        **reason,
    }


def order_summary(record: OrderRecord) -> Json:
    """`ProductOrder_Find`."""
    return {
        "id": record.id,
        "state": present(record.history),
        "orderDate": moment(record.created_at),
        **_order_dates(record),
        **_kept(read_object(record.raw), "externalId", "projectId"),
    }


def cancel_envelope(record: CancelRecord, seller: SellerProfile) -> Json:
    """`CancelProductOrder`."""
    body = read_object(record.raw)
    denied = {} if record.denied is None else {"cancellationDeniedReason": record.denied}
    contacts = _signed(body, seller.contact("cancelProductOrderSellerContact"))
    return {**body, "id": record.id, "state": record.state, **denied, **contacts}


def cancel_summary(record: CancelRecord) -> Json:
    """`CancelProductOrder_Find`, where a kind of reason must stand even if the buyer gave none."""
    kept = _kept(read_object(record.raw), "productOrder", "cancellationReasonType")
    return {"id": record.id, "state": record.state, "cancellationReasonType": ReasonType.COMMERCIAL, **kept}


def hub_envelope(record: HubRecord) -> Json:
    """`EventSubscription`."""
    query = {} if record.query is None else {"query": record.query}
    return {"id": record.id, "callback": record.callback, **query}


def product_envelope(record: ProductRecord, seller: SellerProfile) -> Json:
    """`MEFProduct`: its configuration is the segment in force, whatever was ordered."""
    body = read_object(record.raw)
    item = body["productOrderItem"][0]
    ended = {} if record.ended_at is None else {"terminationDate": moment(record.ended_at)}
    return {
        **product_summary(record),
        "statusChange": [{"status": change.state, **_when(change)} for change in record.history],
        "lastUpdateDate": moment(record.history[-1].at),
        "productConfiguration": _plain(configuration(record.segment, receipt=record.document)),
        "productPrice": _plain(item_prices(record.tariff, record.segment)),
        "productTerm": [_plain(item_term(record.segment))],
        "relatedContactInformation": [seller.contact("sellerContact")],
        **_kept(item, "agreementName"),
        **ended,
    }


def product_summary(record: ProductRecord) -> Json:
    """`MEFProduct_Find`. Before it is active, the start is the planned one."""
    body = read_object(record.raw)
    item = body["productOrderItem"][0]
    start = entered(record.history, ProductStatus.ACTIVE) or record.segment.window.start_s
    return {
        "id": record.id,
        "status": present(record.history),
        "startDate": moment(start),
        "productOrderItem": [{"productOrderId": record.order_id, "productOrderItemId": item["id"]}],
        **_kept(body, "externalId"),
        **_kept(item, "billingAccount"),
        **_kept(item["product"], "productOffering", "productRelationship"),
    }


def _quote_item(record: QuoteRecord, item: Json) -> Json:
    history = [change for change in record.history if change.state.value in _QUOTE_STATES]
    answer = {"state": history[-1].state, "stateChange": _changes(history), "subjectToFeasibilityCheck": False}
    if record.refusal:
        return {**item, **answer, "terminationError": [_termination(record.refusal, "/quoteItem/0")]}
    if record.segment is None or record.tariff is None:
        return {**item, **answer}  # not answered yet, or cancelled before it was
    until_s = max(0, record.segment.window.start_s - record.created_at) + record.up_within_s
    wait = Duration(amount=until_s, units=TimeUnit.SECONDS)
    return {
        **item,
        **answer,
        "product": _with_document(item["product"], "quote", record.document),
        "quoteItemInstallationInterval": _plain(wait),
        "quoteItemTerm": [_plain(item_term(record.segment))],
        "quoteItemPrice": _plain(item_prices(record.tariff, record.segment)),
    }


def _order_item(record: OrderRecord, item: Json) -> Json:
    history = _order_item_history(record.history)
    state = history[-1].state
    product = _with_document(item["product"], "receipt", record.document)
    named = {"id": record.product} if record.product else {}
    answer: Json = {"state": state, "stateChange": _changes(history), "product": product | named}
    if state is OrderItemState.IN_PROGRESS and record.expected_at is not None:
        answer["expectedCompletionDate"] = moment(record.expected_at)
    if state is OrderItemState.COMPLETED:
        answer["completionDate"] = moment(history[-1].at)
    if "requestedItemTerm" in item:
        answer["itemTerm"] = [item["requestedItemTerm"]]
    if record.refusal:
        answer["terminationError"] = [_termination(record.refusal, "/productOrderItem/0")]
    return {**item, **answer}


def _order_item_history(history: Sequence[Change[OrderState]]) -> list[Change[OrderItemState]]:
    told: list[Change[OrderItemState]] = []
    for change in history:
        state = _ORDER_ITEM_STATES.get(change.state)
        if state is None and change.state.value in _ORDER_STATES:
            state = OrderItemState(change.state.value)
        if state is not None:
            told.append(Change(state, change.at, change.why))
    return told


def _order_dates(record: OrderRecord) -> Json:
    dates = {
        "completionDate": entered(record.history, OrderState.COMPLETED),
        "cancellationDate": entered(record.history, OrderState.CANCELLED),
    }
    return {name: moment(at) for name, at in dates.items() if at is not None}


def _with_document(product: Json, member: str, document: str | None) -> Json:
    if document is None:
        return product
    return product | {"productConfiguration": product["productConfiguration"] | {member: document}}


def _termination(refusal: Refusal, pointer: str) -> Json:
    return {"code": "otherIssue", "propertyPath": pointer, "value": to_text(refusal)}


def _total(record: QuoteRecord, seller: SellerProfile) -> Json:
    """Sonata has no total of a quote; a note says it, so that a plain buyer need not add up hours."""
    assert record.tariff is not None, "only a quote with a price has a total"
    lines = ", ".join(f"{line.name} {decimal(line.micro)}" for line in record.lines)
    text = f"Total over the window: {decimal(total(record.lines))} {record.tariff.currency} ({lines})"
    note = Note(id=NOTE_ID, author=seller.name, date=moment(record.created_at), source="seller", text=text)
    return _plain(note)  # type: ignore[no-any-return]


def _completion(record: QuoteRecord) -> Json:
    """When it was answered, or when it will be at the latest."""
    if (at := answered_at(record.history)) is not None:
        return {"effectiveQuoteCompletionDate": moment(at)}
    return {} if record.expected_at is None else {"expectedQuoteCompletionDate": moment(record.expected_at)}


def _signed(body: Json, contact: Json) -> Json:
    return {"relatedContactInformation": [*body.get("relatedContactInformation", ()), contact]}


def _changes(history: Sequence[Change[S]]) -> list[Json]:
    return [{"state": change.state, **_when(change)} for change in history]


def _when(change: Change[S]) -> Json:
    why = {"changeReason": change.why} if change.why else {}
    return {"changeDate": moment(change.at), **why}


def _kept(body: Json, *names: str) -> Json:
    return {name: body[name] for name in names if name in body}


def _plain(part: object) -> Any:
    """A struct as plain values, decimals and times left as they are."""
    return msgspec.to_builtins(part, builtin_types=(Decimal,))

"""From rows to the records that the Sonata machinery renders. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from federation.sonata.histories import (
    order_history,
    order_steps,
    product_history,
    quote_history,
    refused_later,
    refused_quote,
)
from federation.sonata.listing import present
from federation.sonata.protocols import CancelRecord, Change, OrderRecord, ProductRecord, QuoteRecord
from operators.orders.fsm import Entry, Lease, Quote
from operators.orders.keeping import CancelRow, OrderRow
from operators.pricing.quote import price
from schemas.lease import TERMINAL, State
from schemas.quote import Action
from schemas.sonata.states import OrderState, ProductStatus, QuoteState


def quote_record(quote: Quote, raw: bytes) -> QuoteRecord:
    """A quote, with its lines where it has a price."""
    if quote.refusal is not None or quote.tariff is None:
        return _unpriced(quote, raw)
    lines, _ = price(quote.tariff, quote.segment.bandwidth_bps, quote.segment.window)
    answered = (Change(QuoteState.ANSWERED, quote.created_at),)
    return QuoteRecord(
        id=quote.id,
        raw=raw,
        created_at=quote.created_at,
        history=quote_history(_changes(quote.history)) if quote.firm else answered,
        segment=quote.segment,
        tariff=quote.tariff,
        lines=lines,
        valid_until=quote.exp,
        document=quote.document,
        up_within_s=quote.up_within_s or 0,
    )


def _unpriced(quote: Quote, raw: bytes) -> QuoteRecord:
    """A quote that was refused, at once or later, or waits for an answer, or was cancelled before it had one."""
    first, last = quote.history[0], quote.history[-1]
    history = refused_quote(quote.created_at)
    if first.state is State.ASKED:
        refused = quote.refusal is not None
        history = refused_later(first.at, last.at, last.why) if refused else quote_history(_changes(quote.history))
    return QuoteRecord(
        id=quote.id,
        raw=raw,
        created_at=quote.created_at,
        history=history,
        refusal=quote.refusal,
        expected_at=quote.exp if quote.state is State.ASKED else None,
    )


def order_record(order: OrderRow, lease: Lease | None, raw: bytes) -> OrderRecord:
    """An order; one that adds stands where its lease stands."""
    if order.action is Action.ADD and lease is not None:
        history = order_history(_changes(lease.history))
        expected = max(lease.start_s, order.created_at) + (lease.up_within_s or 0)
    else:
        ended = order.ended_at if order.ended_at is not None else order.created_at
        ends = () if order.outcome is None else (Change(order.outcome, ended, order.why),)
        history = order_steps(order.created_at, *_path(order.outcome, ended), *ends)
        expected = order.created_at
    return OrderRecord(
        id=order.id,
        raw=raw,
        created_at=order.created_at,
        history=history,
        product=order.product,
        expected_at=expected,
        document=order.document,
        refusal=order.refusal,
    )


def quote_state(quote: Quote) -> QuoteState:
    """Where a firm quote stands, in Sonata's words."""
    if quote.refusal is not None:
        return QuoteState.UNABLE_TO_PROVIDE
    return quote_history(_changes(quote.history))[-1].state


def order_state(lease: Lease) -> OrderState:
    """Where the order stands that added a lease."""
    return order_history(_changes(lease.history))[-1].state


def cancel_record(cancel: CancelRow, raw: bytes) -> CancelRecord:
    """A cancellation."""
    return CancelRecord(id=cancel.id, raw=raw, order_id=cancel.order_id, state=cancel.state, denied=cancel.denied)


def product_record(lease: Lease, raw: bytes) -> ProductRecord:
    """A lease as inventory shows it."""
    return ProductRecord(
        id=lease.id,
        raw=raw,
        order_id=lease.order_id,
        created_at=lease.created_at,
        history=_product_history(lease),
        segment=lease.segment,
        tariff=lease.periods[-1].tariff,
        ended_at=lease.history[-1].at if lease.state in TERMINAL else None,
        document=lease.receipt,
    )


def product_status(lease: Lease) -> ProductStatus:
    """What inventory says of a lease now."""
    return present(_product_history(lease))


def _product_history(lease: Lease) -> tuple[Change[ProductStatus], ...]:
    waiting = () if lease.amendment is None else ((lease.amendment.since, None),)
    return product_history(_changes(lease.history), (*lease.amending, *waiting))


def _changes(history: Iterable[Entry]) -> list[Change[State]]:
    return [Change(entry.state, entry.at, entry.why) for entry in history]


def _path(outcome: OrderState | None, at: int) -> tuple[Change[OrderState], ...]:
    """The steps that Sonata's table asks for on the way to `cancelled`."""
    if outcome is not OrderState.CANCELLED:
        return ()
    return (Change(OrderState.ASSESSING_CANCELLATION, at), Change(OrderState.PENDING_CANCELLATION, at))

"""What every answer of an operator must pass before a rule sees it (pure).

A signature shows who speaks; the checks here show that the answer is to our question and changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import structs

from federation.trust.jose import doc_hash, verify_jws
from federation.trust.keys import PublicKey
from schemas.lease import IN_FORCE, State
from schemas.order import Confirm, Order, Receipt
from schemas.price import charge, total
from schemas.problem import Problem
from schemas.quote import Action, Rfq, SegmentQuote
from schemas.segment import End, Segment

AFTER_ADD: Final = IN_FORCE | {State.COMMITTED}
AFTER_RELEASE: Final = frozenset({State.RELEASING, State.RELEASED, State.DECLINED, State.FAILED, State.EXPIRED})
OF_LEASES: Final = AFTER_ADD | AFTER_RELEASE | {State.COMPENSATING}
Keys = Mapping[str, PublicKey]


def verified_quote(quote_jws: str, rfq_jws: str, rfq: Rfq, *, keys: Keys, now: int) -> SegmentQuote:
    """The claims of a segment quote that answers `rfq`; DOCUMENT_INVALID otherwise.

    (1) signed by the operator asked, addressed to us, in time
    (2) to this very rfq and this buyer; the same action and product
    (3) the segment asked for, with every label that was named
    (4) a price that adds up: its total follows from its lines, and from its tariff
    """
    quote = verify_jws(quote_jws, SegmentQuote, keys, now=now, iss=rfq.aud, aud=rfq.iss)
    _same("rfq_h", quote.rfq_h, doc_hash(rfq_jws))
    _same("sub", quote.sub, rfq.sub)
    _same("action", quote.action, rfq.action)
    _same("product", quote.product, rfq.product)
    _same_segment(rfq.segment, quote.segment)
    _check_price(quote)
    return quote


def _same_segment(asked: Segment, given: Segment) -> None:
    named = structs.replace(given, a=_named(asked.a, given.a), z=_named(asked.z, given.z))
    for member in Segment.__struct_fields__:
        _same(f"segment.{member}", getattr(named, member), getattr(asked, member))
    if given.a.label is None or given.z.label is None:
        raise Problem("DOCUMENT_INVALID", "the quote names no label at an end", field="segment")


def _named(asked: End, given: End) -> End:
    """The end given, without its label where the operator was free to pick one."""
    return given if asked.label is not None else End(given.interface)


def _check_price(quote: SegmentQuote) -> None:
    _same("total.currency", quote.total.currency, quote.tariff.currency)
    _same("total.micro", quote.total.micro, total(quote.lines))
    window, bps = quote.segment.window, quote.segment.bandwidth_bps
    due = charge(quote.tariff, bps, window.start_s, window.end_s, window.duration_s)
    _same("total.micro", quote.total.micro, total(due))


def verified_receipt(
    receipt_jws: str,
    order_jws: str,
    order: Order,
    held: SegmentQuote | None,
    *,
    keys: Keys,
    now: int,
    later: bool = False,
) -> Receipt:
    """The claims of a receipt for `order`; DOCUMENT_INVALID otherwise. `later`: asked for long after the order.

    (1) signed by the operator ordered from, addressed to us
    (2) for this very order and quote, the product named
    (3) in a state that the action leads to at once, or `later` in any that follows
    (4) the segment quoted, with the labels held; of a change it may still show the window and bandwidth before it
    """
    receipt = _receipt(receipt_jws, order, keys, now)
    _same("order_h", receipt.order_h, doc_hash(order_jws))
    if order.action is not Action.RELEASE:
        _same("quote_h", receipt.quote_h, order.quote_h)
    if order.product is not None:
        _same("product", receipt.product, order.product)
    at_once = AFTER_RELEASE if order.action is Action.RELEASE else AFTER_ADD
    _check_state(receipt.state, AFTER_ADD | AFTER_RELEASE if later else at_once)
    if held is not None:
        moving, given = order.action is Action.MODIFY, receipt.segment
        before = structs.replace(held.segment, window=given.window)
        if given.window.end == held.segment.window.end:
            before = structs.replace(before, bandwidth_bps=given.bandwidth_bps)
        _same("segment", given, before if moving else held.segment)
    return receipt


def verified_confirmation(receipt_jws: str, confirm_jws: str, confirm: Confirm, *, keys: Keys, now: int) -> Receipt:
    """The claims of a receipt that follows `confirm` and says ACTIVE; DOCUMENT_INVALID otherwise."""
    receipt = _receipt(receipt_jws, confirm, keys, now)
    _same("prev_h", receipt.prev_h, doc_hash(confirm_jws))
    _same("order_h", receipt.order_h, confirm.order_h)
    _same("product", receipt.product, confirm.product)
    _check_state(receipt.state, frozenset({State.ACTIVE}))
    return receipt


def verified_standing(receipt_jws: str, product: str, *, operator: str, broker: str, keys: Keys, now: int) -> Receipt:
    """The claims of the latest receipt of `product`, as an inventory shows it; DOCUMENT_INVALID otherwise, also where
    its state is none that a lease may have."""
    receipt = verify_jws(receipt_jws, Receipt, keys, now=now, iss=operator, aud=broker)
    _same("product", receipt.product, product)
    _check_state(receipt.state, OF_LEASES)
    _check_bill(receipt)
    return receipt


def _receipt(receipt_jws: str, asked: Order | Confirm, keys: Keys, now: int) -> Receipt:
    receipt = verify_jws(receipt_jws, Receipt, keys, now=now, iss=asked.aud, aud=asked.iss)
    _same("sub", receipt.sub, asked.sub)
    _check_bill(receipt)
    return receipt


def _check_bill(receipt: Receipt) -> None:
    if receipt.bill is not None:
        _same("bill.total.micro", receipt.bill.total.micro, total(receipt.bill.lines))


def _check_state(state: State, allowed: frozenset[State]) -> None:
    if state not in allowed:
        raise Problem("DOCUMENT_INVALID", f"the receipt says {state}, which does not follow", field="state")


def _same(field: str, given: object, asked: object) -> None:
    if given != asked:
        raise Problem("DOCUMENT_INVALID", f"the answer has {given}, where {asked} was asked for", field=field)

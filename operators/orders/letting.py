"""What may be acted on: this operator's admission in front of the handlers of quotes and orders."""

from __future__ import annotations

from federation.sonata.protocols import Caller
from federation.tokens.grant import Asker, check_endpoints
from federation.trust.jose import unverified
from operators.access.admit import Caller as Known
from operators.access.admit import Held, Shown
from operators.access.selling import Wanted
from operators.orders.shop import Shop
from schemas.order import Order
from schemas.problem import Problem
from schemas.quote import Rfq, SegmentQuote
from schemas.segment import Segment


async def admitted_rfq(shop: Shop, caller: Caller, token: str) -> Rfq:
    """An rfq that its caller may ask. Raises `Problem`."""
    await shop.gate.heed(token, caller.entity)
    if shop.admission is None:
        return shop.gate.verify(token, Rfq, caller.entity, "rfq")
    return shop.admission.rfq(_shown(caller, token), _known(caller), shop.now()).claims


async def admitted_order(shop: Shop, caller: Caller, token: str) -> Order:
    """An order that its caller may place, for a quote that is here. Raises `Problem`."""
    await shop.gate.heed(token, caller.entity)
    if shop.admission is None:
        return shop.gate.verify(token, Order, caller.entity, "order")
    named = unverified(token, Order).quote_h
    held = await _held(shop, named) if named else None
    admitted = shop.admission.order(_shown(caller, token), _known(caller), lambda quote_h: held, shop.now())
    return admitted.claims


def check_plain(shop: Shop, caller: Caller, segment: Segment | None = None) -> None:
    """A request without documents: for buyers without a certificate, not at the UNIs of others, and as policy permits.

    A member has an authority to show for what it asks; without this it could do without by leaving its documents out.
    Raises `POLICY_DENIED`.
    """
    if shop.admission is None:
        return
    if caller.x5t is not None:
        raise Problem("POLICY_DENIED", "a member asks and orders with signed documents")
    if segment is not None:
        buyer = caller.buyer_id or ""
        check_endpoints(segment, shop.admission.owners, Asker(caller.entity, buyer), ())
        shop.admission.check_sale(Wanted(caller.entity, buyer, segment), shop.now())


async def _held(shop: Shop, quote_h: str) -> Held | None:
    """A quote as it was signed; whether its hold still stands is decided with the order."""
    quote = await shop.store.quote_by_hash(quote_h)
    if quote is None or quote.document is None:
        return None
    return Held(unverified(quote.document, SegmentQuote), quote_h, quote.mandate_h, quote.grant_h)


def _shown(caller: Caller, token: str) -> Shown:
    return Shown(token, caller.token, caller.grants)


def _known(caller: Caller) -> Known:
    return Known(caller.entity, caller.x5t or "")

"""An order as it came in, and what every kind of order checks and writes down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import structs

from federation.sonata.asks import check_ordered
from federation.sonata.protocols import OrderAsk
from operators.access.gate import Named
from operators.inventory.ledger import Claim
from operators.orders import fsm
from operators.orders.admission import claim_of, refuse
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Batch, Document, OrderRow
from operators.orders.once import seen
from operators.orders.records import quote_record
from operators.orders.shop import WAITING, Shop
from operators.pricing.quote import price
from schemas.lease import State
from schemas.order import CONFIRM_WITHIN_S, Order
from schemas.problem import Problem, invalid, not_found
from schemas.segment import EntityId, Id
from schemas.sonata.refusal import refusal_of
from schemas.sonata.states import OrderState


class Placed(NamedTuple):
    """At which second, from whom, for which buyer, and its document where there is one."""

    ask: OrderAsk
    id: Id
    at: int
    broker: EntityId
    buyer: str
    named: Named | None = None
    order: Order | None = None

    def row(self, product: Id | None = None, document: str | None = None) -> OrderRow:
        """The order, not at its end yet."""
        return OrderRow(
            id=self.id,
            broker=self.broker,
            created_at=self.at,
            action=self.ask.action,
            product=product,
            quote_id=self.ask.quote_id,
            external_id=self.ask.external_id,
            project_id=self.ask.project_id,
            document=document,
        )

    def batch(self, row: OrderRow, documents: Iterable[Document] = ()) -> Batch:
        """What is written down of any order: the row, the request, its document and those that answer it."""
        batch = Batch(orders=[row], documents=list(documents), requests=[(self.id, self.ask.raw)])
        batch.seen += seen(self.broker, self.named, self.id)
        if self.named is not None and self.ask.order is not None:
            batch.documents.append(Document(self.named.hash, self.broker, self.ask.order))
        return batch


async def accepted(shop: Shop, placed: Placed) -> tuple[Quote, Quote]:
    """The quote that an order names, before and after the order takes it. The lock of the quote is held.

    Raises `Problem` unless it is this buyer's, still waits, and is what the order says it is.
    """
    quote = await shop.find_quote(placed.ask.quote_id or "", placed.broker)
    if quote.buyer != placed.buyer:
        raise not_found("this quote")
    if (quote.hash is None) != (placed.order is None):
        raise invalid("order", "an order document answers a quote document, and only such a quote")
    if not quote.firm or quote.refusal is not None:
        raise Problem("INCOMPATIBLE_STATE", "only a firm quote that was given can be ordered", field="quote_id")
    check_ordered(placed.ask, quote_record(quote, await shop.store.request(quote.id)))
    _check_document(placed.order, quote)
    now = shop.now()
    if quote.state in WAITING and quote.exp > now and quote.id not in shop.quotes:
        raise Problem("HOLD_LOST", "the hold behind this quote is gone; ask for a new one", field="quote_id")
    return quote, fsm.accept(quote, now)


def _check_document(order: Order | None, quote: Quote) -> None:
    if order is None or quote.tariff is None:
        return
    if order.quote_h != quote.hash:
        raise invalid("order", "quote_h is not the hash of the quote that the envelope names")
    if order.path_root is None:
        raise invalid("order", "path_root is missing: the root over the quotes of the whole path")
    _, total = price(quote.tariff, quote.segment.bandwidth_bps, quote.segment.window)
    if order.amount is not None and order.amount != total:
        raise invalid("order", f"amount differs from the quote's total, {total.micro} micro-{total.currency}")


def admitted(shop: Shop, quote: Quote, lease: Lease | None = None) -> Claim | None:
    """The claim of a quote, of a change of `lease` if there is one, that held nothing until now; None where it has held
    all along, or needs nothing. Raises `Problem`."""
    if quote.state is State.HELD:
        return None
    claim = claim_of(quote.id, quote.segment, quote.route, lease)
    refused = shop.inventory.admit(claim) if claim else None
    if refused is not None:
        raise refuse(refused, quote.segment)
    return claim


async def failed(shop: Shop, placed: Placed, problem: Problem) -> OrderRow:
    """A good order that cannot be met: written down as failed, with nothing changed."""
    row = structs.replace(placed.row(), outcome=OrderState.FAILED, ended_at=shop.now(), refusal=refusal_of(problem))
    await shop.commit(placed.batch(row))
    return row


async def own_lease(shop: Shop, placed: Placed) -> Lease:
    """The lease that an order names, if it is this buyer's. Raises `NOT_FOUND`."""
    lease = await shop.find_lease(placed.ask.product or "", placed.broker)
    if lease.buyer != placed.buyer:
        raise not_found("this product")
    if lease.order_h is not None and placed.order is None:
        raise invalid("order", "this product was ordered with an order document; send one")
    return lease


def confirm_by(order: Order, start_s: int, now: int, within_s: int | None = None) -> int:
    """When an order must be confirmed at the latest: what it says, within the time quoted (60 s where none was) of its
    own time or of the start."""
    latest = max(min(order.iat, now), start_s) + (within_s or CONFIRM_WITHIN_S)
    wanted = latest if order.confirm_by is None else min(order.confirm_by, latest)
    if wanted <= max(now, start_s):
        raise invalid("order", f"confirm_by must lie after the start and after now, at most at {latest}")
    return wanted

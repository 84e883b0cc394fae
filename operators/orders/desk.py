"""The desk: what the Sonata machinery calls, and confirms. Every act runs to its end once begun."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from federation.sonata.listing import pick
from federation.sonata.protocols import (
    Caller,
    CancelAsk,
    CancelRecord,
    HubAsk,
    HubRecord,
    Listing,
    OrderAsk,
    OrderRecord,
    ProductRecord,
    QuoteAsk,
    QuoteRecord,
    Wanted,
)
from operators.orders.amending import Amending
from operators.orders.confirming import Confirming
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Batch, HubRow
from operators.orders.lifecycle import Lifecycle
from operators.orders.ordering import Ordering
from operators.orders.quoting import Quoting
from operators.orders.records import cancel_record, product_record, product_status, quote_record
from operators.orders.releasing import Releasing
from operators.orders.shop import Shop
from operators.orders.telling import record
from schemas.lease import State
from schemas.problem import not_found
from schemas.segment import EntityId, Hash, Id
from schemas.sonata.states import ProductStatus, QuoteState

NOT_OVER: Final = frozenset(ProductStatus) - {ProductStatus.TERMINATED, ProductStatus.CANCELLED}


class Desk:
    """`federation.sonata.protocols.SegmentDesk` over one shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.lifecycle = Lifecycle(shop)
        amending, releasing = Amending(shop, self.lifecycle), Releasing(shop, self.lifecycle)
        self._quoting = Quoting(shop, self.lifecycle)
        self._ordering = Ordering(shop, self.lifecycle, amending, releasing)
        self._releasing = releasing
        self._confirming = Confirming(shop, amending)

    async def quote(self, caller: Caller, ask: QuoteAsk) -> QuoteRecord:
        """Price and hold."""
        return await self.shop.act(self._quoting.quote(caller, ask))

    async def decline(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        """Let go of a quote and its hold."""
        return await self.shop.act(self._quoting.decline(caller, quote_id))

    async def cancel_quote(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        """Stop asking for a quote that waits for a person."""
        return await self.shop.act(self._quoting.cancel(caller, quote_id))

    def waiting(self) -> tuple[Quote, ...]:
        """Quotes that wait for a person, the oldest first."""
        asked = [quote for quote in self.shop.quotes.values() if quote.state is State.ASKED]
        return tuple(sorted(asked, key=lambda quote: (quote.created_at, quote.id)))

    async def grant(self, quote_id: Id) -> Quote:
        """A person says yes to a quote that waits; it may be refused after all, where there is no room any more."""
        return await self.shop.act(self._quoting.grant(quote_id))

    async def refuse(self, quote_id: Id, why: str) -> Quote:
        """A person says no to a quote that waits."""
        return await self.shop.act(self._quoting.refuse(quote_id, why))

    async def order(self, caller: Caller, ask: OrderAsk) -> OrderRecord:
        """Commit, change or release."""
        return await self.shop.act(self._ordering.order(caller, ask))

    async def cancel(self, caller: Caller, ask: CancelAsk) -> CancelRecord:
        """Undo an order in progress."""
        return await self.shop.act(self._releasing.cancel(caller, ask))

    async def confirm(self, broker: EntityId, token: str) -> str:
        """The `receipt+jwt` that answers a `confirm+jwt`."""
        return await self.shop.act(self._confirming.confirm(broker, token))

    async def subscribe(self, caller: Caller, ask: HubAsk) -> HubRecord:
        """Tell the caller of events from now on; the same again is the same hub."""
        return await self.shop.act(self._subscribe(caller, ask))

    async def _subscribe(self, caller: Caller, ask: HubAsk) -> HubRecord:
        async with self.shop.locks.hold(f"hubs:{caller.entity}"):
            if (found := self.shop.telling.same(caller.entity, ask)) is not None:
                return record(found)
            self.shop.telling.check_room(caller.entity)
            hub = HubRow(
                id=self.shop.signer.entropy.token(),
                broker=caller.entity,
                api=ask.api,
                callback=ask.callback,
                query=ask.query,
                types=ask.types,
            )
            await self.shop.commit(Batch(hubs=[hub]))
        return record(hub)

    async def find_hub(self, caller: Caller, api: str, hub_id: Id) -> HubRecord:
        """`NOT_FOUND` if there is none of this caller."""
        return record(self.shop.telling.find(caller.entity, api, hub_id))

    async def unsubscribe(self, caller: Caller, api: str, hub_id: Id) -> None:
        """Tell no more."""
        hub = self.shop.telling.find(caller.entity, api, hub_id)
        await self.shop.act(self.shop.commit(Batch(unhubbed=[hub.id])))

    async def find_quote(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        """`NOT_FOUND` if there is none of this caller."""
        quote = await self.shop.find_quote(quote_id, caller.entity)
        return quote_record(quote, await self.shop.store.request(quote.id))

    async def find_order(self, caller: Caller, order_id: Id) -> OrderRecord:
        """`NOT_FOUND` if there is none of this caller."""
        return await self._ordering.find(caller.entity, order_id)

    async def find_cancel(self, caller: Caller, cancel_id: Id) -> CancelRecord:
        """`NOT_FOUND` if there is none of this caller."""
        row = await self.shop.store.cancel(cancel_id)
        if row is None or row.broker != caller.entity:
            raise not_found("this cancellation")
        return cancel_record(row, await self.shop.store.request(row.id))

    async def find_product(self, caller: Caller, product_id: Id) -> ProductRecord:
        """`NOT_FOUND` if there is none of this caller."""
        lease = await self.shop.find_lease(product_id, caller.entity)
        return product_record(lease, await self.shop.store.request(lease.order_id))

    async def quotes(self, caller: Caller, wanted: Wanted) -> Listing[QuoteRecord]:
        """The caller's quotes."""
        rows = await self._quotes(caller, wanted)
        raws = await self.shop.store.requests([row.id for row in rows])
        return pick([quote_record(row, raws[row.id]) for row in rows], wanted)

    async def orders(self, caller: Caller, wanted: Wanted) -> Listing[OrderRecord]:
        """The caller's orders."""
        rows = await self.shop.store.orders(caller.entity, wanted.external_id)
        return pick([await self._ordering.record(row) for row in rows], wanted)

    async def cancels(self, caller: Caller, wanted: Wanted) -> Listing[CancelRecord]:
        """The caller's cancellations."""
        rows = await self.shop.store.cancels(caller.entity)
        raws = await self.shop.store.requests([row.id for row in rows])
        return pick([cancel_record(row, raws[row.id]) for row in rows], wanted)

    async def products(self, caller: Caller, wanted: Wanted) -> Listing[ProductRecord]:
        """The caller's products, those that are over included."""
        rows = await self._leases(caller, wanted)
        if wanted.equal.keys() == {"status"} and not wanted.between:
            return await self._in_status(rows, wanted)
        raws = await self.shop.store.requests([row.order_id for row in rows])
        return pick([product_record(row, raws[row.order_id]) for row in rows], wanted)

    async def _leases(self, caller: Caller, wanted: Wanted) -> Sequence[Lease]:
        """The rows that could match; those that are not over stand in memory, and a sweeper asks for no others."""
        if wanted.equal.get("status") not in NOT_OVER:
            return await self.shop.store.leases(caller.entity)
        mine = (lease for lease in self.shop.leases.values() if lease.broker == caller.entity)
        return sorted(mine, key=lambda lease: (lease.created_at, lease.id))

    async def _in_status(self, rows: Sequence[Lease], wanted: Wanted) -> Listing[ProductRecord]:
        """A page of what is in one status: only what is on it is put together."""
        found = [row for row in rows if product_status(row) == wanted.equal["status"]]
        page = found[wanted.offset : wanted.offset + wanted.limit]
        raws = await self.shop.store.requests([row.order_id for row in page])
        return Listing(len(found), tuple(product_record(row, raws[row.order_id]) for row in page))

    async def _quotes(self, caller: Caller, wanted: Wanted) -> Sequence[Quote]:
        if wanted.equal.get("state") != QuoteState.ORDERABLE:
            return await self.shop.store.quotes(caller.entity, wanted.external_id)
        mine = (quote for quote in self.shop.quotes.values() if quote.broker == caller.entity)
        return sorted(mine, key=lambda quote: (quote.created_at, quote.id))

    async def document(self, broker: EntityId, document_h: Hash) -> str:
        """A signed document that this broker is a party of. Raises `NOT_FOUND`."""
        found = await self.shop.store.document(document_h, broker)
        if found is None:
            raise not_found("this document")
        return found

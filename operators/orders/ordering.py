"""Orders as they come in: which of them it is, and the one that turns a quote into a lease."""

from __future__ import annotations

from msgspec import UNSET, structs

from federation.sonata.asks import check_order, decode
from federation.sonata.protocols import Caller, OrderAsk, OrderRecord
from operators.orders import fsm
from operators.orders.amending import Amending
from operators.orders.fsm import Lease, Quote
from operators.orders.keeping import Document, OrderRow
from operators.orders.letting import admitted_order, check_plain
from operators.orders.lifecycle import Lifecycle
from operators.orders.once import once
from operators.orders.placed import Placed, accepted, admitted, confirm_by, failed
from operators.orders.receipts import receipted
from operators.orders.records import order_record
from operators.orders.releasing import Releasing
from operators.orders.shop import LEASE, QUOTE, Shop
from schemas.order import Order
from schemas.problem import Problem, invalid, not_found
from schemas.quote import Action
from schemas.segment import EntityId, Id
from schemas.sonata.order import OrderCreate


class Ordering:
    """The handlers of orders."""

    def __init__(self, shop: Shop, lifecycle: Lifecycle, amending: Amending, releasing: Releasing) -> None:
        self._shop, self._lifecycle = shop, lifecycle
        self._amending, self._releasing = amending, releasing

    async def order(self, caller: Caller, ask: OrderAsk) -> OrderRecord:
        """Commit, change or release, once per order document."""
        order_id, now = self._shop.signer.entropy.token(), self._shop.now()
        if ask.order is None:
            if ask.action is not Action.RELEASE:
                check_plain(self._shop, caller)
            self._check_account(ask)
            return await self._place(Placed(ask, order_id, now, caller.entity, caller.buyer_id or ""))
        token, named = ask.order, self._shop.gate.name(ask.order, Order, "order")

        async def first() -> OrderRecord:
            order = await admitted_order(self._shop, caller, token)
            check_order(ask, order)
            return await self._place(Placed(ask, order_id, now, caller.entity, order.sub, named, order))

        return await once(self._shop, caller.entity, named, lambda ref: self.find(caller.entity, ref), first)

    async def find(self, broker: EntityId, order_id: Id) -> OrderRecord:
        """One order of this broker. Raises `NOT_FOUND`."""
        row = await self._shop.store.order(order_id)
        if row is None or row.broker != broker:
            raise not_found("this order")
        return await self.record(row)

    async def record(self, row: OrderRow) -> OrderRecord:
        """The record of an order."""
        adds = row.action is Action.ADD and row.product is not None
        lease = await self._shop.find_lease(row.product, row.broker) if adds and row.product else None
        return order_record(row, lease, await self._shop.store.request(row.id))

    def _check_account(self, ask: OrderAsk) -> None:
        """A plain buyer of a new lease names the billing account it was given."""
        wanted = self._shop.billing_account
        if wanted is None or ask.action is not Action.ADD:
            return
        account = decode(ask.raw, OrderCreate).product_order_item[0].billing_account
        if account is UNSET or account.id != wanted:
            raise invalid("billing_account", "is not the account you were given for this operator")

    async def _place(self, placed: Placed) -> OrderRecord:
        if placed.ask.action is Action.RELEASE:
            await self._releasing.release(placed)
        elif placed.ask.action is Action.MODIFY:
            await self._amending.ask(placed)
        else:
            await self._add(placed)
        return await self.find(placed.broker, placed.id)

    async def _add(self, placed: Placed) -> None:
        product = self._shop.signer.entropy.token()
        async with self._shop.locks.hold(f"{LEASE}:{product}", f"{QUOTE}:{placed.ask.quote_id}"):
            quote, taken = await accepted(self._shop, placed)
            lease = self._committed(placed, taken, product)
            try:
                await self._write(placed, quote, taken, lease)
            except Problem as problem:
                if problem.code not in {"CAPACITY_CHANGED", "LABEL_TAKEN"}:
                    raise
                await failed(self._shop, placed, problem)
            else:
                if lease.start_s <= self._shop.now():
                    await self._lifecycle.start(self._shop.leases[lease.id])

    def _committed(self, placed: Placed, taken: Quote, product: Id) -> Lease:
        lease = fsm.commit(taken, product, placed.id, self._shop.now())
        if placed.order is None or placed.named is None:
            return lease
        deadline = confirm_by(placed.order, lease.start_s, self._shop.now(), taken.confirm_within_s)
        root = placed.order.path_root
        return structs.replace(lease, order_h=placed.named.hash, path_root=root, confirm_by=deadline)

    async def _write(self, placed: Placed, quote: Quote, taken: Quote, lease: Lease) -> None:
        """Write the lease down, with a receipt at once where its window begins later."""
        shop, documents = self._shop, list[Document]()
        claim = admitted(shop, quote)
        if lease.start_s > shop.now():
            lease, documents = receipted(shop.signer, lease)
        batch = placed.batch(placed.row(lease.id, lease.receipt), documents)
        batch.quotes.append(taken)
        batch.leases.append(lease)
        batch.claims += [claim] if claim else []
        try:
            await shop.commit(batch)
        except BaseException:
            if claim:
                shop.inventory.withdraw(claim.id)
            raise
        shop.caps.ordered(quote, shop.now())

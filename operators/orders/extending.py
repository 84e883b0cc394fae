"""Extensions: all or nothing like the first order. Held, ordered, then confirmed in time, or lapsed free of charge."""

from __future__ import annotations

from msgspec import structs

from operators.access.gate import Named
from operators.inventory.ledger import Claim
from operators.orders import fsm
from operators.orders.fsm import Extension, Lease
from operators.orders.keeping import Batch, Document
from operators.orders.once import seen
from operators.orders.placed import Placed, accepted, admitted, confirm_by, failed, own_lease
from operators.orders.receipts import receipted
from operators.orders.shop import LEASE, QUOTE, Shop
from schemas.problem import Problem
from schemas.sonata.states import OrderState


class Extending:
    """The handlers of extensions."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def ask(self, placed: Placed) -> None:
        """An order of an extension. It waits for its confirm; a plain buyer's takes effect at once."""
        product = placed.ask.product or ""
        async with self._shop.locks.hold(f"{LEASE}:{product}", f"{QUOTE}:{placed.ask.quote_id}"):
            lease = await own_lease(self._shop, placed)
            quote, taken = await accepted(self._shop, placed)
            if quote.segment.window.start_s != lease.end_s:
                raise Problem("INCOMPATIBLE_STATE", "the lease no longer ends where this was quoted", field="quote_id")
            extended = fsm.ask_extension(lease, self._extension(placed, taken, lease))
            try:
                claim = admitted(self._shop, quote)
            except Problem as problem:
                await failed(self._shop, placed, problem)
                return
            waiting = await self._write(placed, taken, extended, claim)
            self._shop.caps.ordered(quote, self._shop.now())
            if placed.order is None:
                await self.confirm(waiting, None, Batch())

    async def confirm(self, lease: Lease, named: Named | None, batch: Batch) -> Lease:
        """The extension takes effect: one claim until the new end. The lock of the lease is held."""
        assert lease.extension is not None, "only an extension that waits is confirmed"
        added, now = lease.extension, self._shop.now()
        follows = named.hash if named else None
        longer, documents = receipted(self._shop.signer, fsm.extend(lease, now), follows=follows)
        order = await self._shop.store.order(added.order_id)
        assert order is not None, "an extension was written with its order"
        batch.orders.append(structs.replace(order, outcome=OrderState.COMPLETED, ended_at=now, document=longer.receipt))
        batch.leases.append(longer)
        batch.documents += documents
        batch.seen += seen(lease.broker, named, longer.receipt_h or "")
        await self._merge(lease, added, batch)
        return longer

    def _extension(self, placed: Placed, taken: fsm.Quote, lease: Lease) -> Extension:
        assert taken.tariff is not None, "an accepted quote has a price"
        now, deadline = self._shop.now(), lease.end_s
        if placed.order is not None:
            deadline = min(confirm_by(placed.order, now, now), lease.end_s)
        return Extension(
            quote_id=taken.id,
            order_id=placed.id,
            order_h=placed.named.hash if placed.named else None,
            quote_h=taken.hash,
            path_root=placed.order.path_root if placed.order else None,
            tariff=taken.tariff,
            end_s=taken.segment.window.end_s,
            since=now,
            confirm_by=deadline,
        )

    async def _write(self, placed: Placed, taken: fsm.Quote, lease: Lease, claim: Claim | None) -> Lease:
        documents = list[Document]()
        if placed.order is not None:
            lease, documents = receipted(self._shop.signer, lease)
        batch = placed.batch(placed.row(lease.id, lease.receipt if placed.order else None), documents)
        batch.quotes.append(taken)
        batch.leases.append(lease)
        batch.claims += [claim] if claim else []
        try:
            await self._shop.commit(batch)
        except BaseException:
            if claim:
                self._shop.inventory.withdraw(claim.id)
            raise
        return lease

    async def _merge(self, lease: Lease, added: Extension, batch: Batch) -> None:
        """Both claims become one, over the same route and labels, so nothing can come in between."""
        inventory = self._shop.inventory
        first, second = inventory.claim(lease.claim), inventory.claim(added.quote_id)
        assert first is not None, "a lease in force has a claim"
        assert second is not None, "an extension that waits has a claim"
        inventory.withdraw(first.id)
        inventory.withdraw(second.id)
        merged = structs.replace(first, end_s=second.end_s)
        inventory.restore(merged)
        batch.claims.append(merged)
        batch.freed.append(second.id)
        try:
            await self._shop.commit(batch)
        except BaseException:
            inventory.withdraw(merged.id)
            inventory.restore(first)
            inventory.restore(second)
            raise

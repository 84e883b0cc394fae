"""Confirms: what is UP becomes ACTIVE and billable, and a change that waits takes effect, or is taken back."""

from __future__ import annotations

from operators.access.gate import Named
from operators.orders import fsm
from operators.orders.amending import Amending
from operators.orders.fsm import Lease
from operators.orders.keeping import Batch, Document
from operators.orders.once import once, seen
from operators.orders.receipts import receipted
from operators.orders.shop import LEASE, Shop
from schemas.lease import BILLABLE
from schemas.order import Confirm
from schemas.problem import Problem, invalid, not_found
from schemas.segment import EntityId, Hash


class Confirming:
    """The handler of confirms."""

    def __init__(self, shop: Shop, amending: Amending) -> None:
        self._shop, self._amending = shop, amending

    async def confirm(self, broker: EntityId, token: str) -> str:
        """The `receipt+jwt` that answers a `confirm+jwt`, once per document."""
        named = self._shop.gate.name(token, Confirm, "confirm")

        async def first() -> str:
            await self._shop.gate.heed(token, broker)
            claims = self._shop.gate.verify(token, Confirm, broker, "confirm")
            async with self._shop.locks.hold(f"{LEASE}:{claims.product}"):
                lease = await self._shop.find_lease(claims.product, broker)
                if lease.buyer != claims.sub:
                    raise not_found("this product")
                return await self._take(lease, claims, named, token)

        return await once(self._shop, broker, named, lambda ref: self._again(broker, ref), first)

    async def _again(self, broker: EntityId, receipt_h: Hash) -> str:
        found = await self._shop.store.document(receipt_h, broker)
        assert found is not None, "a confirm was written with the receipt that answers it"
        return found

    async def _take(self, lease: Lease, claims: Confirm, named: Named, token: str) -> str:
        batch = Batch(documents=[Document(named.hash, lease.broker, token)])
        waiting = lease.amendment
        if waiting is not None and claims.order_h == waiting.order_h:
            _check(claims, waiting.path_root, lease)
            if claims.void is not None:
                return _receipt(await self._amending.take_back(lease, claims.order_h, named, batch))
            return _receipt(await self._amending.confirm(lease, named, batch))
        if claims.void is not None:
            return await self._take_back(lease, claims, named, batch)
        if claims.order_h != lease.order_h:
            raise Problem("INCOMPATIBLE_STATE", "order_h names no order that waits for a confirm", field="order_h")
        if lease.state in BILLABLE:
            return _receipt(lease)  # confirmed before, by another document of the same order: nothing new
        active = fsm.confirm(lease, self._shop.now())
        _check(claims, lease.path_root, lease)
        active, documents = receipted(self._shop.signer, active, follows=named.hash)
        batch.leases.append(active)
        batch.documents += documents
        batch.seen += seen(lease.broker, named, active.receipt_h or "")
        await self._shop.commit(batch)
        return _receipt(active)

    async def _take_back(self, lease: Lease, claims: Confirm, named: Named, batch: Batch) -> str:
        """What was confirmed here is taken back; the broker may not have seen the receipt of it."""
        if lease.former is None or claims.order_h != lease.order_h:
            raise Problem("INCOMPATIBLE_STATE", "order_h names no change that may be taken back", field="order_h")
        if claims.path_root != lease.path_root:
            raise invalid("path_root", "differs from the one in the order")
        if await self._shop.store.document(claims.prev_h, lease.broker) is None:
            raise invalid("prev_h", "names no receipt of this operator")
        return _receipt(await self._amending.take_back(lease, claims.order_h, named, batch))


def _check(claims: Confirm, path_root: Hash | None, lease: Lease) -> None:
    if claims.path_root != path_root:
        raise invalid("path_root", "differs from the one in the order")
    if claims.prev_h != lease.receipt_h:
        raise invalid("prev_h", "is not the hash of the latest receipt of this product")


def _receipt(lease: Lease) -> str:
    assert lease.receipt is not None, "what is confirmed was ordered with a document"
    return lease.receipt

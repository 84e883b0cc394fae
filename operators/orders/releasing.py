"""Releases: legal from every state, idempotent, billed to the second; and the cancellation of what has not begun."""

from __future__ import annotations

from msgspec import structs

from federation.sonata.protocols import Caller, CancelAsk, CancelRecord
from operators.orders import fsm
from operators.orders.fsm import Lease
from operators.orders.keeping import Batch, CancelRow
from operators.orders.lifecycle import Lifecycle
from operators.orders.placed import Placed, own_lease
from operators.orders.receipts import receipted
from operators.orders.records import cancel_record
from operators.orders.shop import LEASE, OVER, Shop
from operators.orders.timers import RETRY_S
from schemas.lease import RELEASE_LEADS_TO, State
from schemas.problem import Problem, invalid, not_found
from schemas.segment import EntityId
from schemas.sonata.states import CancelState, OrderState


class Releasing:
    """The handlers of releases and cancellations."""

    def __init__(self, shop: Shop, lifecycle: Lifecycle) -> None:
        self._shop, self._lifecycle = shop, lifecycle

    async def release(self, placed: Placed) -> None:
        """Take the segment down and bill it. What is over already answers with its last receipt, or, to a void in time,
        with a new bill."""
        async with self._shop.locks.hold(f"{LEASE}:{placed.ask.product}"):
            lease = await own_lease(self._shop, placed)
            await self._check_previous(placed, lease)
            if lease.state in RELEASE_LEADS_TO:
                void = _void(placed)
                lease = _released_by(placed, lease)
                why = f"released, void for {void}" if void else "released"
                lease = await self._lifecycle.release(lease, why, placed.batch(placed.row(lease.id)), void)
                if fsm.used_free(lease):
                    self._shop.caps.voided(lease.broker, lease.buyer, self._shop.now())
                return
            if lease.state not in OVER:
                lease = await self._lifecycle.finish(lease)
            elif free := fsm.freed(lease, self._shop.now(), _void(placed)):
                await self._free(placed, free)
                return
            await self._answer_again(placed, lease)

    async def cancel(self, caller: Caller, ask: CancelAsk) -> CancelRecord:
        """Undo an order whose window has not begun, free of charge."""
        row = await self._shop.store.order(ask.order_id)
        if row is None or row.broker != caller.entity:
            raise not_found("this order")
        cancel_id = self._shop.signer.entropy.token()
        cancel = CancelRow(id=cancel_id, broker=caller.entity, order_id=row.id, state=CancelState.DONE)
        async with self._shop.locks.hold(f"{LEASE}:{row.product}"):
            lease = self._shop.leases.get(row.product or "")
            if lease is None or lease.state is not State.COMMITTED or lease.order_id != row.id:
                raise Problem("INCOMPATIBLE_STATE", "this order is not in progress any more", field="order_id")
            await self._lifecycle.release(lease, ask.why, Batch(cancels=[cancel], requests=[(cancel_id, ask.raw)]))
        return cancel_record(cancel, ask.raw)

    async def _check_previous(self, placed: Placed, lease: Lease) -> None:
        """`prev_h` is a receipt of ours; an older one than the latest will do, since an answer may have been lost."""
        previous = placed.order.prev_h if placed.order else None
        if previous in {None, lease.receipt_h}:
            return
        if await self._shop.store.document(previous or "", placed.broker) is None:
            raise invalid("order", "prev_h names no receipt of this operator")

    async def _free(self, placed: Placed, lease: Lease) -> None:
        """Say what is owed now for a lease that ended before its void came."""
        free, documents = receipted(self._shop.signer, _released_by(placed, lease))
        row = placed.row(lease.id, free.receipt)
        row = structs.replace(row, outcome=OrderState.COMPLETED, ended_at=self._shop.now())
        batch = placed.batch(row, documents)
        batch.leases.append(free)
        await self._shop.commit(batch)
        self._shop.caps.voided(lease.broker, lease.buyer, self._shop.now())

    async def _answer_again(self, placed: Placed, lease: Lease) -> None:
        if lease.state not in OVER:
            detail = "the network has not taken the segment down yet; ask again"
            raise Problem("UNAVAILABLE", detail, retry_after_s=RETRY_S)
        row = placed.row(lease.id, lease.receipt)
        row = structs.replace(row, outcome=OrderState.COMPLETED, ended_at=self._shop.now())
        await self._shop.commit(placed.batch(row))


def _void(placed: Placed) -> EntityId | None:
    return placed.order.void if placed.order else None


def _released_by(placed: Placed, lease: Lease) -> Lease:
    named = placed.named.hash if placed.named and placed.order else None
    return structs.replace(lease, release_id=placed.id, release_h=named)

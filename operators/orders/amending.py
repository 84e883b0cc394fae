"""Changes of a lease: all or nothing like the first order. Held, ordered, then confirmed in time, or lapsed free of
charge. A longer window begins where the lease ends; another bandwidth counts from the second of its confirm.

The network is told of more bandwidth when that is ordered, and of less when that is confirmed, each before it is
written down: what is sold is there, and what is given up is not used any more.
"""

from __future__ import annotations

from msgspec import structs

from operators.access.gate import Named
from operators.inventory.ledger import Claim
from operators.orders import fsm
from operators.orders.admission import check_amends
from operators.orders.fsm import Amendment, Lease, Quote
from operators.orders.keeping import Batch, Document
from operators.orders.lifecycle import Lifecycle
from operators.orders.once import seen
from operators.orders.placed import Placed, accepted, admitted, confirm_by, failed, own_lease
from operators.orders.receipts import receipted
from operators.orders.shop import LEASE, QUOTE, Shop
from operators.orders.timers import RETRY_S
from schemas.problem import Outcome, Problem
from schemas.sonata.states import OrderState


class Amending:
    """The handlers of changes."""

    def __init__(self, shop: Shop, lifecycle: Lifecycle) -> None:
        self._shop, self._lifecycle = shop, lifecycle

    async def ask(self, placed: Placed) -> None:
        """An order of a change. It waits for its confirm; a plain buyer's takes effect at once."""
        product = placed.ask.product or ""
        async with self._shop.locks.hold(f"{LEASE}:{product}", f"{QUOTE}:{placed.ask.quote_id}"):
            lease = await own_lease(self._shop, placed)
            quote, taken = await accepted(self._shop, placed)
            check_amends(lease, quote.segment)
            asked = fsm.ask_amendment(lease, self._amendment(placed, taken, lease))
            try:
                claim = admitted(self._shop, quote, lease)
                await self._ready(lease, asked, claim)
            except Problem as problem:
                if problem.code == "HOLD_LOST":
                    raise
                await failed(self._shop, placed, problem)
                return
            waiting = await self._write(placed, taken, asked, claim)
            self._shop.caps.ordered(quote, self._shop.now())
            if placed.order is None:
                await self.confirm(waiting, None, Batch())

    async def confirm(self, lease: Lease, named: Named | None, batch: Batch) -> Lease:
        """The change takes effect. The lock of the lease is held. Raises `UNAVAILABLE` while the network does not."""
        assert lease.amendment is not None, "only a change that waits is confirmed"
        after = fsm.amend(lease, self._shop.now())
        await self._wired(lease, after)
        after = fsm.amend(lease, now := self._shop.now())
        order = await self._shop.store.order(lease.amendment.order_id)
        assert order is not None, "a change was written with its order"
        after, documents = receipted(self._shop.signer, after, follows=named.hash if named else None, at=now)
        batch.orders.append(structs.replace(order, outcome=OrderState.COMPLETED, ended_at=now, document=after.receipt))
        return await self._commit(lease, after, named, batch, documents)

    async def take_back(self, lease: Lease, order_h: str, named: Named, batch: Batch) -> Lease:
        """A change that waits, or was confirmed here and not everywhere, as if it had never been. The lock of the lease
        is held. Raises `INCOMPATIBLE_STATE` once it is final, `UNAVAILABLE` while the network does not."""
        now = self._shop.now()
        if lease.amendment is not None:
            after = fsm.drop_amendment(lease, now)
            batch.orders += await self._lifecycle.dropped(lease, "taken back")
        else:
            after = fsm.take_back(lease, now)
        await self._wired(lease, after, anyway=fsm.touched(lease))
        after, documents = receipted(self._shop.signer, after, follows=named.hash, answers=order_h)
        taken = await self._commit(lease, after, named, batch, documents)
        if lease.amendment is None:  # what was confirmed, and in use
            self._shop.caps.voided(lease.broker, lease.buyer, now)
        return taken

    async def _ready(self, lease: Lease, asked: Lease, claim: Claim | None) -> None:
        """Make the network carry what was ordered. Raises `OPERATOR_REFUSED`, and then nothing was taken."""
        try:
            self._check_room(lease, asked)
            why = await self._lifecycle.wire(asked) if fsm.carried(asked) != fsm.carried(lease) else ""
            if why:
                await self._lifecycle.wire(lease)  # it may have done it all the same, or half of it
                detail = "the network could not give the segment another bandwidth"
                raise Problem("OPERATOR_REFUSED", detail, field="segment.bandwidth_bps")
        except BaseException:
            if claim:
                self._shop.inventory.withdraw(claim.id)
            raise

    def _check_room(self, lease: Lease, asked: Lease) -> None:
        """That the lease and the hold together are what it will keep: it may have become smaller since the quote."""
        assert asked.amendment is not None, "a change was asked for"
        inventory = self._shop.inventory
        present, added = inventory.claim(lease.claim), inventory.claim(asked.amendment.quote_id)
        assert present is not None, "a lease in force has a claim"
        longer = fsm.kept_end_s(asked) > present.end_s
        room = present.bandwidth_bps + (added.bandwidth_bps if added and not longer else 0)
        if fsm.kept_bps(asked) > room or (longer and added is None):
            raise Problem("HOLD_LOST", "the lease has changed since this was quoted; ask for a new one")

    async def _wired(self, lease: Lease, after: Lease, *, anyway: bool = False) -> None:
        """Make the network carry a change. Raises `UNAVAILABLE`."""
        if (anyway or fsm.carried(after) != fsm.carried(lease)) and await self._lifecycle.wire(after):
            detail = "the network has not changed the segment yet; ask again"
            raise Problem("UNAVAILABLE", detail, outcome=Outcome.NONE, retry_after_s=RETRY_S)

    def _amendment(self, placed: Placed, taken: Quote, lease: Lease) -> Amendment:
        assert taken.tariff is not None, "an accepted quote has a price"
        now, deadline = self._shop.now(), lease.end_s
        if placed.order is not None:
            deadline = min(confirm_by(placed.order, now, now), lease.end_s)
        return Amendment(
            quote_id=taken.id,
            order_id=placed.id,
            order_h=placed.named.hash if placed.named else None,
            quote_h=taken.hash,
            path_root=placed.order.path_root if placed.order else None,
            tariff=taken.tariff,
            segment=taken.segment,
            since=now,
            confirm_by=deadline,
        )

    async def _write(self, placed: Placed, taken: Quote, lease: Lease, claim: Claim | None) -> Lease:
        """Write the order down; what was held for it is the lease's from now on."""
        documents = list[Document]()
        if placed.order is not None:
            lease, documents = receipted(self._shop.signer, lease)
        batch = placed.batch(placed.row(lease.id, lease.receipt if placed.order else None), documents)
        batch.quotes.append(taken)
        batch.leases.append(lease)
        batch.freed.append(taken.id)
        batch.claims += self._lifecycle.claims(lease)
        try:
            await self._shop.commit(batch)
        except BaseException:
            if claim:
                self._shop.inventory.withdraw(claim.id)
            await self._unwired(self._shop.leases[lease.id], lease)
            raise
        return lease

    async def _commit(
        self, lease: Lease, after: Lease, named: Named | None, batch: Batch, documents: list[Document]
    ) -> Lease:
        batch.leases.append(after)
        batch.documents += documents
        batch.seen += seen(after.broker, named, after.receipt_h or "")
        batch.claims += self._lifecycle.claims(after)
        try:
            await self._shop.commit(batch)
        except BaseException:
            await self._unwired(lease, after)
            raise
        return after

    async def _unwired(self, lease: Lease, after: Lease) -> None:
        """Have the network carry what it did before; what it does not, it does after a restart."""
        if fsm.carried(after) != fsm.carried(lease):
            await self._lifecycle.wire(lease)

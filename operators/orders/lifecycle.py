"""From COMMITTED to RELEASED: what happens to a lease after it was ordered, asked for or because it is time.

Whoever calls holds the lock of the lease. On the way up each step is written down before the network is touched and
after it, so a restart finds every segment that may carry traffic. On the way down it is too, but where the network does
it at once: then both are written in one (ADR 0036).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from msgspec import structs

from operators.fabric.driver import Wiring
from operators.inventory.ledger import Claim
from operators.orders import fsm
from operators.orders.events import LeaseChange
from operators.orders.fsm import Due, Lease, Quote
from operators.orders.keeping import Batch, OrderRow
from operators.orders.receipts import receipted
from operators.orders.shop import LEASE, WAITING, Shop
from operators.orders.timers import RETRY_S, Row
from schemas.lease import IN_FORCE, State
from schemas.problem import Problem
from schemas.segment import EntityId, Id
from schemas.sonata.refusal import Refusal
from schemas.sonata.states import OrderState

FABRIC_S: Final = 20.0  # how long the network may take to bring a segment up, or down, if it says nothing else
WIRED: Final = IN_FORCE | {State.RELEASING}  # what the network carries, or may carry still
SOON_S: Final = 0.05  # how long the answer to an order waits for a network that says that it is slow
NOBODY_ANSWERED: Final = Refusal(code="OPERATOR_REFUSED", detail="nobody answered in time")
log = logging.getLogger(__name__)


class Lifecycle:
    """The steps of leases, and the expiry of quotes."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    async def step(self, row: Row) -> None:
        """Make the step that time asks for now, if any: what the timers call."""
        kind, name = row
        async with self._shop.locks.hold(f"{kind}:{name}"):
            if kind == LEASE:
                await self._step_lease(name)
            else:
                await self.expire(name)

    async def expire(self, quote_id: Id) -> None:
        """Let a quote expire, with its hold, once its time has come, or its hold is lost. The lock of the quote is
        held."""
        if (lost := self._shop.lost.get(quote_id)) is not None:
            await self.close_quote(lost, State.DECLINED, "the hold was lost")
            return
        quote = self._shop.quotes.get(quote_id)
        if quote is not None and quote.exp <= self._shop.now():
            await self.close_quote(quote, State.EXPIRED)

    async def close_quote(self, quote: Quote, to: State, why: str = "") -> Quote:
        """Expired or declined: the hold is given back. The lock of the quote is held."""
        assert quote.state in WAITING, "only a quote that waits is closed"
        closed = fsm.stepped(quote, to, self._shop.now(), why)
        if quote.state is State.ASKED and to is State.EXPIRED:
            closed = structs.replace(closed, refusal=NOBODY_ANSWERED)
        await self._shop.commit(Batch(quotes=[closed], freed=[quote.id]))
        return closed

    async def start(self, lease: Lease) -> Lease:
        """Bring a committed segment up, or fail and undo it. A plain buyer's is ACTIVE at once: it has no confirm."""
        if self._in_the_way(lease):
            self._shop.timers.arm(self._shop.now() + 1, (LEASE, lease.id))
            return await self._rising(lease)
        why = await self._raised(lease)
        if why is None:
            return await self._rising(lease)
        if why:
            return await self._fail(lease, why)
        up = fsm.stepped(lease, State.UP, self._shop.now())
        if lease.order_h is None:
            up = fsm.confirm(up, self._shop.now())
        up, documents = receipted(self._shop.signer, up)
        orders = await self._answered(lease.order_id, up)
        return await self._settle(lease, up, Batch(orders=orders, documents=documents))

    def _in_the_way(self, lease: Lease) -> bool:
        """Whether the network has not let go yet of a lease whose time is over and whose labels this one has now."""
        now, ends = self._shop.now(), self._shop.ends
        there = (one for end in (lease.segment.a, lease.segment.z) for one in ends.get(end, {}).values())
        return any(one.end_s <= now and one.id != lease.id and one.state in WIRED for one in there)

    async def _raised(self, lease: Lease) -> str | None:
        """Why the network did not bring it up, nothing when it did, None while a network that is slow goes on.

        That one works beside the lock of the lease, so that a segment can be released while it rises.
        """
        shop, slow_s, what = self._shop, self._shop.sales.up_within_s, f"bring up {lease.id}"
        act = shop.driver.bring_up
        if not slow_s:
            return await self._drive(act(lease.id, wiring(lease)), what)
        task = shop.rising.get(lease.id)
        if task is None:
            task = asyncio.ensure_future(self._drive(act(lease.id, wiring(lease)), what, max(FABRIC_S, slow_s)))
            shop.rising[lease.id] = task
            await asyncio.wait({task}, timeout=SOON_S)
        if task.done():
            del shop.rising[lease.id]
            return task.result()
        task.add_done_callback(lambda _: shop.timers.arm(shop.now(), (LEASE, lease.id)))
        return None

    async def _rising(self, lease: Lease) -> Lease:
        """The buyer gets a receipt that says COMMITTED; one that is UP follows. Meanwhile time goes on."""
        self._shop.timers.arm(min(lease.end_s, lease.confirm_by or lease.end_s), (LEASE, lease.id))
        if lease.receipt is not None or lease.order_h is None:
            return lease
        waiting, documents = receipted(self._shop.signer, lease)
        orders = await self._answered(lease.order_id, waiting)
        return await self._settle(lease, waiting, Batch(orders=orders, documents=documents))

    async def release(self, lease: Lease, why: str, batch: Batch, void: EntityId | None = None) -> Lease:
        """Take a segment down for good. `batch` holds what the release itself writes down beside it.

        What a network does at once is written down once, together with what came of it; before that nobody was told.
        """
        going = fsm.release(lease, self._shop.now(), why, void)
        if lease.amendment is not None:
            batch.orders += await self.dropped(lease, why)
        if lease.state not in IN_FORCE:
            batch.leases.append(going)
            await self._shop.commit(batch)
            return await self.finish(going)
        down = asyncio.ensure_future(self._lowered(lease))
        await asyncio.wait({down}, timeout=SOON_S)
        try:
            if down.done() and not down.result():
                return await self._close(going, batch)
            batch.leases.append(going)
            await self._shop.commit(batch)
        except BaseException:  # nothing was written down, so the lease is what it was
            await down
            await self.wire(lease)
            raise
        return await self._lower(going, await down)

    async def finish(self, lease: Lease) -> Lease:
        """The last steps of a segment on its way down; tried again later while the network does not do it."""
        await self._shop.fall(lease.id)
        return await self._lower(lease, await self._lowered(lease))

    async def _lowered(self, lease: Lease) -> str:
        """Why the network did not take it down; nothing when it did."""
        return await self._drive(self._shop.driver.take_down(lease.id), f"take down {lease.id}")

    async def _lower(self, lease: Lease, why: str) -> Lease:
        """Write down that a segment on its way is down, if it is."""
        if why:
            self._shop.timers.arm(self._shop.now() + RETRY_S, (LEASE, lease.id))
            return lease
        closed, documents = receipted(self._shop.signer, fsm.close(lease, self._shop.now()))
        orders = await self._ended(closed)
        return await self._settle(lease, closed, Batch(orders=orders, documents=documents, freed=[lease.claim]))

    async def _close(self, lease: Lease, batch: Batch) -> Lease:
        """Write down a release and its end in one."""
        closed, documents = receipted(self._shop.signer, fsm.close(lease, self._shop.now()))
        batch.leases.append(closed)
        batch.documents += documents
        batch.freed.append(lease.claim)
        batch.orders = [self._done(order, closed) if order.id == closed.release_id else order for order in batch.orders]
        await self._shop.commit(batch)
        return closed

    async def lapse_amendment(self, lease: Lease) -> Lease:
        """A change that was not confirmed in time leaves the lease as it was, free of charge.

        Raises `UNAVAILABLE` while the network still carries it."""
        assert lease.amendment is not None, "only a change that waits lapses"
        orders = await self.dropped(lease, "not confirmed in time")
        order_h = lease.amendment.order_h
        kept = fsm.drop_amendment(lease, self._shop.now())
        if fsm.touched(lease) and await self.wire(kept):
            raise Problem("UNAVAILABLE", "the network still carries a change that lapsed")
        kept, documents = receipted(self._shop.signer, kept, answers=order_h)
        claims = self.claims(kept)
        await self._shop.commit(Batch(leases=[kept], orders=orders, documents=documents, claims=claims))
        return kept

    async def settle(self, lease: Lease) -> Lease:
        """A change of bandwidth is for good: what the lease kept of its former one is free."""
        after = fsm.settle(lease)
        await self._shop.commit(Batch(leases=[after], claims=self.claims(after)))
        return after

    async def wire(self, lease: Lease) -> str:
        """Have the network carry a lease in force as it is now; why it does not, or nothing."""
        return await self._drive(self._shop.driver.bring_up(lease.id, wiring(lease)), f"change {lease.id}")

    def claims(self, lease: Lease) -> list[Claim]:
        """The claim of a lease in force, where that has to change with it; what is past of it is no matter."""
        present = self._shop.inventory.claim(lease.claim)
        assert present is not None, "a lease in force has a claim"
        bps, end_s = fsm.kept_bps(lease), fsm.kept_end_s(lease)
        if (present.bandwidth_bps, present.end_s) == (bps, end_s):
            return []
        start_s = min(max(present.start_s, self._shop.now()), end_s - 1)
        return [structs.replace(present, bandwidth_bps=bps, start_s=start_s, end_s=end_s)]

    async def dropped(self, lease: Lease, why: str) -> list[OrderRow]:
        """The order of a change that came to nothing."""
        assert lease.amendment is not None, "only a change that waits comes to nothing"
        order = await self._shop.store.order(lease.amendment.order_id)
        assert order is not None, "a change was written with its order"
        return [structs.replace(order, outcome=OrderState.FAILED, ended_at=self._shop.now(), why=why)]

    async def _settle(self, lease: Lease, after: Lease, batch: Batch) -> Lease:
        """Write down what the network did. While the disk cannot, the lease stays where it was, and is tried again."""
        batch.leases.append(after)
        try:
            await self._shop.commit(batch)
        except Problem as problem:
            log.warning("%s stays %s for now: %s", lease.id, lease.state, problem)
            self._shop.timers.arm(self._shop.now() + RETRY_S, (LEASE, lease.id))
            return lease
        return after

    async def _step_lease(self, product: Id) -> None:
        """Nobody asked for this step, so its broker is told."""
        lease = self._shop.leases.get(product)
        step = fsm.due(lease, self._shop.now()) if lease else None
        if lease is None or step is None:
            return
        after = await self._stepped(lease, step)
        if after.state is not lease.state:
            at_ms = self._shop.signer.clock.now_us() // 1000
            self._shop.events.publish(after.broker, LeaseChange(after.id, after.state, at_ms))

    async def _stepped(self, lease: Lease, step: Due) -> Lease:
        match step:
            case Due.START:
                return await self.start(lease)
            case Due.FINISH:
                return await self.finish(lease)
            case Due.LAPSE_AMENDMENT:
                return await self.lapse_amendment(lease)
            case Due.SETTLE:
                return await self.settle(lease)
        why = "the window is over" if step is Due.END else "not confirmed in time"
        return await self.release(lease, why, Batch())

    async def _fail(self, lease: Lease, why: str) -> Lease:
        failing = fsm.stepped(lease, State.COMPENSATING, self._shop.now(), why)
        order = await self._shop.store.order(lease.order_id)
        assert order is not None, "a lease was written with its order"
        refusal = Refusal(code="OPERATOR_REFUSED", detail="the network could not bring the segment up")
        await self._shop.commit(Batch(leases=[failing], orders=[structs.replace(order, refusal=refusal)]))
        return await self.finish(failing)

    async def _answered(self, order_id: Id, lease: Lease) -> list[OrderRow]:
        """The order, with the lease's receipt as its answer."""
        order = await self._shop.store.order(order_id)
        assert order is not None, "a lease was written with its order"
        return [structs.replace(order, document=lease.receipt)]

    async def _ended(self, lease: Lease) -> list[OrderRow]:
        """The orders that a closed lease brings to their end: its release, or the order that failed to add it."""
        orders = await self._answered(lease.order_id, lease) if lease.state is State.FAILED else []
        if lease.release_id is not None:
            order = await self._shop.store.order(lease.release_id)
            assert order is not None, "a release was written with its order"
            orders.append(self._done(order, lease))
        return orders

    def _done(self, order: OrderRow, lease: Lease) -> OrderRow:
        """The order that released a lease, now that it is closed."""
        return structs.replace(order, document=lease.receipt, outcome=OrderState.COMPLETED, ended_at=self._shop.now())

    async def _drive(self, act: Coroutine[Any, Any, None], what: str, most_s: float = FABRIC_S) -> str:
        """Why the network did not do it; nothing when it did."""
        try:
            async with asyncio.timeout(most_s):
                await act
        except TimeoutError:
            log.warning("fabric: %s took longer than %s s", what, most_s)
            return f"no answer within {most_s} s"
        except Exception as error:  # a driver is foreign code: whatever it raises means that it was not done
            log.warning("fabric: %s: %s", what, error, exc_info=error)
            return str(error) or type(error).__name__
        return ""


def wiring(lease: Lease) -> Wiring:
    """A lease as the network is to carry it now."""
    return Wiring(fsm.carried(lease), lease.route)

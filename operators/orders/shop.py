"""What the handlers of one operator share, and the one way a decision takes effect.

A handler reserves in memory and decides without awaiting anything in between, puts all of it into a batch, and calls
`commit`: first the disk, then everything in memory that follows from it. Rows in memory are those that are not over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from operators.access.admit import Admission
from operators.access.gate import Gate
from operators.access.signer import Signer
from operators.config import Holds, Sales
from operators.fabric.driver import Driver
from operators.inventory.ledger import Claim, Inventory
from operators.orders.caps import HoldCaps
from operators.orders.events import Events
from operators.orders.fsm import Lease, Quote, wake_at
from operators.orders.keeping import Batch, Store
from operators.orders.locks import Locks
from operators.orders.telling import Telling
from operators.orders.timers import Timers
from operators.pricing.network import Network
from schemas.lease import State
from schemas.problem import not_found
from schemas.segment import End, EntityId, Id

T = TypeVar("T")
SETTLE_S: Final = 5.0
WAITING: Final = frozenset({State.ASKED, State.QUOTED, State.HELD})
OVER: Final = frozenset({State.RELEASED, State.FAILED})
QUOTE, LEASE = "quote", "lease"


@dataclass(frozen=True)
class Shop:
    """One operator's tools, its rows that are not over (leases by their ends too), the segments that a slow network is
    bringing up, and quotes whose holds are lost, which is not on disk yet.

    Without an `admission` whoever signs may ask: that is for tests of what comes after it.
    """

    signer: Signer
    gate: Gate
    network: Network
    inventory: Inventory
    caps: HoldCaps
    store: Store
    driver: Driver
    timers: Timers
    holds: Holds
    horizon: Callable[[], int]
    changed: Callable[[Iterable[Id]], None]
    sales: Sales = field(default_factory=Sales)
    billing_account: str | None = None
    bounded_elsewhere: bool = False
    admission: Admission | None = None
    events: Events = field(default_factory=Events)
    locks: Locks = field(default_factory=Locks)
    telling: Telling = field(default_factory=Telling)
    quotes: dict[Id, Quote] = field(default_factory=dict)
    leases: dict[Id, Lease] = field(default_factory=dict)
    ends: dict[End, dict[Id, Lease]] = field(default_factory=dict)
    acts: set[asyncio.Task[Any]] = field(default_factory=set)
    rising: dict[Id, asyncio.Task[str]] = field(default_factory=dict)
    lost: dict[Id, Quote] = field(default_factory=dict)

    def now(self) -> int:
        """Unix seconds."""
        return self.signer.clock.now()

    async def act(self, work: Coroutine[Any, Any, T]) -> T:
        """Run an act to its end even if whoever asked has gone: half of one must never be left."""
        task = asyncio.ensure_future(work)
        self.acts.add(task)
        task.add_done_callback(self.acts.discard)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for the acts, and the steps of time, that are under way."""
        while self.acts:
            await asyncio.wait(self.acts)
        await self.timers.drain()

    async def settled(self) -> None:
        """Wait for the acts that are under way now, at most `SETTLE_S`, and for none that begin later."""
        if self.acts:
            await asyncio.wait([*self.acts], timeout=SETTLE_S)

    async def lower(self) -> None:
        """Stop bringing segments up: the next start begins anew."""
        for product in list(self.rising):
            await self.fall(product)

    async def fall(self, product: Id) -> None:
        """Stop bringing a segment up, if that is under way; at a restart it begins anew."""
        if (task := self.rising.pop(product, None)) is not None:
            task.cancel()
            await asyncio.wait({task})

    async def commit(self, batch: Batch) -> None:
        """Make a decision durable, then let it show. Raises `UNAVAILABLE`, and then nothing has changed here."""
        batch.told += self.telling.told(batch, self.leases)
        await self.store.commit(batch)
        self.telling.heard(batch)
        for quote in batch.quotes:
            self.remember_quote(quote)
        for lease in batch.leases:
            self.remember_lease(lease)
        touched: set[Id] = set()
        for claim in batch.claims:
            touched.update(claim.bps())
        for claim_id in batch.freed:
            claim_held = self.inventory.claim(claim_id)
            touched.update(claim_held.bps() if claim_held else ())
            self.inventory.withdraw(claim_id)
        for claim in batch.claims:
            self.inventory.put(claim)
        if touched:
            self.changed(touched)

    def remember_quote(self, quote: Quote) -> None:
        """Keep a quote while it waits, and look at it again when it expires."""
        if quote.state not in WAITING:
            self.quotes.pop(quote.id, None)
            self.lost.pop(quote.id, None)
            self.caps.drop(quote)
            self.timers.forget((QUOTE, quote.id))
            return
        self.quotes[quote.id] = quote
        self.timers.arm(quote.exp, (QUOTE, quote.id))

    def take_up(self, quote: Quote, claim: Claim | None) -> None:
        """Go on with a quote from the store. What one that holds would take may be somebody else's by now."""
        self.remember_quote(quote)
        if quote.state is not State.HELD:
            return
        if claim is None or self.inventory.claim(claim.id) is not None or self.inventory.fit(claim):
            self.lost.pop(quote.id, None)
            self.caps.add(quote)
        else:
            self.lose(quote)

    def lose(self, quote: Quote) -> None:
        """What a quote held is somebody else's: nobody orders it any more, and soon the disk says so too."""
        self.quotes.pop(quote.id, None)
        self.caps.drop(quote)
        self.lost[quote.id] = quote
        self.timers.arm(self.now(), (QUOTE, quote.id))

    def remember_lease(self, lease: Lease) -> None:
        """Keep a lease until it is over, and look at it again when time makes its next step: whoever brought it here
        makes what is due now."""
        self._place(lease)
        row = (LEASE, lease.id)
        if (at := wake_at(lease)) is None:
            self.leases.pop(lease.id, None)
            self.timers.forget(row)
            return
        self.leases[lease.id] = lease
        self.timers.arm(max(at, self.now() + 1), row)

    def _place(self, lease: Lease) -> None:
        """Keep a lease at its two ends, which it has for life."""
        for end in (lease.segment.a, lease.segment.z):
            if lease.state not in OVER:
                self.ends.setdefault(end, {})[lease.id] = lease
            elif here := self.ends.get(end):
                here.pop(lease.id, None)
                if not here:
                    del self.ends[end]

    async def find_quote(self, quote_id: Id, broker: EntityId) -> Quote:
        """A broker's own quote. Raises `NOT_FOUND`."""
        quote = self.quotes.get(quote_id) or await self.store.quote(quote_id)
        if quote is None or quote.broker != broker:
            raise not_found("this quote")
        return quote

    async def find_lease(self, product: Id, broker: EntityId) -> Lease:
        """A broker's own lease, over or not. Raises `NOT_FOUND`."""
        lease = self.leases.get(product) or await self.store.lease(product)
        if lease is None or lease.broker != broker:
            raise not_found("this product")
        return lease

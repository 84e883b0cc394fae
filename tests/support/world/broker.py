"""One incarnation of a broker after another, on one store. A crash closes the fence: it is no cancellation, so no
`finally` runs and nothing is said good-bye to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.protocols import PAGE_MAX, Filed
from federation.broker.orders.recovery import recover
from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.spend.protocols import Charge
from federation.node.seams import Clock
from federation.trust.keys import PrivateKey
from schemas.price import RateTable
from tests.support.seams import CountingEntropy
from tests.support.world.memory import MemoryStore
from tests.support.world.network import Fence, Network, WorldPeer
from tests.support.world.operator import WorldOperator

T = TypeVar("T")


class Crashed(Exception):
    """The broker that was asked is no more."""


class FencedStore:
    """The order store as one incarnation sees it. `crash_at` is told of every write, before and after its commit."""

    def __init__(self, store: MemoryStore, fence: Fence, crash_at: Callable[[str], bool]) -> None:
        self._store, self._fence, self._crash_at = store, fence, crash_at

    async def begin(
        self,
        state: OrderState,
        quote_id: str,
        claim: Claim | None,
        filed: Sequence[Filed],
        charge: Charge | None = None,
    ) -> None:
        await self._write(lambda: self._store.begin(state, quote_id, claim, filed, charge))

    async def save(self, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
        await self._write(lambda: self._store.save(state, claims, filed))

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        await self._fence.passed()
        return await self._store.get_order(buyer, order_id)

    async def list_orders(self, buyer: str, limit: int = PAGE_MAX, after: str | None = None) -> tuple[OrderState, ...]:
        await self._fence.passed()
        return await self._store.list_orders(buyer, limit, after)

    async def unfinished(self) -> tuple[OrderState, ...]:
        await self._fence.passed()
        return await self._store.unfinished()

    async def find_product(self, operator: str, product: str) -> str | None:
        await self._fence.passed()
        return await self._store.find_product(operator, product)

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        await self._fence.passed()
        return await self._store.get_quote(buyer, quote_id)

    async def _write(self, work: Callable[[], Awaitable[None]]) -> None:
        for moment in ("before", "after"):
            await self._fence.passed()
            if self._crash_at(moment):
                self._fence.closed.set()
            await self._fence.passed()
            await asyncio.sleep(0.001)
            await self._fence.passed()
            if moment == "before":
                await work()


class Broker:
    """A broker that can be crashed and started again. `quotes` are stored by whoever makes the world."""

    def __init__(
        self,
        store: MemoryStore,
        operators: Sequence[WorldOperator],
        network: Network,
        *,
        key: PrivateKey,
        rates: RateTable,
        clock: Clock,
    ) -> None:
        self.store = store
        self._operators, self._network, self._key, self._rates, self._clock = operators, network, key, rates, clock
        self._entropy = CountingEntropy("o")
        self._alive: Coordinator | None = None
        self._roots: list[asyncio.Task[None]] = []
        self.fence = Fence()
        self.crash_at: Callable[[str], bool] = lambda moment: False
        self.faults: list[BaseException] = []

    async def start(self) -> None:
        """Start an incarnation and let it recover."""
        self.fence, ready = Fence(), asyncio.Event()
        self._roots.append(asyncio.create_task(self._live(self.fence, ready)))
        await ready.wait()

    def crash(self) -> None:
        """End the present incarnation without a word."""
        self.fence.closed.set()

    async def stop(self) -> None:
        """Clear away every incarnation, after the end of the run."""
        for root in self._roots:
            root.cancel()
        await asyncio.gather(*self._roots, return_exceptions=True)

    async def ask(self, call: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Have a living coordinator do something. Raises `Crashed` if it dies before it answered."""
        fence, alive = self.fence, self._alive
        if alive is None or fence.closed.is_set():
            raise Crashed
        asked, dead = asyncio.ensure_future(call(alive)), asyncio.ensure_future(fence.closed.wait())
        await asyncio.wait({asked, dead}, return_when=asyncio.FIRST_COMPLETED)
        dead.cancel()
        if not asked.done():
            asked.cancel()
            raise Crashed
        return asked.result()

    def _journaled(self, document_h: str) -> bool:
        return any(found == document_h for _, found in self.store.documents)

    async def _live(self, fence: Fence, ready: asyncio.Event) -> None:
        try:
            await self._run(fence, ready)
        except Exception as fault:  # noqa: BLE001 - judged at the end of the run
            self.faults.append(fault)
            fence.closed.set()
            ready.set()

    async def _run(self, fence: Fence, ready: asyncio.Event) -> None:
        store = FencedStore(self.store, fence, self.crash_at)
        peers = {one.entity: WorldPeer(one, self._network, fence, self._journaled) for one in self._operators}
        async with asyncio.TaskGroup() as tasks:
            self._alive = Coordinator(
                key=self._key, peers=peers, store=store, quotes=store,  # type: ignore[arg-type]
                rates=self._rates, clock=self._clock, entropy=self._entropy, tasks=tasks,
                faulted=lambda _, fault: self.faults.append(fault),
            )  # fmt: skip
            await recover(store, self._alive)
            ready.set()
            await fence.closed.wait()
            await asyncio.get_running_loop().create_future()

"""A coordinator of orders over a small world of operators in memory, without trouble, in jumping time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import structs

from federation.broker.orders.coordinator import Coordinator
from federation.broker.quotes.protocols import Claim, StoredQuote
from schemas.lease import State
from schemas.price import RateTable
from schemas.segment import window
from tests.support.seams import CountingEntropy
from tests.support.world.network import Fence, Network, WorldPeer
from tests.support.world.run import BUYER, KEY, RATES, World
from tests.support.world.staged import staged


class Shop:
    """A coordinator over a small world without trouble."""

    def __init__(self, world: World, tasks: asyncio.TaskGroup, rates: RateTable = RATES) -> None:
        self.world, self.store, self.fence = world, world.store, Fence()
        journaled = world.broker._journaled
        self.network = Network(world.rng)
        self.peers = {one.entity: WorldPeer(one, self.network, self.fence, journaled) for one in world.operators}
        self.orders = Coordinator(
            key=KEY, peers=self.peers, store=world.store, quotes=world.store, rates=rates, clock=world.clock,
            entropy=CountingEntropy("o"), tasks=tasks,
        )  # fmt: skip

    async def quote(self, start_in_s: int = 0, lasts_s: int = 3600, idle_release_s: int | None = None) -> StoredQuote:
        now = self.world.clock.now()
        quote = self.world.path_quote(window(now + start_in_s, now + start_in_s + lasts_s))
        quote = structs.replace(quote, intent=structs.replace(quote.intent, idle_release_s=idle_release_s))
        await self.store.put_quote(quote, claim(f"quote {quote.id}"))
        return quote

    async def active(self) -> str:
        quote = await self.quote()
        order = await self.orders.place(quote, claim(quote.id))
        assert (await self.orders.wait(BUYER, order.id, 10)).state is State.ACTIVE
        return order.id


def claim(key: str) -> Claim:
    return Claim(buyer=BUYER, key=key, digest="d")


def run(scenario: Callable[[Shop], Awaitable[None]], operators: int = 3) -> None:
    """Run a scenario in jumping time, and close the shop afterwards."""
    staged(Shop, scenario, operators)

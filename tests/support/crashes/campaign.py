"""Blow after blow at a federation of real processes in use, and what must hold after each and at the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from random import Random

from federation.client.broker import BrokerClient
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import TERMINAL, State
from tests.support.crashes import books
from tests.support.crashes.books import Books
from tests.support.crashes.lives import LOST, UNWRITTEN, Lived, insisted, live
from tests.support.crashes.strike import Strike, fallen
from tests.support.federation import TinyFederation
from tests.support.redis_server import RedisServer

BUYERS = ("alice", "bob", "alice")
POLL_S = 0.25


class Campaign:
    """`fell` counts the blows that fell, by what they were; `lived` is every purchase so far."""

    def __init__(
        self, federation: TinyFederation, intent: Intent, patience_s: float = 60, redis: RedisServer | None = None
    ) -> None:
        self._federation, self._intent, self._redis = federation, intent, redis
        self._polls = int(patience_s / POLL_S)
        self.fell: Counter[str] = Counter()
        self.ends: Counter[State] = Counter()
        self.lived: list[tuple[str, Lived]] = []

    async def strike(self, strikes: Iterable[Strike], name: str) -> int:
        """Strike while a few purchases go on, and judge once it is quiet; how many blows fell."""
        strikes, done = list(strikes), asyncio.Event()
        falling = [
            asyncio.create_task(fallen(self._federation, strike, f"{name}-{number}", done, self._redis))
            for number, strike in enumerate(strikes)
        ]
        try:
            await asyncio.gather(*(self._live(buyer, f"{name}-{n}") for n, buyer in enumerate(BUYERS)))
            done.set()
            fell = await asyncio.gather(*falling)
            await self._none(self._faults)
        except BaseException as error:
            error.add_note("; ".join(map(str, strikes)))
            raise
        finally:
            done.set()
            for task in falling:
                task.cancel()
        self.fell.update(f"{strike.point}" for strike, hit in zip(strikes, fell, strict=True) if hit)
        return sum(fell)

    async def _live(self, buyer: str, name: str) -> None:
        async with self._federation.client(buyer) as client:
            lost = LOST | UNWRITTEN if self._redis else LOST
            lived = await live(client, self._intent, name, Random(name), self._agreed, lost=lost)
        self.lived.append((buyer, lived))
        self.ends[lived.order.state] += 1

    async def _agreed(self, order: OrderView) -> None:
        """Its operators' books say the same of an order that stands still."""

        async def faults() -> list[str]:
            return books.disagreements(order, self._books())

        await self._none(faults)

    async def _faults(self) -> list[str]:
        """Of the latest orders: where both sides differ. Who still has a lease that none of them owns."""
        orders, found = await self._orders(2 * len(BUYERS)), self._books()
        return [*(one for order in orders for one in books.disagreements(order, found)), *books.orphans(orders, found)]

    async def _faults_of_all(self) -> list[str]:
        """The same of all orders, and who pays for a path that never was."""
        orders, found = await self._orders(None), self._books()
        return [
            *(one for order in orders for one in books.disagreements(order, found)),
            *books.orphans(orders, found),
            *books.unpaid(orders, found),
        ]

    async def _orders(self, limit: int | None) -> list[OrderView]:
        found: list[OrderView] = []
        for buyer in sorted(set(BUYERS)):
            async with self._federation.client(buyer) as client:
                found += await insisted(partial(client.orders, limit))
        return found

    def _books(self) -> dict[str, Books]:
        return {plan.entity: books.read(self._federation.folder / plan.name) for plan in self._federation.plans}

    async def concluded(self) -> None:
        """Everything that was ever acknowledged is still known, once, and as it was; and nothing is kept of it."""
        by_buyer = {buyer: self._federation.client(buyer) for buyer in set(BUYERS)}
        for buyer, client in by_buyer.items():
            async with client:
                for lived in (lived for who, lived in self.lived if who == buyer):
                    await self._remembered(client, lived)
                mine = {lived.order.id for who, lived in self.lived if who == buyer}
                assert {order.id for order in await client.orders()} == mine, "an order that nobody was told of"
        await self.quiet()

    async def quiet(self) -> None:
        """Nothing is in force, both sides agree, and nobody keeps anything. Raises `AssertionError`."""
        await self._none(self._faults_of_all)
        await self._none(self._kept)
        await self._none(self._audited)

    async def _audited(self) -> list[str]:
        """What the broker finds when it asks every operator itself."""
        found: list[str] = []
        for buyer in sorted(set(BUYERS)):
            async with self._federation.client(buyer) as client:
                audit = await insisted(client.audit)
                found += [] if audit.clean else [f"{audit.operators} {audit.findings}"]
        return found

    async def _kept(self) -> list[str]:
        """What calendars keep, when there is nobody it could be for."""
        return [f"{name} keeps {claim}" for name, book in self._books().items() for claim in book.claims.values()]

    async def _remembered(self, client: BrokerClient, lived: Lived) -> None:
        for quote in lived.quotes:
            assert (await client.get_quote(quote)).state in TERMINAL | {State.COMMITTED, State.ACTIVE}
        again = await client.order(lived.quotes[-1], lived.key)
        assert (again.id, again.state, again.bill) == (lived.order.id, lived.order.state, lived.order.bill)

    async def _none(self, faults: Callable[[], Awaitable[list[str]]]) -> None:
        """What is on its way may take a while to arrive. Raises `AssertionError` with what stays."""
        for _ in range(self._polls):
            if not await faults():
                return
            await asyncio.sleep(POLL_S)
        raise AssertionError("\n".join(await faults()) or "it took too long")

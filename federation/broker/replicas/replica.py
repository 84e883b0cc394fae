"""One replica's part among the replicas of a broker, put together."""

from __future__ import annotations

import asyncio
import functools
from contextlib import suppress

from federation.broker.config import BrokerConfig
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.protocols import OrderStore
from federation.broker.replicas.announcements import Announcements
from federation.broker.replicas.carrying import ANY_VERSION, Carrying
from federation.broker.replicas.leases import Leadership, Leases, SharedTurns
from federation.broker.replicas.news import News
from federation.broker.replicas.secret import shared_secret
from federation.broker.store.opened import Shared
from federation.broker.store.redis.keys import prefix
from federation.broker.store.redis.orders import UNFINISHED
from federation.broker.sweeping.office import Office
from schemas.problem import Problem


class Replica:
    """This process among the replicas; `name` is new with every start. `ownership`, `turns` and `leadership` are for
    whoever needs them."""

    def __init__(self, config: BrokerConfig, shared: Shared, store: OrderStore, name: str) -> None:
        server, space = shared
        self._server, self._prefix = server, prefix(config.entity)
        takeover_s = config.store.takeover_s
        leases = Leases(server, self._prefix, name, round(takeover_s * 1000))
        self._news = News(server, config.store, self._prefix, name)
        self.leadership, self.turns = Leadership(leases), SharedTurns(leases)
        announcements = Announcements(server, self._prefix, name)
        self.ownership = Carrying(
            announcements,
            self._news,
            store,
            unfinished=functools.partial(space.keys.ranked, UNFINISHED),
            leadership=self.leadership,
            turns=self.turns,
            takeover_s=takeover_s,
        )

    def office(self, name: str) -> Office:
        """Whether this replica holds an office, asked whenever that matters."""

        async def held() -> bool:
            return await self.leadership.lead(name) > 0

        return held

    async def secret(self, own: bytes) -> bytes:
        """The secret of all replicas. Raises `UNAVAILABLE`."""
        return await shared_secret(self._server, self._prefix, own)

    def start(self, coordinator: Coordinator, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Carry orders, and tell and hear news, until these tasks are cancelled; then others may have the orders."""

        def missed() -> None:
            for order_id in coordinator.carried:
                coordinator.heard(order_id, ANY_VERSION)

        return [
            tasks.create_task(self._carry(coordinator), name="orders carried here"),
            tasks.create_task(self._news.send(), name="news to other replicas"),
            tasks.create_task(self._news.hear(coordinator.heard, missed), name="news of other replicas"),
        ]

    async def _carry(self, coordinator: Coordinator) -> None:
        try:
            await self.ownership.run(coordinator)
        finally:
            with suppress(Problem):
                await self.leadership.resign()

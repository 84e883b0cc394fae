"""One replica's part among the replicas of a broker, put together."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

from federation.broker.config import BrokerConfig
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.protocols import OrderStore
from federation.broker.replicas.announcements import Announcements
from federation.broker.replicas.carrying import ANY_VERSION, Carrying
from federation.broker.replicas.leases import Leadership, Leases, SharedTurns
from federation.broker.replicas.lives import earlier, living
from federation.broker.replicas.news import News
from federation.broker.replicas.secret import shared_secret
from federation.broker.store.opened import Shared
from federation.broker.store.redis.keys import prefix
from federation.broker.store.redis.orders import UNFINISHED
from federation.broker.sweeping.office import Office
from federation.node.seams import Entropy
from schemas.problem import Problem

log = logging.getLogger(__name__)


class Replica:
    """This process among the replicas; `name` is that of its life (`lives.py`). `ownership`, `turns` and `leadership`
    are for whoever needs them; implements `Among`, too."""

    def __init__(self, config: BrokerConfig, shared: Shared, store: OrderStore, name: str) -> None:
        server, space = shared
        self._server, self._prefix = server, prefix(config.entity)
        self.name, takeover_s = name, config.store.takeover_s
        self._takeover_ms = round(takeover_s * 1000)
        leases = Leases(server, self._prefix, name, self._takeover_ms)
        self._news = News(server, config.store, self._prefix, name)
        self.leadership, self.turns = Leadership(leases), SharedTurns(leases)
        self._announcements = Announcements(server, self._prefix, name)
        self.ownership = Carrying(
            self._announcements,
            self._news,
            store,
            unfinished=functools.partial(space.keys.ranked, UNFINISHED),
            leadership=self.leadership,
            turns=self.turns,
            takeover_s=takeover_s,
        )

    async def gone(self) -> Callable[[str], bool]:
        """See `Among.gone`: an earlier life of this replica, or one that did not look for `takeover_s`."""
        heard = await self._announcements.heard(self._takeover_ms) if self.ownership.settled else None
        return lambda name: earlier(name, self.name) or (heard is not None and name not in heard)

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
        """What an earlier life had is had at once, or like that of others where the store is away now."""
        try:
            with suppress(Problem):
                inherited = await self._announcements.inherit(lambda name: earlier(name, self.name))
                log.info("%s goes on with %d orders of its life before", self.name, inherited)
            await self.ownership.run(coordinator)
        finally:
            with suppress(Problem):
                await self.leadership.resign()


def living_among(config: BrokerConfig, shared: Shared, entropy: Entropy) -> AbstractAsyncContextManager[str]:
    """The name of this life, for as long as it lasts."""
    return living(Path(config.data), shared.server, prefix(config.entity), entropy)

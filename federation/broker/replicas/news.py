"""What was journaled, told to the other replicas by publish and subscribe. News may be lost, late or doubled; they only
make somebody look sooner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from federation.broker.config import Store
from federation.broker.orders.saga.state import OrderState
from federation.broker.store.redis.listening import listen
from federation.broker.store.redis.pipe import Command
from federation.broker.store.redis.server import Server
from schemas.problem import Problem

AGAIN_S: Final = 1.0
log = logging.getLogger(__name__)
Hear = Callable[[str, int], None]


class News:
    """Tells what this replica journaled and hears what others did."""

    def __init__(self, server: Server, settings: Store, prefix: str, replica: str) -> None:
        self._server, self._settings, self._replica = server, settings, replica
        self._channel = f"{prefix}news"
        self._latest: dict[str, int] = {}
        self._some = asyncio.Event()

    def tell(self, state: OrderState) -> None:
        """Have the others know of an entry of the journal, soon."""
        self._latest[state.terms.id] = state.version
        self._some.set()

    async def send(self) -> None:
        """Until cancelled: tell the others."""
        while True:
            await self._some.wait()
            self._some.clear()
            latest, self._latest = self._latest, {}
            said: list[Command] = [
                ("PUBLISH", self._channel, f"{self._replica} {version} {one}") for one, version in latest.items()
            ]
            try:
                await self._server.ask(said)
            except Problem:
                log.debug("%d news not told", len(said))

    async def hear(self, hear: Hear, missed: Callable[[], None]) -> None:
        """Until cancelled: `hear` of an order and its version; `missed` where some may not have been heard."""
        while True:
            try:
                async with aclosing(listen(self._settings, self._channel)) as saying:
                    async for said in saying:
                        if said is None:
                            missed()
                        else:
                            self._heard(said, hear)
            except Problem as problem:
                log.debug("no news: %s", problem.detail)
            await asyncio.sleep(AGAIN_S)

    def _heard(self, said: str, hear: Hear) -> None:
        who, version, order_id = said.split(" ", 2)
        if who != self._replica:
            hear(order_id, int(version))

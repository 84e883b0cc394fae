"""State changes of leases for whoever watches: only a hint, the inventory is the truth.

What changes at a broker's own request it reads in the answer. So changes wait a moment, and of several of one lease the
last one is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from schemas.lease import State
from schemas.segment import EntityId, Id

WAITING_MAX: Final = 1_000
COALESCE_S: Final = 0.2


class LeaseChange(NamedTuple):
    """One change: the product, its state now, Unix milliseconds."""

    product: Id
    state: State
    at_ms: int


class Events:
    """Changes to watchers, by broker."""

    def __init__(self) -> None:
        self._watchers: dict[EntityId, set[asyncio.Queue[LeaseChange]]] = {}
        self._untold: dict[EntityId, dict[Id, LeaseChange]] = {}

    def publish(self, broker: EntityId, change: LeaseChange) -> None:
        """Tell everyone who watches this broker's leases, soon; one that does not read loses the oldest."""
        if not self._watchers.get(broker):
            return
        if broker not in self._untold:
            self._untold[broker] = {}
            asyncio.get_running_loop().call_later(COALESCE_S, self._tell, broker)
        self._untold[broker][change.product] = change

    def _tell(self, broker: EntityId) -> None:
        for change in self._untold.pop(broker).values():
            for queue in self._watchers.get(broker, ()):
                if queue.full():
                    queue.get_nowait()
                queue.put_nowait(change)

    async def watch(self, broker: EntityId) -> AsyncGenerator[LeaseChange, None]:
        """Changes from now on."""
        queue: asyncio.Queue[LeaseChange] = asyncio.Queue(WAITING_MAX)
        watchers = self._watchers.setdefault(broker, set())
        watchers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            watchers.discard(queue)

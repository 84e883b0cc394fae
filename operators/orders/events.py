"""State changes of leases for whoever watches: only a hint, the inventory is the truth.

What a broker asked for it reads in the answer. So it is told only of what time did: what ended, lapsed, or came up
later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from schemas.lease import State
from schemas.segment import EntityId, Id

WAITING_MAX: Final = 1_000


class LeaseChange(NamedTuple):
    """One change: the product, its state now, Unix milliseconds."""

    product: Id
    state: State
    at_ms: int


class Events:
    """Changes to watchers, by broker."""

    def __init__(self) -> None:
        # Told in the order in which they came, the same in every run.
        self._watchers: dict[EntityId, dict[asyncio.Queue[LeaseChange], None]] = {}

    def publish(self, broker: EntityId, change: LeaseChange) -> None:
        """Tell everyone who watches this broker's leases; one that does not read loses the oldest."""
        for queue in self._watchers.get(broker, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(change)

    async def watch(self, broker: EntityId) -> AsyncGenerator[LeaseChange, None]:
        """Changes from now on."""
        queue: asyncio.Queue[LeaseChange] = asyncio.Queue(WAITING_MAX)
        watchers = self._watchers.setdefault(broker, {})
        watchers[queue] = None
        try:
            while True:
                yield await queue.get()
        finally:
            watchers.pop(queue, None)

"""At start: take every unfinished order up again, and listen for hints. No person is needed, in whatever order nodes
come back.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.protocols import OrderStore
from federation.broker.peers.protocols import OperatorPeer
from federation.node.limits import SECOND_US, Buckets, Rate
from schemas.problem import Problem

log = logging.getLogger(__name__)
HINT_RETRY_S: Final = 5.0
HINTS: Final = Rate(per_second=100, burst=1_000)  # of one operator: each is looked up


async def recover(store: OrderStore, coordinator: Coordinator) -> int:
    """Resume every unfinished order; returns how many. What was in doubt is asked for, never repeated blindly."""
    states = await store.unfinished()
    for state in states:
        coordinator.resume(state)
    if states:
        log.info("took up %d unfinished orders", len(states))
    return len(states)


async def listen_for_hints(peer: OperatorPeer, coordinator: Coordinator) -> None:
    """Until cancelled: let an operator's news make things faster, at a pace that leaves room for others. Correctness
    never depends on it."""
    pace, loop = Buckets(HINTS), asyncio.get_running_loop()
    while True:
        try:
            async for hint in peer.watch_leases():
                await coordinator.hint(hint)
                await asyncio.sleep(pace.take(peer.entity, round(loop.time() * SECOND_US)))
        except Problem as problem:
            log.debug("no hints from %s: %s", peer.entity, problem)
        except Exception:
            log.exception("a fault in listening for hints of %s", peer.entity)
        await asyncio.sleep(HINT_RETRY_S)


class Hints:
    """A listener for every operator that is there."""

    def __init__(self, coordinator: Coordinator, tasks: asyncio.TaskGroup) -> None:
        self._coordinator, self._tasks = coordinator, tasks
        self._running: dict[str, asyncio.Task[None]] = {}

    def join(self, peer: OperatorPeer) -> None:
        """Listen to one more operator, or to another peer of the same."""
        self.leave(peer.entity)
        listening = listen_for_hints(peer, self._coordinator)
        self._running[peer.entity] = self._tasks.create_task(listening, name=f"hints of {peer.entity}")

    def leave(self, entity: str) -> None:
        """Listen to it no longer."""
        if entity in self._running:
            self._running.pop(entity).cancel()

    def close(self) -> None:
        """Listen to nobody."""
        for entity in list(self._running):
            self.leave(entity)

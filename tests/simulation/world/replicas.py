"""Replicas of one broker: what they share beside the store, as a Redis server would keep it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from federation.broker.orders.coordinator import Coordinator
from federation.broker.replicas.carrying import Carrying
from federation.broker.replicas.leases import Leadership, Leases, SharedTurns
from tests.simulation.world.lives import Life
from tests.support.world.replicas import Stream, WorldStream

TAKEOVER_S: Final = 10


@dataclass
class Shared:
    """What all replicas of one broker see."""

    rng: random.Random
    held: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    tokens: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.stream = Stream(self.rng)


class SimLeases(Leases):
    """Leases of one incarnation of a replica."""

    def __init__(self, shared: Shared, replica: str) -> None:
        self._shared, self._replica = shared, replica

    async def take(self, name: str) -> int:
        """See `Leases.take`."""
        await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        holder, token, until = self._shared.held.get(name, ("", 0, 0.0))
        if until > now and holder != self._replica:
            return 0
        token = token if until > now else next(self._shared.tokens)
        self._shared.held[name] = (self._replica, token, now + TAKEOVER_S)
        return token

    async def drop(self, name: str) -> bool:
        """See `Leases.drop`."""
        await asyncio.sleep(0)
        mine = self._shared.held.get(name, ("",))[0] == self._replica
        if mine:
            del self._shared.held[name]
        return mine


class Replica:
    """One incarnation among the replicas: who carries which order, whose turn a request is, and news."""

    def __init__(self, shared: Shared, name: str, life: Life, store: Any) -> None:
        self._shared, self._name, self._life = shared, name, life
        leases = SimLeases(shared, name)
        self.turns = SharedTurns(leases)
        stream: Any = _Told(shared.stream, _Open(life), name)  # type: ignore[arg-type]

        async def unfinished() -> list[str]:
            return [state.terms.id for state in await store.unfinished()]

        self.ownership = Carrying(
            stream, stream, store, unfinished=unfinished, leadership=Leadership(leases), turns=self.turns,
            takeover_s=TAKEOVER_S,
        )  # fmt: skip

    def start(self, coordinator: Coordinator, tasks: asyncio.TaskGroup) -> None:
        """Carry orders, and hear news."""
        ears: Any = self._shared.stream.coordinators
        ears[self._name] = _Ear(coordinator, self._life)
        tasks.create_task(self.ownership.run(coordinator), name="orders carried here")


class _Told(WorldStream):
    """What is shared, as one incarnation sees it."""

    async def hand_back(self, entries: Sequence[str]) -> None:
        """Only where the run is over and everything is cleared away."""


@dataclass
class _Ear:
    """A coordinator that hears news within its own life, or no more."""

    coordinator: Coordinator
    life: Life

    def heard(self, order_id: str, version: int) -> None:
        if not self.life.over:
            self.life.inside(self.coordinator.heard, order_id, version)


class _Open:
    """A gate that is always open: the fence of the life is at every await anyway."""

    def __init__(self, life: Life) -> None:
        self.closed = life.ended

    async def passed(self) -> None:
        await asyncio.sleep(0)

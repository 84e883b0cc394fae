"""Several brokers on one store: any of them is asked, any may crash or stand still, and what it carried is taken over.

A broker that stands still asks nothing and writes nothing until it wakes, and then does what it had in mind before.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any, Final, TypeVar

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.saga.state import OrderState
from federation.broker.replicas.announcements import Announced
from federation.broker.replicas.carrying import Carrying
from federation.node.seams import Clock
from federation.trust.keys import PrivateKey
from schemas.price import RateTable
from schemas.problem import Problem
from tests.support.seams import CountingEntropy
from tests.support.world.broker import Broker, Crashed, FencedStore
from tests.support.world.memory import MemoryStore
from tests.support.world.network import Fence, Network, WorldPeer
from tests.support.world.operator import WorldOperator
from tests.support.world.run import KEY, RATES, Plan, World

T = TypeVar("T")
REPLICAS: Final = 3
TAKEOVER_S: Final = 10


class Gate(Fence):
    """A fence that may also be shut for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.still_until = 0.0

    async def passed(self) -> None:
        """Returns at once while open, once it opens again, never once closed."""
        await super().passed()
        while (left_s := self.still_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left_s)
            await super().passed()


class Stream:
    """What all replicas share beside the store: entries with their owners, an office, news on their way."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.entries = rng, dict[str, tuple[str, str, str, float]]()
        self.numbers, self.office = count(1), ("", 0.0)
        self.coordinators: dict[str, Coordinator] = {}


class WorldStream:
    """Announcements, leadership, turns and news of one incarnation of one replica."""

    server = "the only one"

    def __init__(self, stream: Stream, gate: Gate, name: str) -> None:
        self._stream, self._gate, self._name = stream, gate, name

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _passed(self) -> None:
        await self._gate.passed()
        await asyncio.sleep(0.001)
        await self._gate.passed()

    async def add(self, buyer: str, order_id: str) -> None:
        await self._passed()
        entry = f"{next(self._stream.numbers):09d}"
        self._stream.entries[entry] = (buyer, order_id, self._name, self._now())
        await self._passed()

    async def mine(self) -> list[Announced]:
        if self._gate.closed.is_set():
            raise Problem("UNAVAILABLE", "whoever was killed hands nothing back")
        await self._passed()
        for entry, (buyer, order_id, owner, _) in [*self._stream.entries.items()]:
            if owner == self._name:
                self._stream.entries[entry] = (buyer, order_id, owner, self._now())
        found = [*self._stream.entries.items()]
        return [Announced(entry, one[0], one[1]) for entry, one in found if one[2] == self._name]

    async def take_over(self, idle_ms: int, limit: int) -> int:
        await self._passed()
        had = 0
        for entry, (buyer, order_id, _, seen) in [*self._stream.entries.items()][:limit]:
            if self._now() - seen >= idle_ms / 1000:
                self._stream.entries[entry] = (buyer, order_id, self._name, self._now())
                had += 1
        return had

    async def drop(self, entries: Sequence[str]) -> None:
        await self._passed()
        for entry in entries:
            self._stream.entries.pop(entry, None)

    async def hand_back(self, entries: Sequence[str]) -> None:
        raise AssertionError("nobody ends in good order here")

    async def all(self) -> list[Announced]:
        await self._passed()
        return [Announced(entry, one[0], one[1]) for entry, one in self._stream.entries.items()]

    async def tidy(self) -> None:
        await self._passed()

    async def lead(self, office: str) -> int:
        await self._passed()
        holder, until = self._stream.office
        if holder != self._name and until > self._now():
            return 0
        self._stream.office = (self._name, self._now() + TAKEOVER_S)
        return 1

    async def keep(self) -> None:
        await self._passed()

    def tell(self, state: OrderState) -> None:
        """A third of all news are lost; the rest come in any order."""
        loop, rng = asyncio.get_running_loop(), self._stream.rng
        for name, coordinator in self._stream.coordinators.items():
            if name != self._name and not self._gate.closed.is_set() and rng.random() < 2 / 3:
                loop.call_later(rng.uniform(0.001, 3), coordinator.heard, state.terms.id, state.version)


class ReplicaBroker(Broker):
    """One replica, an incarnation after another, each under a name of its own."""

    def __init__(self, stream: Stream, number: int, *world: Any, **seams: Any) -> None:
        super().__init__(*world, **seams)
        self._stream, self._number, self._lives = stream, number, count(1)
        self._entropy = CountingEntropy(f"o{number}-")
        self.fence: Gate = Gate()

    async def start(self) -> None:
        """Start an incarnation."""
        self.fence, ready = Gate(), asyncio.Event()
        self._roots.append(asyncio.create_task(self._live(self.fence, ready)))
        await ready.wait()

    async def _run(self, fence: Fence, ready: asyncio.Event) -> None:
        assert isinstance(fence, Gate)
        store = FencedStore(self.store, fence, self.crash_at)
        peers = {one.entity: WorldPeer(one, self._network, fence, self._journaled) for one in self._operators}
        name = f"{self._number}/{next(self._lives)}"
        shared: Any = WorldStream(self._stream, fence, name)

        async def unfinished() -> list[str]:
            return [state.terms.id for state in await store.unfinished()]

        carrying = Carrying(
            shared, shared, store, unfinished=unfinished, leadership=shared, turns=shared, takeover_s=TAKEOVER_S
        )
        async with asyncio.TaskGroup() as tasks:
            self._alive = Coordinator(
                key=self._key, peers=peers, store=store, quotes=store,  # type: ignore[arg-type]
                rates=self._rates, clock=self._clock, entropy=self._entropy, tasks=tasks, ownership=carrying,
                faulted=lambda _, fault: self.faults.append(fault),
            )  # fmt: skip
            self._stream.coordinators[name] = self._alive
            carried = tasks.create_task(carrying.run(self._alive))
            ready.set()
            await fence.closed.wait()
            del self._stream.coordinators[name]
            await asyncio.wait({carried}, timeout=0)
            await asyncio.get_running_loop().create_future()


class Replicas:
    """What a world asks of its broker, of whichever replica it is."""

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
        self.stream, self._rng = Stream(network.rng), network.rng
        self.each = [
            ReplicaBroker(self.stream, number, store, operators, network, key=key, rates=rates, clock=clock)
            for number in range(REPLICAS)
        ]

    def watched(self, crash_at: Callable[[str], bool]) -> None:
        """Have somebody decide at which writes a replica dies."""
        for one in self.each:
            one.crash_at = crash_at

    @property
    def faults(self) -> list[BaseException]:
        return [fault for one in self.each for fault in one.faults]

    async def start(self) -> None:
        for one in self.each:
            await one.start()

    def crash(self) -> None:
        """End one without a word, or have it stand still for longer or shorter than others wait."""
        one = self._rng.choice(self.each)
        if self._rng.random() < 0.5:
            one.crash()
        else:
            one.fence.still_until = asyncio.get_running_loop().time() + self._rng.choice((3, 15, 40))

    async def stop(self) -> None:
        for one in self.each:
            await one.stop()

    async def ask(self, call: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Have any one do it; a buyer waits for an answer for half a minute."""
        asked = asyncio.ensure_future(self._rng.choice(self.each).ask(call))
        try:
            return await asyncio.wait_for(asked, 30)
        except TimeoutError:
            raise Crashed from None


class ReplicaWorld(World):
    """A world whose broker is several."""

    def __init__(self, seed: int, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(seed, plan, loop)
        self.replicas = Replicas(self.store, self.operators, self.network, key=KEY, rates=RATES, clock=self.clock)
        self.replicas.watched(self._crash_at)
        self.broker = self.replicas  # type: ignore[assignment]

    async def keep_alive(self) -> None:
        """Whoever supervises the replicas starts each again."""
        await asyncio.gather(*(self._kept_alive(one) for one in self.replicas.each))

    async def _kept_alive(self, one: ReplicaBroker) -> None:
        while True:
            await one.fence.closed.wait()
            await asyncio.sleep(self.rng.uniform(0.1, 60) if not self.over else 0.1)
            await one.start()

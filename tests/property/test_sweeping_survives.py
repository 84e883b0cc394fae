"""A sweeper that acts on the first look, all through runs with faults and crashes: it takes nothing from a live order,
and every promise holds as if it were not there.

What is under way is the whole difficulty: orders that were sent and not answered, brokers that died before they wrote
an answer down, requests that arrive long after they were given up.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from federation.broker.peers.protocols import Kept, KeptLease, LeaseHint, LeaseReceipt
from federation.broker.quotes.ask import Author
from federation.broker.sweeping.compare import Kind
from federation.broker.sweeping.sweeper import Sweeper, Tools
from schemas.lease import TERMINAL, State
from schemas.problem import Problem
from tests.support.loops import JumpingLoop
from tests.support.seams import CountingEntropy
from tests.support.world.broker import Crashed
from tests.support.world.network import Fence, WorldPeer
from tests.support.world.operator import BROKER, WorldOperator
from tests.support.world.run import KEY, Outcome, Plan, World

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
SEEDS = 1_000 if LONG else 40
PLANS = (Plan(), Plan(fault=0.5, crash=0.1), Plan(start_in_s=0, release=0.0, fault=0.2))


class Keeping(WorldPeer):
    """An operator of the world that says what it keeps, over the same bad network."""

    def __init__(self, world: World, operator: WorldOperator) -> None:
        super().__init__(operator, world.network, Fence(), lambda document_h: True)
        self.here = operator

    async def kept(self, before: int) -> Kept:
        return await self._call(lambda: self._kept(before), write=False)

    def _kept(self, before: int) -> Kept:
        self.here.settle()
        orders = {answer.receipt.product: jti for jti, (_, answer) in reversed(self.here.seen.items()) if _is(answer)}
        leases = [one.id for one in self.here.leases.values() if one.state not in TERMINAL]
        held = [one.id for one in self.here.quotes.values() if one.state is State.HELD and one.created_at < before]
        return Kept(tuple(KeptLease(one, orders.get(one)) for one in leases), tuple(held))


def _is(answer: LeaseReceipt | Problem) -> bool:
    return isinstance(answer, LeaseReceipt)


class Swept(World):
    """A world whose broker sweeps every few seconds, whatever incarnation of it lives."""

    def __init__(self, seed: int, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(seed, plan, loop)
        self.found: Counter[Kind] = Counter()
        peers = {one.entity: Keeping(self, one) for one in self.operators}
        author = Author(BROKER, KEY, b"secret", self.clock, CountingEntropy(f"sweep-{seed}-"))
        self.sweeper = Sweeper(Tools(lambda: peers, self.store, self, author, lambda problem, operator: None))

    async def hint(self, hint: LeaseHint) -> None:
        """See `Hinting`."""
        try:
            await self.broker.ask(lambda orders: orders.hint(hint))
        except Crashed:
            pass

    async def sweeping(self) -> None:
        while True:
            await asyncio.sleep(self.rng.uniform(500, 1_500) if self.over else self.rng.uniform(1, 30))
            report = await self.sweeper.sweep(0)
            self.found.update(one.kind for one in report.findings)
            self.found["rounds"] += 1  # type: ignore[index]

    async def play(self) -> Outcome:
        task = asyncio.create_task(self.sweeping())
        outcome = await super().play()
        assert not task.done(), task.exception()
        task.cancel()
        self.network.chance = 0
        last = await self.sweeper.audit()
        outcome.broken.extend(f"in the end {one.kind} {one.what}: {one.why}" for one in last.findings)
        return outcome


def swept(seed: int, plan: Plan) -> tuple[Outcome, Counter[Kind]]:
    loop = JumpingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        world = Swept(seed, plan, loop)
        return runner.run(world.play()), world.found


@pytest.mark.parametrize("chunk", range(2))
def test_a_sweeper_takes_nothing_from_a_live_order(chunk: int) -> None:
    found: Counter[Kind] = Counter()
    for seed in range(chunk, SEEDS, 2):
        outcome, kinds = swept(seed, PLANS[seed % len(PLANS)])
        assert not outcome.broken, f"seed {seed}: {outcome.broken}"
        assert not kinds[Kind.LEASE], f"seed {seed}: a lease that its order would have released itself"
        found += kinds
    print(dict(found))
    assert found["rounds"] > SEEDS  # type: ignore[index]

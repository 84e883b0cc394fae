"""Trouble: nodes that end and come back, nodes that stand still, networks that part, clocks that are set."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.simulation.world.broker import SimBroker
from tests.simulation.world.operator import SimOperator
from tests.simulation.world.wire import Wire

FAULTS_MAX: Final = 5


@dataclass
class Weather:
    """What happens to nodes. `steps` is how many steps an incarnation lives on average, where it does not live on. Of
    what blows, `stands` is the share of nodes that stand still, `crashes` of what is left that of crashes.
    """

    rng: random.Random
    wire: Wire
    operators: Sequence[SimOperator]
    brokers: Sequence[SimBroker]
    told: Counter[str]
    steps: int | None = None
    crashes: float = 0.5
    stands: float = 0.18
    calm: bool = False

    async def watch(self, node: SimOperator | SimBroker) -> None:
        """Whoever supervises a node starts it again."""
        kind = "operator crash" if isinstance(node, SimOperator) else "broker crash"
        while True:
            await node.start(self._ends_at())
            assert len(node.faults) < FAULTS_MAX, f"{node.entity} does not start: {node.faults[-1]}"
            await node.life.ended.wait()
            self.told[kind] += 1
            await asyncio.sleep(0.1 if self.calm else self.rng.uniform(0.1, 20))

    def _ends_at(self) -> int | None:
        """The step before which an incarnation ends: any await there is, in any of its tasks."""
        if self.calm or self.steps is None or self.rng.random() < 0.3:
            return None
        return 1 + int(self.rng.expovariate(1 / self.steps))

    async def blow(self) -> None:
        """Until it is calm."""
        while not self.calm:
            await asyncio.sleep(self.rng.uniform(2, 60))
            if self.calm:
                return
            if self.rng.random() < self.stands:
                await self._stand_still()
            elif (kind := self.rng.random()) < self.crashes * 0.4:
                self.rng.choice(self.brokers).life.end()
            elif kind < self.crashes:
                self.rng.choice(self.operators).life.end()
            elif kind < 0.9:
                await self._part()
            else:
                self._set_clock()

    async def _part(self) -> None:
        operator = self.rng.choice(self.operators)
        cut = {(broker.entity, operator.entity) for broker in self.brokers if self.rng.random() < 0.7}
        self.told["partition"] += bool(cut)
        self.wire.cut |= cut
        await asyncio.sleep(self._a_while())
        self.wire.cut -= cut

    async def _stand_still(self) -> None:
        """One node stops in the middle of whatever it does, and goes on as if no time had passed."""
        node = self.rng.choice(self.operators) if self.rng.random() < 0.5 else self.rng.choice(self.brokers)
        life = node.life
        if not node.serving:
            return
        self.told["operator standing still" if isinstance(node, SimOperator) else "broker standing still"] += 1
        life.stand()
        try:
            await asyncio.sleep(self._a_while())
        finally:
            life.go()

    def _a_while(self) -> float:
        return self.rng.uniform(0.5, 30) if self.rng.random() < 0.8 else self.rng.uniform(60, 130)

    def _set_clock(self) -> None:
        operator = self.rng.choice(self.operators)
        operator.clock.skew_us = self.rng.choice((0, -12, -3, 3, 12)) * 1_000_000
        operator.look()
        self.told["clock set"] += 1

    def quieten(self) -> None:
        """No more trouble; what it did stays done."""
        self.calm, self.wire.chance = True, 0.0
        self.wire.cut.clear()
        for node in (*self.operators, *self.brokers):
            node.life.ends_at = None
        for operator in self.operators:
            temper = operator.temper
            temper.disk_fails = temper.fabric_fails = temper.fabric_slow = temper.lies = 0.0
        for broker in self.brokers:
            broker.disk.fails = 0.0

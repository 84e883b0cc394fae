"""What no rule of ours does and sweepers have to set right: others touch the network, and the disk of an operator."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from msgspec import structs

from operators.inventory.ledger import Claim
from tests.simulation.world.operator import SimOperator


@dataclass
class Strays:
    """Whoever does it, until cancelled."""

    operators: Sequence[SimOperator]
    rng: random.Random
    told: Counter[str]

    async def stray(self) -> None:
        """Now and then at one operator."""
        for number in count():
            await asyncio.sleep(self.rng.uniform(5, 40))
            operator = self.rng.choice(self.operators)
            self.rng.choice((self._forget, self._left_up, self._claimed))(operator, number)

    def _forget(self, operator: SimOperator, _: int) -> None:
        """A switch that came back without a segment."""
        if operator.fabric.up:
            del operator.fabric.up[self.rng.choice(list(operator.fabric.up))]
            self.told["the network forgot a segment"] += 1

    def _left_up(self, operator: SimOperator, number: int) -> None:
        """A segment that somebody brought up by hand, like another one but for its labels."""
        for wiring in list(operator.fabric.up.values())[:1]:
            a, z = (structs.replace(end, label=3000 + number) for end in (wiring.segment.a, wiring.segment.z))
            left = structs.replace(wiring.segment, a=a, z=z)
            operator.fabric.up[f"stray{number}"] = wiring._replace(segment=left)
            self.told["the network carries a stray"] += 1

    def _claimed(self, operator: SimOperator, number: int) -> None:
        """A claim of nobody, of nothing that anybody wants."""
        now, name = operator.clock.now(), f"stray{number}"
        claim = Claim(id=name, links=(), ends=(), bandwidth_bps=1, start_s=now, end_s=now + 10**6)
        operator.store.rows["claims"][name] = claim
        self.told["a claim of nobody"] += 1

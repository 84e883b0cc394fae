"""People who sell: an operator's quotes wait for one, who says yes or no some time later, or never."""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from operators.orders.fsm import Quote
from schemas.problem import Problem
from tests.simulation.world.broker import SimBroker
from tests.simulation.world.lives import Ended
from tests.simulation.world.operator import SimOperator
from tests.simulation.world.wire import Wire


@dataclass
class Person:
    """Whoever answers at one operator. What was decided is told to the broker, as a hub tells it: perhaps."""

    operator: SimOperator
    brokers: Sequence[SimBroker]
    wire: Wire
    rng: random.Random
    told: Counter[str]

    async def sell(self) -> None:
        """Look now and then at what waits."""
        while True:
            await asyncio.sleep(self.rng.uniform(1, 40))
            if self.operator.serving and not self.operator.life.stands:
                for quote in self.operator.desk.waiting():
                    await self._answer(quote)

    async def _answer(self, quote: Quote) -> None:
        desk, drawn = self.operator.desk, self.rng.random()
        if drawn > 0.8:
            self.told["answer put off again"] += 1
            return
        answer = desk.refuse(quote.id, "not today") if drawn < 0.1 else desk.grant(quote.id)
        with suppress(Problem, Ended):
            await self.operator.life.ask(answer)
            self.told["answer of a person"] += 1
            for broker in self.brokers:
                if broker.entity == quote.broker:
                    hear = functools.partial(broker.news.tell, self.operator.entity, quote.id)
                    self.wire.tell(self.operator, broker, hear, "event of a quote")

"""One run from one seed: operators, brokers, buyers, trouble for a while, then quiet, then judgement.

A failing run is repeated by its seed and plan alone.
"""

from __future__ import annotations

import asyncio
import random
import warnings
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from federation.broker.authority.power import Buyer, Power
from federation.broker.orders.saga.state import OrderState
from federation.trust.chain import Member, TrustDomain
from federation.trust.keys import PrivateKey
from operators.config import Approval, Holds, Sales
from schemas.authority import AUTHORITY_TYPE, Authority, Deed, Spend
from schemas.lease import BILLABLE, TERMINAL
from tests.simulation.world import promises
from tests.simulation.world.books import Disk
from tests.simulation.world.broker import SimBroker
from tests.simulation.world.buyers import SimBuyer, Wishes
from tests.simulation.world.clocks import SimClock, SimLoop
from tests.simulation.world.geography import DRAWN, Geography, Room, geography
from tests.simulation.world.keys import real_key, sim_key
from tests.simulation.world.operator import SimOperator, Temper
from tests.simulation.world.people import Person
from tests.simulation.world.replicas import Shared
from tests.simulation.world.strays import Strays
from tests.simulation.world.weather import Weather
from tests.simulation.world.wire import Wire
from tests.support.seams import NOW

T = TypeVar("T")
CALM_S = 700  # longer than every deadline and backoff within a run


@dataclass(frozen=True)
class Plan:
    """What a run is like; `None` is drawn from the seed. `fault` is the chance of one per call, `steps` how many steps
    a crashing incarnation lives on average, 0 for no crashes; `stands` how much of what blows is nodes standing still,
    `by_hand` the chance that an operator sells by hand. Where everybody `sweeps`, there is something to be swept.
    """

    brokers: int = 2
    replicas: int = 1
    buyers: int | None = None
    paths: int = 2
    fault: float | None = None
    steps: int | None = None
    wishes: Wishes = field(default_factory=Wishes)
    mandates: bool = True
    trouble: bool = True
    trouble_s: int = 200
    lies: float | None = None
    stands: float = 0.18
    by_hand: float = 0.0
    sweeps: bool = False
    room: Room | None = None
    budget_micro: int = 150_000_000
    real_keys: bool = False


@dataclass
class Outcome:
    """What came of a run."""

    broken: list[str]
    states: list[OrderState]
    told: Counter[str] = field(default_factory=Counter)


class World:
    """Everything of one run."""

    def __init__(self, seed: int, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        self.rng, self.plan, self.loop = random.Random(seed), plan, loop
        self.told: Counter[str] = Counter()
        self.clock = SimClock(loop)
        self.wire = Wire(self.rng, told=self.told)
        self.map: Geography = geography(self.rng.randrange(DRAWN), plan.room or Room())
        names = [f"https://b{index}r.example" for index in range(plan.brokers)]
        self.domain = TrustDomain({name: self._member(name) for name in (*self.map.facts, *names)})
        self.operators = [self._operator(index) for index in range(len(self.map.operators))]
        self.brokers = [one for name in names for one in self._replicas(name)]
        self.weather = Weather(self.rng, self.wire, self.operators, self.brokers, self.told)
        self.buyers = [self._buyer(number) for number in range(plan.buyers or self.rng.randint(2, 5))]

        if plan.trouble:
            self._trouble()

    def _trouble(self) -> None:
        drawn, steps = self.rng.choice((0.0, 0.05, 0.15, 0.3)), self.rng.choice((None, 300, 1000, 3000))
        self.wire.chance = drawn if self.plan.fault is None else self.plan.fault
        self.weather.steps = steps if self.plan.steps is None else self.plan.steps or None
        self.weather.stands = self.plan.stands

    def _key(self, entity: str) -> PrivateKey:
        return (real_key if self.plan.real_keys else sim_key)(entity)

    def _member(self, entity: str) -> Member:
        key = self._key(entity)
        return Member(entity, entity[8:].partition(".")[0].title(), None, key.verifiers(), 2**53)  # type: ignore[arg-type]

    def _skew(self) -> int:
        return self.rng.choice((0, 0, 0, -12, 12)) * 1_000_000 if self.plan.trouble else 0

    def _operator(self, index: int) -> SimOperator:
        country, rng = self.map.operators[index], self.rng
        operator = SimOperator(
            country, self._key(country.entity), rng, SimClock(self.loop, self._skew()), self.domain, self.told,
            Holds(per_buyer=rng.choice((500, 500, 3))), self._sales(), self.plan.sweeps,
        )  # fmt: skip
        if self.plan.trouble:
            lies = rng.choice((0, 0, 0, 0, 0.1))
            operator.temper = Temper(
                disk_fails=rng.choice((0, 0, 0.05)), fabric_fails=rng.choice((0, 0, 0.1)),
                fabric_slow=rng.choice((0, 0.2)), lies=lies if self.plan.lies is None else self.plan.lies,
            )  # fmt: skip
        return operator

    def _sales(self) -> Sales:
        by_hand = self.plan.by_hand and self.rng.random() < self.plan.by_hand
        return Sales(approval=Approval.MANUAL if by_hand else Approval.AUTOMATIC)

    def _replicas(self, name: str) -> list[SimBroker]:
        disk = Disk(self.rng, self.told, fails=self.rng.choice((0, 0, 0.03)) if self.plan.trouble else 0.0)
        shared = Shared(self.rng) if self.plan.replicas > 1 else None
        made = [
            SimBroker(
                name, self._key(name), SimClock(self.loop, self._skew() // 4), disk, self.wire, self.operators,
                self.domain, self.map.snapshot, self.map.facts, number=number, shared=shared,
                patient=self.plan.by_hand > 0,
                sweeps=self.plan.sweeps,
            )
            for number in range(self.plan.replicas)
        ]  # fmt: skip
        for one in made:
            one.replicas, one.sent = made, made[0].sent
        return made

    def _buyer(self, number: int) -> SimBuyer:
        broker = self.brokers[number % self.plan.brokers * self.plan.replicas]
        name = f"buyer{number // self.plan.brokers // 2}"
        power = self._power(name, number) if self.plan.mandates and self.rng.random() < 0.5 else None
        return SimBuyer(Buyer(name, power), broker, self.wire, self.rng, self.map.sites(), self.plan.wishes, self.told)

    def _power(self, name: str, number: int) -> Power:
        """Agents of one buyer share a mandate that does not last for everything they want."""
        micro = self.plan.budget_micro
        spend = Spend(ccy="EUR", per_order_micro=micro, total_micro=micro * 5 // 4, until=NOW + 10**6)
        authority = Authority(
            type=AUTHORITY_TYPE, actions=tuple(Deed), max_bandwidth_bps=10**12, spend=spend, max_hops=8, depth=1
        )
        key = f"{number}{'k' * 43}"[:43]
        return Power(mandate_h=f"{name:m<43}"[:43], buyer=name, agent=f"agent{number}", authority=authority,
                     txn=f"{number:x<22}"[:22], key=key)  # fmt: skip

    # --- the run -----------------------------------------------------------------------------------------------

    async def play(self) -> Outcome:
        """Trouble, quiet, judgement, the end of everything, judgement."""
        return await self.through(self._play())

    async def through(self, work: Coroutine[Any, Any, T]) -> T:
        """Start every node, do something, and clear the lives away."""
        self._nodes = [asyncio.create_task(self.weather.watch(one)) for one in (*self.operators, *self.brokers)]
        people = [Person(one, self.brokers, self.wire, self.rng, self.told) for one in self.operators if one.by_hand]
        self._people = [asyncio.create_task(one.sell()) for one in people]
        await asyncio.sleep(1)
        try:
            return await work
        finally:
            for node in (*self.operators, *self.brokers):
                for life in node.lives:
                    life.buried = True

    async def _play(self) -> Outcome:
        plan = self.plan
        storms = [self.weather.blow()] if plan.trouble else []
        storms += [Strays(self.operators, self.rng, self.told).stray()] if plan.sweeps else []
        blowing = [asyncio.create_task(storm) for storm in storms]
        self._introduce()
        alive = [asyncio.create_task(b.live(self.rng.uniform(0, 60), plan.paths)) for b in self.buyers]
        await asyncio.sleep(plan.trouble_s)
        for storm in blowing:
            storm.cancel()
        self.weather.quieten()
        await asyncio.wait({asyncio.gather(*alive), *self._nodes}, return_when=asyncio.FIRST_COMPLETED)
        for task in (one for one in self._nodes if one.done()):
            task.result()  # whoever watches a node gave up
        await asyncio.sleep(CALM_S)
        found = promises.broken(self.quiet())
        found += await self._released_everywhere()
        return Outcome(found, list(self.quiet().states()), self.told)

    def _introduce(self) -> None:
        """Everybody hears of the orders of a stranger."""
        for buyer in self.buyers:
            strangers = [b for b in self.buyers if b.broker is buyer.broker and b.me.name != buyer.me.name]
            buyer.others = self.rng.choice(strangers).orders if strangers else []

    def quiet(self, *, final: bool = False) -> promises.Quiet:
        """The world, to be judged."""
        by_entity = {one.entity: one for one in self.operators}
        return promises.Quiet(by_entity, tuple(self.brokers), tuple(self.buyers), self.map, self.clock.now(), final)

    async def _released_everywhere(self) -> list[str]:
        """Then everybody lets go, and nothing may be left anywhere."""
        for buyer in self.buyers:
            for order_id in buyer.orders:
                state = buyer.broker.disk.books.state(order_id)
                self.told[str(state.state)] += 1
                if self.rng.random() < 0.5 or state.state not in BILLABLE:
                    await buyer.release(order_id)
        states = list(self.quiet().states())
        latest = max((state.end_s for state in states), default=self.clock.now())
        await asyncio.sleep(max(0, latest - self.clock.now()) + CALM_S)
        quiet = self.quiet(final=True)
        left = [f"order {s.terms.id} is {s.state} in the end" for s in quiet.states() if s.state not in TERMINAL]
        return left + [f"in the end {what}" for what in promises.broken(quiet)]


def play(seed: int, plan: Plan | None = None) -> Outcome:
    """Run one seed."""
    loop = SimLoop()
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        # What is left of the last lives is cleared away when all is over, and would begin this and that once more.
        warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
        return runner.run(World(seed, plan or Plan(), loop).play())

"""One run from one seed: operators, a broker, buyers with their wishes, faults for a while, then quiet, then judgement.

A failing run is repeated by its seed alone.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

import msgspec

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.terms import rates_hash
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.trust.keys import PrivateKey, generate
from federation.trust.merkle import path_root
from schemas.answer import EndView, PathView, SegmentView
from schemas.intent import Intent
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.price import Money, RateTable, Tariff
from schemas.problem import Problem
from schemas.quote import Action, PathQuote, QuotedSegment
from schemas.segment import End, Promise, Segment, Window, window
from tests.support.loops import JumpingLoop
from tests.support.seams import NOW
from tests.support.world import promises
from tests.support.world.broker import Broker, Crashed
from tests.support.world.memory import MemoryStore
from tests.support.world.network import Network
from tests.support.world.operator import BROKER, WorldOperator

BUYER = "alice"
RATES = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_001, "GBP": 1_149_003})
KEY: PrivateKey = generate()
CALM_S = 700  # longer than every deadline and backoff within a run
GBPS = 10**9


class LoopClock:
    """The wall clock of a jumping loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._zero = loop, loop.time()

    def now_us(self) -> int:
        return NOW * 1_000_000 + round((self._loop.time() - self._zero) * 1_000_000)

    def now(self) -> int:
        return self.now_us() // 1_000_000


@dataclass(frozen=True)
class Plan:
    """What a run is like; `None` is drawn from the seed. `fault` is the chance of one per call, `crash` per write of
    the journal, `release` that a wish of the buyer is a release and no change, `resize` that a change is of the
    bandwidth and no extension. `crash_write` crashes at one write.
    """

    operators: int | None = None
    orders: int | None = None
    fault: float | None = None
    crash: float | None = None
    wishes: bool = True
    release: float = 0.4
    resize: float = 0.0
    trouble: bool = True
    start_in_s: int | None = None
    lasts_s: int | None = None
    crash_write: tuple[int, str] | None = None
    trouble_s: int = 200


@dataclass
class Outcome:
    """What came of a run."""

    broken: list[str]
    states: list[OrderState]
    told: Counter[str] = field(default_factory=Counter)
    writes: int = 0


class World:
    """Everything of one run."""

    def __init__(self, seed: int, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        self.rng, self.plan, self.clock = random.Random(seed), plan, LoopClock(loop)
        self.network = Network(self.rng)
        self.operators = [self._operator(index) for index in range(self._drawn(plan.operators, 2, 5))]
        self.store = MemoryStore()
        self.broker = Broker(self.store, self.operators, self.network, key=KEY, rates=RATES, clock=self.clock)
        self.broker.crash_at = self._crash_at
        self.told: Counter[str] = Counter()
        self.writes = self.count = 0
        self.over = False

    def _drawn(self, given: int | None, low: int, high: int) -> int:
        drawn = self.rng.randint(low, high)
        return drawn if given is None else given

    def _operator(self, index: int) -> WorldOperator:
        currency = ("EUR", "CHF", "GBP")[index % 3]
        operator = WorldOperator(
            f"https://op{index}.example", f"op{index}", self.rng, self.clock.now, currency=currency
        )
        if self.plan.trouble:
            operator.skew_s = self.rng.choice((0, 0, 0, -12, 12))
            operator.chance_refuse = self.rng.choice((0, 0, 0.05, 0.2))
            operator.chance_broken_fabric = self.rng.choice((0, 0, 0.1))
            operator.chance_slow_release = self.rng.choice((0, 0.3))
            operator.old_receipts = self.rng.random() < 0.3
            operator.chance_wrong_label = self.rng.choice((0, 0, 0.1))
        return operator

    # --- quotes --------------------------------------------------------------------------------------------

    def tariff(self, operator: WorldOperator) -> Tariff:
        return Tariff(
            currency=operator.currency,
            set_up_micro=self.rng.randrange(1_000_000),
            gbps_hourly_micro=self.rng.randrange(1, 10_000_000),
            exit_micro=self.rng.randrange(1_000_000),
        )

    def path_quote(self, span: Window) -> StoredQuote:
        """A held path quote over some of the operators."""
        path = self.rng.sample(self.operators, self.rng.randint(min(2, len(self.operators)), len(self.operators)))
        labels = [self.rng.randrange(100, 200) for _ in range(len(path) + 1)]
        held = []
        for index, operator in enumerate(path):
            a, z = End(f"a-{operator.name}", labels[index]), End(f"z-{operator.name}", labels[index + 1])
            segment = Segment(a=a, z=z, bandwidth_bps=GBPS, window=span)
            held.append(operator.quote(segment, self.tariff(operator)))
        return self._stored(tuple(held), Action.ADD, None)

    def longer_quote(self, state: OrderState, by_s: int) -> StoredQuote:
        """A held path quote that extends an order."""
        held = []
        for part, leg in zip(state.terms.parts, state.legs, strict=True):
            operator = next(one for one in self.operators if one.entity == part.operator)
            span = window(state.end_s, state.end_s + by_s)
            segment = msgspec.structs.replace(part.pledge.quoted, window=span)
            held.append(operator.quote(segment, self.tariff(operator), product=leg.product))
        return self._stored(tuple(held), Action.MODIFY, state.terms.id)

    def other_quote(self, state: OrderState, bps: int, *, anew: bool) -> StoredQuote:
        """A held path quote for another bandwidth until the end of an order: of its leases, or of new ones."""
        held, span = [], window(self.clock.now(), state.end_s)
        for part, leg in zip(state.terms.parts, state.legs, strict=True):
            operator = next(one for one in self.operators if one.entity == part.operator)
            segment = msgspec.structs.replace(part.pledge.quoted, window=span, bandwidth_bps=bps)
            held.append(operator.quote(segment, self.tariff(operator), product=None if anew else leg.product))
        action, order = (Action.ADD, None) if anew else (Action.MODIFY, state.terms.id)
        return self._stored(tuple(held), action, order)

    def _stored(self, held: tuple[HeldQuote, ...], action: Action, order: str | None) -> StoredQuote:
        self.count += 1
        quote_id, now, span = f"q{self.count:021d}", self.clock.now(), held[0].quote.segment.window
        totals = [RATES.convert(one.quote.total, "EUR") for one in held]
        total = Money("EUR", sum(one.micro for one in totals))
        claims = PathQuote(
            iss=BROKER, sub=BUYER, aud=BUYER, iat=now, exp=now + 29, jti=quote_id, action=action, order=order,
            intent_h="h" * 43, window=span, bandwidth_bps=held[0].quote.segment.bandwidth_bps,
            path=tuple(
                QuotedSegment(operator=one.operator, quote_h=one.quote_h, quote=None, total=part)
                for one, part in zip(held, totals, strict=True)
            ),
            path_root=path_root([one.quote_h for one in held]), promise=Promise(), total=total,
            exit_total=Money("EUR", 0), rates_h=rates_hash(RATES),
        )  # fmt: skip
        segments = tuple(
            SegmentView(
                operator=one.operator, operator_name=one.operator[8:11], route_class="any",
                a=EndView(interface=one.quote.segment.a.interface, city="A", country="NL"),
                z=EndView(interface=one.quote.segment.z.interface, city="Z", country="NL"),
                promise=Promise(), price=one.quote.total, total=part,
            )
            for one, part in zip(held, totals, strict=True)
        )  # fmt: skip
        document = f"path.{quote_id}.sig"
        return StoredQuote(
            id=quote_id, buyer=BUYER, state=State.HELD,
            intent=Intent(a="A", z="Z", bandwidth_bps=GBPS, end=span.end),
            document=document, document_h="h" * 43, claims=claims, held=held,
            path=PathView(segments=segments, promise=Promise(), total=total), order=order,
        )  # fmt: skip

    # --- faults --------------------------------------------------------------------------------------------

    def _crash_at(self, moment: str) -> bool:
        if moment == "before":
            self.writes += 1
        if self.plan.crash_write is not None:
            return (self.writes - 1, moment) == self.plan.crash_write
        chance = self.plan.crash if self.plan.crash is not None else 0.03
        hit = not self.over and self.rng.random() < chance
        self.told["crash"] += hit
        return hit

    async def trouble(self) -> None:
        """Operators go down for a while, and the broker dies between two writes."""
        while True:
            await asyncio.sleep(self.rng.uniform(2, 60))
            if self.rng.random() < 0.5:
                self.broker.crash()
                self.told["crash"] += 1
                continue
            operator = self.rng.choice(self.operators)
            operator.down = True
            self.told["operator down"] += 1
            await asyncio.sleep(self.rng.uniform(0.5, 30) if self.rng.random() < 0.8 else self.rng.uniform(60, 130))
            operator.down = False

    async def keep_alive(self) -> None:
        """Whoever supervises the broker starts it again."""
        while True:
            await self.broker.fence.closed.wait()
            await asyncio.sleep(self.rng.uniform(0.1, 20) if not self.over else 0.1)
            await self.broker.start()

    # --- buyers --------------------------------------------------------------------------------------------

    async def buyer(self) -> None:
        """Orders a path, whatever it takes to learn the outcome, and then wants this and that."""
        await asyncio.sleep(self.rng.uniform(0, 60))
        start_in_s = self.plan.start_in_s
        if start_in_s is None:
            start_in_s = self.rng.choice((0, 0, 0, 0, 100, 20_000))
        start_s = self.clock.now() + start_in_s
        lasts_s = self.plan.lasts_s or self.rng.choice((150, 400, 10_000))
        quote = self.path_quote(window(start_s, start_s + lasts_s))
        claim = Claim(buyer=BUYER, key=quote.id, digest="d")
        await self.store.put_quote(quote, Claim(buyer=BUYER, key=f"quote {quote.id}", digest="d"))
        order_id = await self.placed(quote, claim)
        if order_id is None or not self.plan.wishes:
            return
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            await asyncio.sleep(self.rng.expovariate(1 / 30))
            if self.rng.random() < self.plan.release:
                await self.until_answered(lambda orders, name=order_id: orders.release(BUYER, name, None))
            elif self.plan.resize and self.rng.random() < self.plan.resize:
                order_id = await self.resized(order_id) or order_id
            else:
                await self.extended(order_id)

    async def placed(self, quote: StoredQuote, claim: Claim, replaces: str | None = None) -> str | None:
        async def place(orders: Coordinator) -> str:
            return (await orders.place(quote, claim, replaces=replaces)).id

        return await self.until_answered(place)

    async def resized(self, order_id: str) -> str | None:
        """Another bandwidth, in place or by another order, whose id is the one to use from then on."""
        state = self.store.state(order_id)
        if state.state is not State.ACTIVE or self.clock.now() > state.end_s - 30:
            return None
        bps = self.rng.choice([one for one in (GBPS // 4, GBPS, 3 * GBPS) if one != state.bandwidth_bps])
        anew = self.rng.random() < 0.5
        quote = self.other_quote(state, bps, anew=anew)
        await self.store.put_quote(quote, Claim(buyer=BUYER, key=f"quote {quote.id}", digest="d"))
        claim = Claim(buyer=BUYER, key=quote.id, digest="d")
        self.told["replace" if anew else "resize"] += 1
        if anew:
            return await self.placed(quote, claim, order_id)
        await self.until_answered(lambda orders: orders.extend(quote, claim))
        return None

    async def extended(self, order_id: str) -> None:
        state = self.store.state(order_id)
        if state.state is not State.ACTIVE or self.clock.now() > state.end_s - 30:
            return
        quote = self.longer_quote(state, self.rng.choice((100, 500)))
        await self.store.put_quote(quote, Claim(buyer=BUYER, key=f"quote {quote.id}", digest="d"))
        claim = Claim(buyer=BUYER, key=quote.id, digest="d")
        await self.until_answered(lambda orders: orders.extend(quote, claim))
        self.told["extend"] += 1

    async def until_answered(self, call):  # type: ignore[no-untyped-def]
        """Ask again after a crash; the answer, the order that has it already, or None after a refusal."""
        while True:
            try:
                return await self.broker.ask(call)
            except Crashed:
                await asyncio.sleep(1)
            except Problem as problem:
                self.told[f"refused: {problem.code}"] += 1
                return problem.extra.get("order")

    # --- the run -------------------------------------------------------------------------------------------

    async def play(self) -> Outcome:
        if self.plan.trouble:
            drawn = self.rng.choice((0.0, 0.05, 0.15, 0.3))
            self.network.chance = drawn if self.plan.fault is None else self.plan.fault
        await self.broker.start()
        side = [asyncio.create_task(self.keep_alive())]
        if self.plan.trouble and self.plan.crash != 0:
            side.append(asyncio.create_task(self.trouble()))
        buyers = [asyncio.create_task(self.buyer()) for _ in range(self._drawn(self.plan.orders, 1, 3))]
        await asyncio.sleep(self.plan.trouble_s)
        await self.quieten(side[1:])
        await asyncio.gather(*buyers)
        await asyncio.sleep(CALM_S)
        found = promises.broken(self.store.states(), self.operators)
        found += await self.released_everywhere()
        found += [f"a broker stopped: {error!r}" for error in self.broker.faults]
        states = self.store.states()
        for task in side:
            task.cancel()
        await self.broker.stop()
        return Outcome(found, states, self.told + self.network.told, self.writes)

    async def quieten(self, troubles: list[asyncio.Task[None]]) -> None:
        for task in troubles:
            task.cancel()
        self.over, self.network.chance = True, 0.0
        for operator in self.operators:
            operator.down, operator.chance_refuse = False, 0.0

    async def released_everywhere(self) -> list[str]:
        """Then everybody lets go, and nothing may be left anywhere."""
        for state in self.store.states():
            order_id = state.terms.id
            self.told[str(state.state)] += 1
            if self.rng.random() < 0.5 or state.state not in BILLABLE:
                await self.until_answered(lambda orders, order_id=order_id: orders.release(BUYER, order_id, None))
        latest = max((state.end_s for state in self.store.states()), default=self.clock.now())
        await asyncio.sleep(max(0, latest - self.clock.now()) + CALM_S)
        states = self.store.states()
        left = [f"order {s.terms.id} is {s.state} in the end" for s in states if s.state not in TERMINAL]
        return left + [f"in the end {what}" for what in promises.broken(states, self.operators)]


def play(seed: int, plan: Plan | None = None) -> Outcome:
    """Run one seed."""
    loop = JumpingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(World(seed, plan or Plan(), loop).play())

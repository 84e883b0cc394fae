"""A small federation in memory, and a broker's search and quoting over it.

Alpha (Utrecht) --- Beta  --- Gamma (Milan)      the cheap way over Beta
               \\-- Delta --/                     Delta is dearer and slower
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from federation.broker.discovery.federation import Federation
from federation.broker.market.asking import Marks, Terms
from federation.broker.market.market import Market, at_once
from federation.broker.market.searching import Searching
from federation.broker.once import claim_of
from federation.broker.quotes.ask import Author
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.quoting import Quoting, QuotingLimits
from federation.policy.catalogue import catalogue
from federation.trust.keys import generate
from schemas.intent import Intent
from schemas.jurisdiction import Attestation
from schemas.price import RateTable
from tests.support.fake_operators import FakeOperator
from tests.support.memory_store import MemoryStore
from tests.support.seams import CountingEntropy, FixedClock

BROKER = "https://broker.example"
ALPHA, BETA, GAMMA, DELTA = (f"https://{name}.example" for name in ("alpha", "beta", "gamma", "delta"))
GBPS = 10**9
LIMITS = QuotingLimits()
RATES = RateTable("2026-11-01", {"EUR": 1_000_000, "CHF": 1_100_000})


@dataclass
class SmallMarket:
    """Everything a test may want to touch."""

    clock: FixedClock
    alpha: FakeOperator
    beta: FakeOperator
    gamma: FakeOperator
    delta: FakeOperator
    facts: dict[str, Attestation]
    marks: dict[str, frozenset[str]]
    federation: Federation
    market: Market
    searching: Searching
    quoting: Quoting
    store: MemoryStore
    lying: set[str]

    @property
    def operators(self) -> tuple[FakeOperator, ...]:
        return self.alpha, self.beta, self.gamma, self.delta

    async def quote(self, buyer: str = "ann", **changes: object) -> StoredQuote:
        """Quote the usual intent with some changes, under a new key."""
        asked = intent(**changes)
        return await self.quoting.quote(buyer, asked, claim_of(buyer, self.quoting.author.entropy.token(), "q", asked))

    def held(self) -> dict[str, int]:
        """How many holds each operator has."""
        return {operator.name: len(operator.holds) for operator in self.operators}


def intent(**changes: object) -> Intent:
    """One gigabit for an hour from Utrecht to Milan."""
    base: dict[str, object] = {
        "a": "Utrecht@Alpha",
        "z": "Milan@Gamma",
        "bandwidth_bps": GBPS,
        "duration_s": 3600,
    }
    return Intent(**(base | changes))  # type: ignore[arg-type]


def operators(clock: FixedClock) -> tuple[FakeOperator, FakeOperator, FakeOperator, FakeOperator]:
    """The four, joined."""
    alpha = FakeOperator(ALPHA, "Alpha", clock).uni("a-ut", "Utrecht")
    gamma = FakeOperator(GAMMA, "Gamma", clock, currency="CHF").uni("g-mi", "Milan", country="IT", lat_udeg=51_500_000)
    made = []
    for entity, name, price, us in ((BETA, "Beta", 100, 500), (DELTA, "Delta", 300, 900)):
        tag = name[0].lower()
        transit = FakeOperator(entity, name, clock)
        transit.enni(f"{tag}-a", "Frankfurt", ALPHA, f"a-{tag}", latency_us=5)
        transit.enni(f"{tag}-g", "Zurich", GAMMA, f"g-{tag}", latency_us=5).offer(
            f"{tag}-a", f"{tag}-g", price=price, us=us
        )
        alpha.enni(f"a-{tag}", "Frankfurt", entity, f"{tag}-a").offer("a-ut", f"a-{tag}", price=50, us=200)
        gamma.enni(f"g-{tag}", "Zurich", entity, f"{tag}-g").offer(f"g-{tag}", "g-mi", price=50, us=300)
        made.append(transit)
    return alpha, made[0], gamma, made[1]


def marks_in(given: Mapping[str, frozenset[str]]) -> Marks:
    """The marks of each operator, as a test may change them later."""
    return lambda entity: given.get(entity, frozenset())


@asynccontextmanager
async def small_market(
    clock: FixedClock,
    change: Callable[[Mapping[str, FakeOperator]], None] = lambda by_name: None,
    limits: QuotingLimits = LIMITS,
) -> AsyncIterator[SmallMarket]:
    """The market, once every sheet is in its graph. `change` edits the operators before they are asked."""
    alpha, beta, gamma, delta = operators(clock)
    change({o.name: o for o in (alpha, beta, gamma, delta)})
    peers = {o.entity: o for o in (alpha, beta, gamma, delta)}
    entropy, facts, store = CountingEntropy("t"), dict[str, Attestation](), MemoryStore()
    marks: dict[str, frozenset[str]] = {}
    lying: set[str] = set()
    federation = Federation(peers, clock, entropy)
    market = Market(federation, at_once)
    policies = catalogue(now=clock.now()).applying
    terms = Terms(
        RATES, facts.get, marks_in(marks), policies=policies, sites=lambda one: one not in lying, broker=BROKER
    )
    searching = Searching(market, terms, clock, at_once, monotonic_us=clock.now_us)
    author = Author(BROKER, generate(), b"secret", clock, entropy)
    quoting = Quoting(searching, peers, author, store, limits)
    tasks = [asyncio.create_task(federation.run()), asyncio.create_task(market.run())]
    try:
        await market.ready.wait()
        yield SmallMarket(
            clock, alpha, beta, gamma, delta, facts, marks, federation, market, searching, quoting, store, lying
        )
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

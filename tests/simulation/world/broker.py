"""A broker: the daemon's own desk, quoting, coordinator and recovery, over a store that outlives it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from federation.broker.desk import Desk
from federation.broker.market.asking import Terms
from federation.broker.market.market import Snapshot, at_once
from federation.broker.market.searching import Searching
from federation.broker.once import Once
from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.recovery import Hints, recover
from federation.broker.peers.news import News
from federation.broker.peers.operator import SonataOperator
from federation.broker.peers.protocols import HeldQuote, LeaseReceipt, Permit
from federation.broker.quotes.ask import Author
from federation.broker.quotes.extension import Extending
from federation.broker.quotes.permits import Permits
from federation.broker.quotes.quoting import Quoting, QuotingLimits
from federation.broker.quotes.slow import Slow
from federation.broker.sweeping.sweeper import Sweeper, Tools
from federation.sonata.asking import BuyerProfile
from federation.sonata.buyer import SonataBuyer
from federation.sonata.seller import BASE
from federation.trust.chain import TrustDomain
from federation.trust.jose import doc_hash
from federation.trust.keys import PrivateKey
from schemas.order import Confirm, Order
from schemas.price import RateTable
from schemas.problem import Problem
from tests.simulation.world.books import Disk
from tests.simulation.world.clocks import SimClock
from tests.simulation.world.lives import Lived
from tests.simulation.world.operator import SimOperator
from tests.simulation.world.replicas import Replica, Shared
from tests.simulation.world.sonata import Mesh, Session
from tests.simulation.world.wire import Wire
from tests.support.seams import CountingEntropy

RATES = RateTable("2026-11-02", {"EUR": 1_000_000, "CHF": 1_068_001, "GBP": 1_149_003})
PROFILE = BuyerProfile(name="NOC", number="+49-30-000000", email_address="noc@broker.example", billing_account="BA-1")
SECRET = b"a secret for pseudonyms"


class JournaledPeer(SonataOperator):
    """The real peer, watched: what it sends must be in the journal before."""

    def __init__(self, broker: SimBroker, operator: SimOperator, **tools: Any) -> None:
        super().__init__(operator.entity, broker.entity, lambda: broker.domain, **tools)
        self._of = broker

    async def order(
        self, order_jws: str, order: Order, held: HeldQuote | None, permit: Permit | None = None
    ) -> LeaseReceipt:
        self._intended(order_jws, order.jti)
        return await super().order(order_jws, order, held, permit)

    async def confirm(self, confirm_jws: str, confirm: Confirm) -> LeaseReceipt:
        self._intended(confirm_jws, confirm.jti)
        return await super().confirm(confirm_jws, confirm)

    def _intended(self, jws: str, jti: str) -> None:
        document_h = doc_hash(jws)
        if not any(found == document_h for _, found in self._of.disk.books.documents):
            self._of.complaints.append(f"{jti} was sent to {self.name} before it was journaled")
        first = self._of.sent.setdefault((self.entity, jti), document_h)
        if first != document_h:
            self._of.complaints.append(f"{self.name} was sent two documents with jti {jti}")


class _Market:
    """A market that stands still."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


@dataclass
class SimBroker(Lived):
    """One broker and its incarnations. `faults` are what an incarnation died of by itself, or went over again."""

    entity: str
    key: PrivateKey
    clock: SimClock
    disk: Disk
    wire: Wire
    operators: Sequence[SimOperator]
    domain: TrustDomain
    snapshot: Snapshot
    facts: Mapping[str, Any]
    number: int = 0
    patient: bool = False
    sweeps: bool = False
    shared: Shared | None = None
    faults: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    sent: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._entropy = CountingEntropy(f"{self.entity[8:11]}{self.number or ''}")
        self.replicas: list[SimBroker] = [self]
        self.name = self.entity
        self.unborn()
        self.coordinator: Coordinator | None = None
        self.news = News(SECRET)

    async def live(self) -> None:
        store: Any = self.disk
        peers = {one.entity: self._peer(one) for one in self.operators}
        terms = Terms(RATES, self.facts.get, broker=self.entity)
        searching = Searching(
            _Market(self.snapshot),  # type: ignore[arg-type]
            terms, self.clock, at_once, monotonic_us=self.clock.now_us,
        )  # fmt: skip
        author = Author(self.entity, self.key, SECRET, self.clock, self._entropy)
        async with asyncio.TaskGroup() as tasks:
            replica = None
            if self.shared is not None:
                replica = Replica(self.shared, f"{self.number}/{len(self.lives)}", self.life, store)
            self.coordinator = Coordinator(
                key=self.key, peers=peers, store=store, quotes=store, rates=RATES, clock=self.clock,
                entropy=self._entropy, tasks=tasks, permits=Permits(SECRET, RATES),
                ownership=replica.ownership if replica else None, faulted=self._faulted,
            )  # fmt: skip
            quoting = Quoting(searching, peers, author, store, QuotingLimits())
            slow = self._slow(quoting, tasks) if self.patient else None
            once = Once(store, self.clock, tasks, replica.turns if replica else None)
            desk = _desk(
                searching=searching, quoting=quoting, extending=Extending(quoting), quotes=store,
                orders=self.coordinator, order_store=store, once=once, clock=self.clock, slow=slow,
            )  # fmt: skip
            if replica is not None:
                replica.start(self.coordinator, tasks)
            else:
                await recover(store, self.coordinator)
            if self.sweeps:
                tools = Tools(lambda: peers, store, self.coordinator, author, self._swept)
                tasks.create_task(Sweeper(tools).run(), name="sweeper")
            hints = Hints(self.coordinator, tasks)
            for peer in peers.values():
                hints.join(peer)
            self.desk = desk
            await asyncio.get_running_loop().create_future()

    def _faulted(self, what: str, fault: Exception) -> None:
        self.faults.append(f"{fault!r} in {what}")

    def _swept(self, what: Problem, operator: str) -> None:
        self.disk.told[f"swept by a broker: {what.detail.partition(' ')[0]}"] += 1

    def _slow(self, quoting: Quoting, tasks: asyncio.TaskGroup) -> Slow:
        """Quotes that operators take long for, taken up again after a crash."""
        self.news = News(SECRET)

        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return tasks.create_task(work, name=name)

        store: Any = self.disk
        slow = Slow(quoting, store, self.news, spawn, ready=_known)
        tasks.create_task(slow.run(), name="slow quotes")
        return slow

    def _peer(self, operator: SimOperator) -> JournaledPeer:
        session: Any = Session(self.wire, self, operator)
        mesh: Any = Mesh(self.wire, self, operator)
        buyer = SonataBuyer(lambda: session, operator.entity + BASE, PROFILE)
        return JournaledPeer(self, operator, buyer=buyer, confirms=mesh, mesh=mesh, clock=self.clock)


async def _known() -> None:
    """The offers are known from the beginning."""


def _desk(**parts: Any) -> Desk:
    """The desk with what quotes and orders need; what else it has is not asked for here."""
    wanted = inspect.signature(Desk).parameters.values()
    return Desk(**{one.name: None for one in wanted if one.default is one.empty} | parts)

"""The way from a broker to an operator, with everything that may happen on it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from federation.broker.peers.protocols import HeldQuote, LeaseHint, LeaseReceipt, Permit, SheetPages
from federation.trust.jose import doc_hash
from schemas.offer import Delta
from schemas.order import Confirm, Order
from schemas.problem import Outcome, Problem
from schemas.quote import Rfq
from tests.support.world.operator import WorldOperator

T = TypeVar("T")
DEADLINE_S = 10.0
FAULTS = ("lost request", "lost answer", "late request", "duplicate", "slow request", "slow answer")


@dataclass
class Network:
    """Draws the fate of every call from its seed; `chance` is that of a fault. Quiet once `chance` is zero."""

    rng: random.Random
    chance: float = 0.0
    told: Counter[str] = field(default_factory=Counter)

    def fate(self) -> str:
        """What happens to the next call."""
        fault = self.rng.choice(FAULTS) if self.rng.random() < self.chance else "fine"
        self.told[fault] += 1
        return fault


class Fence:
    """What a crash closes: nothing of the incarnation behind it has an effect any more, and nothing comes back."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def passed(self) -> None:
        """Returns at once while open; never once closed."""
        if self.closed.is_set():
            await asyncio.get_running_loop().create_future()


class WorldPeer:
    """Implements `OperatorPeer` for one incarnation of a broker."""

    def __init__(
        self, operator: WorldOperator, network: Network, fence: Fence, journaled: Callable[[str], bool]
    ) -> None:
        self._operator, self._network, self._fence, self._journaled = operator, network, fence, journaled

    @property
    def entity(self) -> str:
        return self._operator.entity

    @property
    def name(self) -> str:
        return self._operator.name

    async def quote(self, rfq_jws: str, rfq: Rfq, permit: Permit | None = None) -> HeldQuote:
        raise AssertionError("orders do not ask for quotes")

    async def decline(self, quote_id: str) -> None:
        try:
            await self._call(lambda: self._operator.decline(quote_id))
        except Problem as problem:
            if problem.code != "INCOMPATIBLE_STATE":  # the real peer takes "ordered or gone" for a success, too
                raise

    async def order(
        self, order_jws: str, order: Order, held: HeldQuote | None, permit: Permit | None = None
    ) -> LeaseReceipt:
        self._intended(order_jws, order.jti)
        return await self._call(lambda: self._operator.order(order_jws, order))

    async def find_order(self, order_jws: str, order: Order, held: HeldQuote | None) -> LeaseReceipt | None:
        return await self._call(lambda: self._operator.find_order(order_jws, order), write=False)

    async def confirm(self, confirm_jws: str, confirm: Confirm) -> LeaseReceipt:
        self._intended(confirm_jws, confirm.jti)
        return await self._call(lambda: self._operator.confirm(confirm_jws, confirm))

    async def lease(self, product: str) -> LeaseReceipt | None:
        return await self._call(lambda: self._operator.lease(product), write=False)

    async def sheet(self) -> SheetPages:
        raise AssertionError("orders read no sheets")

    def watch(self, from_version: int) -> AsyncIterator[Delta]:
        raise AssertionError("orders watch no offers")

    def watch_leases(self) -> AsyncIterator[LeaseHint]:
        raise AssertionError("correct without hints")

    def _intended(self, jws: str, jti: str) -> None:
        if not self._fence.closed.is_set() and not self._journaled(doc_hash(jws)):
            self._operator.complaints.append(f"{self.name}: {jti} was sent before it was journaled")

    async def _call(self, work: Callable[[], T], *, write: bool = True) -> T:
        await self._fence.passed()
        rng, fate = self._network.rng, self._network.fate()
        await asyncio.sleep(rng.uniform(0.001, 0.02))
        result, error = None, None
        if fate == "late request":
            self._later(work, rng.uniform(11, 90))
        if fate == "slow request":
            await asyncio.sleep(rng.uniform(0.5, 9.5))
        if self._operator.down:
            await self._fence.passed()
            raise Problem("OPERATOR_UNREACHABLE", "connection refused", outcome=Outcome.NONE)
        if fate not in {"lost request", "late request"}:
            try:
                result = work()
            except Problem as problem:
                error = problem
        if fate == "duplicate":
            self._later(work, rng.uniform(0.01, 30))
        if fate in {"lost request", "late request", "lost answer"}:
            await asyncio.sleep(DEADLINE_S)
            error = Problem("OPERATOR_UNREACHABLE", "no answer", outcome=Outcome.UNKNOWN if write else None)
        if fate == "slow answer":
            await asyncio.sleep(rng.uniform(0.5, 9.5))
        await asyncio.sleep(rng.uniform(0.001, 0.02))
        await self._fence.passed()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    def _later(self, work: Callable[[], object], after_s: float) -> None:
        """A request under way arrives whatever has become of its sender."""

        def arrive() -> None:
            if self._operator.down:
                return
            try:
                work()
            except Problem:
                pass  # nobody hears it

        asyncio.get_running_loop().call_later(after_s, arrive)

"""Buyers: each wants a path, orders it, extends it, lets go of it, and asks until it knows what came of every wish."""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from federation.broker.authority.power import Buyer
from federation.broker.desk import Desk
from schemas.answer import OrderView, QuotePending, QuoteView, ResizeView
from schemas.intent import Intent
from schemas.jurisdiction import Sovereignty
from schemas.price import Money
from schemas.problem import Outcome, Problem
from schemas.request import Extension, Resize
from schemas.segment import Limits, moment
from tests.simulation.world.broker import SimBroker
from tests.simulation.world.lives import Life
from tests.simulation.world.wire import Broken, Refused, Wire

PATIENCE_S: Final = 15.0
WAITS_S: Final = 1_000  # longer than any operator is given to answer
SURE: Final = frozenset({Outcome.NONE, Outcome.UNDONE})
AGAIN: Final = frozenset({"UNAVAILABLE", "TOO_MANY_REQUESTS"})
GBPS: Final = 10**9
NOWHERE: Final = Sovereignty()
Call = Callable[[Desk, str], Coroutine[Any, Any, Any]]


class Deed(NamedTuple):
    """What a buyer was told in the end: the id of the answer, or why there is none."""

    what: str
    key: str
    answer: str | None
    problem: Problem | None


@dataclass(frozen=True)
class Wishes:
    """What buyers want: seconds from now to the start, how long, the chance that a wish is a release, and of the
    others that it is another bandwidth. Some let operators take up to `patience_s` to answer."""

    start_in_s: int | None = None
    lasts_s: int | None = None
    release: float = 0.4
    later: bool = True
    resize: float = 0.3
    patience_s: int | None = None


@dataclass
class SimBuyer:
    """One buyer or one of its agents, at one broker. `others` are orders of somebody else, to be tried."""

    me: Buyer
    broker: SimBroker
    wire: Wire
    rng: random.Random
    sites: tuple[str, ...]
    wishes: Wishes
    told: Counter[str]
    others: list[str] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    life: Life = field(default_factory=lambda: Life("buyer"))
    serving = True

    @property
    def entity(self) -> str:
        return f"buyer {self.me.asker}"

    async def live(self, begins_s: float, paths: int) -> None:
        """Everything it ever does."""
        await asyncio.sleep(begins_s)
        for _ in range(paths):
            await self._path()
            await asyncio.sleep(self.rng.uniform(0, 20))

    async def _path(self) -> None:
        quoted = await self._waited(await self.ask("quote", self._quote_call(self.intent())))
        if quoted is None:
            return
        await asyncio.sleep(self.rng.choice((0, 0, 0, self.rng.uniform(0, 40))))
        if self.rng.random() < 0.05:
            await self.ask("decline", self._decline(quoted.id))
        order: OrderView | None = await self.ask("order", lambda desk, key: desk.order(self.me, quoted.id, key))
        if order is None:
            return
        self.orders.append(order.id)
        await self._trespass()
        for _ in range(self.rng.choice((0, 1, 2)) if self.wishes.later else 0):
            await asyncio.sleep(self.rng.expovariate(1 / 30))
            await self._wish(order.id)

    async def _waited(self, quoted: QuoteView | QuotePending | None) -> QuoteView | None:
        """The quote once all have answered, unless there is none, or the buyer has enough."""
        until = self.broker.clock.now() + WAITS_S
        while isinstance(quoted, QuotePending):
            if self.broker.clock.now() > until:
                self.complaints.append(f"quote {quoted.id} is asked for without end")
                return None
            if quoted.outcome is not Outcome.PENDING:
                return None
            given_up = self.rng.random() < 0.03
            quoted = await (self.ask("decline", self._decline(quoted.id)) if given_up else self._wait(quoted.id))
        return quoted

    def _decline(self, quote_id: str) -> Call:
        return lambda desk, key: desk.decline(self.me, quote_id, key)

    async def _wait(self, quote_id: str) -> QuoteView | QuotePending | None:
        """Ask once more what has become of it; it is gone where that is refused."""
        found: QuoteView | QuotePending | None = await self.ask(
            "wait", lambda desk, _: desk.get_quote(self.me, quote_id, 10)
        )
        return found

    async def buy(self, intent: Intent) -> str | None:
        """A quote and its order: the id of the order."""
        quoted: QuoteView | None = await self.ask("quote", self._quote_call(intent))
        if quoted is None:
            return None
        order: OrderView | None = await self.ask("order", lambda desk, key: desk.order(self.me, quoted.id, key))
        if order is not None:
            self.orders.append(order.id)
        return None if order is None else order.id

    def _quote_call(self, intent: Intent) -> Call:
        return lambda desk, key: desk.quote(self.me, intent, key)

    async def _wish(self, order_id: str) -> None:
        if self.rng.random() < self.wishes.release:
            await self.ask("release", lambda desk, key: desk.release(self.me, order_id, key))
            return
        if (kind := self.rng.random()) < self.wishes.resize:
            other = Resize(bandwidth_bps=self.rng.choice((1, 2, 3, 5)) * GBPS)
            changed = await self.ask("resize", lambda desk, key: desk.resize(self.me, order_id, other, key))
            if changed is not None and changed.order.id not in self.orders:
                self.told["another path for another bandwidth"] += 1
                self.orders.append(changed.order.id)
            return
        if kind < self.wishes.resize + 0.1:
            await self.ask("heartbeat", lambda desk, key: desk.heartbeat(self.me, order_id, key))
            return
        longer = Extension(by_s=self.rng.choice((60, 100, 500)))
        await self.ask("extend", lambda desk, key: desk.extend(self.me, order_id, longer, key))

    async def release(self, order_id: str) -> None:
        """Let go of an order for good."""
        await self.ask("release", lambda desk, key: desk.release(self.me, order_id, key))

    def intent(self) -> Intent:
        """Somewhere to somewhere, within limits that most paths keep and some do not."""
        rng = self.rng
        a, z = rng.sample(self.sites, 2)
        while a.partition("@")[2] == z.partition("@")[2]:
            a, z = rng.sample(self.sites, 2)
        start_in_s = self.wishes.start_in_s
        if start_in_s is None:
            start_in_s = rng.choice((0, 0, 0, 0, 100, 20_000))
        start = moment(self.broker.clock.now() + start_in_s) if start_in_s else None
        seconds = self.wishes.lasts_s or rng.choice((150, 400, 10_000))
        return Intent(
            a=a, z=z, bandwidth_bps=rng.choice((1, 2, 4)) * GBPS, start=start, duration_s=seconds,
            limits=Limits(latency_us=rng.choice((None,) * 6 + (12_000, 4_000))),
            hops=rng.choice((None,) * 7 + (4,)),
            budget=Money("EUR", 10 ** rng.randrange(6, 9)) if rng.random() < 0.12 else None,
            idle_release_s=rng.choice((None,) * 9 + (60,)),
            operators_denied=rng.choice(((),) * 6 + (("Cedar",), ("Birch",))),
            answer_within_s=rng.choice((None, *(self.wishes.patience_s,) * 3)) if self.wishes.patience_s else None,
            sovereignty=rng.choice((NOWHERE,) * 7 + (Sovereignty(countries=("NL", "DE", "IT", "BE", "CH")),)),
        )  # fmt: skip

    # --- asking ----------------------------------------------------------------------------------------------

    async def ask(self, what: str, call: Call) -> Any:
        """Ask with one key until the outcome is known; the answer, or None after a refusal."""
        key = f"{self.me.asker}-{what}-{len(self.deeds)}-{self.rng.randrange(10**6)}"
        self.told[what] += 1
        while True:
            try:
                answer = await self._once(lambda desk: call(desk, key), key)
            except (Refused, Broken, TimeoutError):
                self.wire.strays.add(key)  # a replica that stands still may go on with it while another one answers
                await asyncio.sleep(self.rng.uniform(0.5, 3))
                continue
            except Problem as told:
                # As the HTTP face does: what says nothing else was refused before it did anything.
                problem = told.with_outcome(told.outcome or Outcome.NONE)
                if problem.outcome not in SURE or (problem.code in AGAIN and not _over(what, problem)):
                    await asyncio.sleep(self.rng.uniform(0.5, 3))
                    continue
                self.told[f"refused: {problem.code}"] += 1
                if problem.code == "INTERNAL":
                    self.complaints.append(f"{what} met with a fault of the broker: {problem}")
                self.deeds.append(Deed(what, key, None, problem))
                return None
            self.deeds.append(Deed(what, key, _id(answer), None))
            await self._again(what, key, call, answer)
            return answer

    async def _once(self, work: Callable[[Desk], Coroutine[Any, Any, Any]], key: str = "") -> Any:
        broker = self.rng.choice(self.broker.replicas)

        def asked() -> Coroutine[Any, Any, Any]:
            assert broker.desk is not None, "only one that serves is asked"
            return work(broker.desk)

        async with asyncio.timeout(PATIENCE_S):
            return await self.wire.send(self, broker, asked, key)

    async def _again(self, what: str, key: str, call: Call, answer: Any) -> None:
        """The same key has the same answer; with another request it has none. What was waited for has come to nothing,
        perhaps."""
        if self.rng.random() > 0.2 or what == "wait":
            return
        try:
            again = await self._once(lambda desk: call(desk, key), key)
        except (Refused, Broken, TimeoutError):
            return
        except Problem as problem:
            nothing = isinstance(answer, QuotePending) and problem.outcome is Outcome.UNDONE
            if problem.code not in AGAIN and not nothing:
                self.complaints.append(f"{what} was answered, and then refused under the same key: {problem}")
            return
        if _id(again) != _id(answer):
            self.complaints.append(f"{what} has two answers under one key: {_id(answer)} and {_id(again)}")
        if what == "heartbeat":
            return  # no key is written down for it
        try:
            await self._once(lambda desk: desk.decline(self.me, "another request", key))
        except (Refused, Broken, TimeoutError):
            return
        except Problem as problem:
            if problem.code in {"IDEMPOTENCY_CONFLICT", *AGAIN}:
                return
        self.complaints.append(f"one key was good for two requests: {what} and decline")

    async def _trespass(self) -> None:
        """What belongs to another is not there."""
        for order_id in self.others[-1:]:
            key = f"theft-{len(self.deeds)}-{self.rng.randrange(10**6)}"
            await self._refused(order_id, functools.partial(Desk.get_order, buyer=self.me, order_id=order_id))
            await self._refused(order_id, functools.partial(Desk.release, buyer=self.me, order_id=order_id, key=key))

    async def _refused(self, order_id: str, call: Callable[[Desk], Coroutine[Any, Any, Any]]) -> None:
        try:
            await self._once(call)
        except (Refused, Broken, TimeoutError):
            return
        except Problem as problem:
            if problem.code in {"NOT_FOUND", *AGAIN}:
                return
        self.complaints.append(f"{self.me.asker} could touch {order_id}, which belongs to another")


def _over(what: str, problem: Problem) -> bool:
    """Whether a quote that was waited for came to nothing, though its code, that of a full disk, says to ask again."""
    return what == "wait" and problem.outcome is Outcome.UNDONE


def _id(answer: Any) -> str:
    """Of a quote or an order; of a resize, the order to use from then on."""
    return str(answer.order.id if isinstance(answer, ResizeView) else answer.id)

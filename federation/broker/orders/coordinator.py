"""The async shell of all orders: `Orders` for the desk, a lane per unfinished order, tasks in the daemon's group.

How it recovers after a kill: the journal holds every intention before its effect; `recover` (recovery.py) takes every
unfinished order up again, asks what is in doubt, and goes on. Where replicas share the store, each has the lanes of the
orders that it owns (`ownership.py`); a wish about another's order is journaled here and carried out there. Closing it
is a kill that is announced: what was acknowledged is durable already, so there is nothing to save.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

from msgspec import structs

from federation.broker.orders.acts import Acts
from federation.broker.orders.lane import Lane, Moved, Shell, Wish
from federation.broker.orders.ownership import Alone, Ownership
from federation.broker.orders.protocols import PAGE_MAX, OrderStore, Outdated
from federation.broker.orders.saga.decide import begin, concluded
from federation.broker.orders.saga.effects import TellOrder, WaitUntil
from federation.broker.orders.saga.events import (
    Barred,
    Event,
    Heard,
    Hinted,
    HolderHeard,
    ReleaseAsked,
    Restarted,
    Told,
)
from federation.broker.orders.saga.handing import heeding
from federation.broker.orders.saga.state import Fault, Handing, OrderState
from federation.broker.orders.terms import extend_asked, order_terms, wanted_of
from federation.broker.orders.views import order_view, stands_still
from federation.broker.peers.protocols import LeaseHint, OperatorPeer
from federation.broker.quotes.permits import Permits
from federation.broker.quotes.protocols import Claim, QuoteStore, StoredQuote
from federation.broker.spend.protocols import Charge
from federation.broker.spend.rules import expense_id
from federation.node.seams import Clock, Entropy
from federation.tokens.mandate import Budget
from federation.trust.keys import PrivateKey
from schemas.answer import OrderView
from schemas.lease import TERMINAL
from schemas.price import Money, RateTable
from schemas.problem import Outcome, Problem, invalid, not_found

T = TypeVar("T")
LOOK_AGAIN_S: Final = 1.0  # at an order that another replica carries, where no news of it come
TRIES_MAX: Final = 64  # to journal a wish over what others journal meanwhile
log = logging.getLogger(__name__)


def faulted(what: str, fault: Exception) -> None:
    """What nobody foresaw in one order is said, and ends no other."""
    log.error("a fault in %s", what, exc_info=fault)


class Coordinator:
    """Implements `Orders`. `peers` is looked into at every effect, so members may come and go."""

    def __init__(
        self,
        *,
        key: PrivateKey,
        peers: Mapping[str, OperatorPeer],
        store: OrderStore,
        quotes: QuoteStore,
        rates: RateTable,
        clock: Clock,
        entropy: Entropy,
        tasks: asyncio.TaskGroup,
        permits: Permits | None = None,
        ownership: Ownership | None = None,
        faulted: Callable[[str, Exception], None] = faulted,
    ) -> None:
        self._store, self._rates, self._clock, self._entropy, self._tasks = store, rates, clock, entropy, tasks
        self._ownership = ownership or Alone()
        self._shell = Shell(
            Acts(key, peers, clock, permits, self._tell), store, quotes, clock, self._spawn, self._journaled, faulted
        )
        self._lanes: dict[str, Lane] = {}
        self._placing: set[str] = set()
        self._watchers: dict[str, set[asyncio.Future[None]]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    # --- what the desk calls -------------------------------------------------------------------------------

    async def place(
        self, quote: StoredQuote, claim: Claim, budget: Budget | None = None, replaces: str | None = None
    ) -> OrderView:
        """See `Orders.place`."""
        self._check_open()
        # A caller that goes away must not leave a stored order without a lane.
        return order_view(await self._kept(self._placed(quote, claim, budget, replaces), f"place {quote.id}"))

    async def extend(self, quote: StoredQuote, claim: Claim, budget: Budget | None = None) -> OrderView:
        """See `Orders.extend`."""
        order_id = quote.claims.order or quote.id
        lane, state = await self._find(quote.buyer, order_id, quote.agent)

        def charge(after: OrderState) -> Charge | None:
            freed = after.extension.freed if after.extension else None
            return self._charge(budget, quote, expense_id(order_id, after.extensions), freed)

        def event(now: OrderState) -> Event:
            return extend_asked(quote, now, self._clock.now_us())

        return order_view(await self._wish(lane, state, Wish(event, claim, quote, charge)))

    async def release(self, buyer: str, order_id: str, claim: Claim | None, agent: str | None = None) -> OrderView:
        """See `Orders.release`."""
        lane, state = await self._find(buyer, order_id, agent)
        if state.state in TERMINAL and claim is None:
            return order_view(state)
        wish = Wish(lambda _: ReleaseAsked(self._clock.now_us()), claim)
        return order_view(await self._wish(lane, state, wish))

    async def heartbeat(self, buyer: str, order_id: str, agent: str | None = None) -> OrderView:
        """See `Orders.heartbeat`."""
        lane, state = await self._find(buyer, order_id, agent)
        if state.state in TERMINAL:
            return order_view(state)
        return order_view(await self._wish(lane, state, Wish(lambda _: HolderHeard(self._clock.now_us()))))

    async def get(self, buyer: str, order_id: str, agent: str | None = None) -> OrderView:
        """See `Orders.get`."""
        _, state = await self._find(buyer, order_id, agent)
        return order_view(state)

    async def wait(self, buyer: str, order_id: str, wait_s: float, agent: str | None = None) -> OrderView:
        """See `Orders.wait`."""
        lane, state = await self._find(buyer, order_id, agent)
        if self._ownership.shared:
            return order_view(await self._still(state, wait_s))
        return order_view(await lane.still(wait_s) if lane else state)

    async def list(
        self, buyer: str, agent: str | None = None, limit: int = PAGE_MAX, after: str | None = None
    ) -> tuple[OrderView, ...]:
        """See `Orders.list`."""
        if after is not None:
            await self._check_page(buyer, after, agent)
        found: list[OrderState] = []
        while page := await self._store.list_orders(buyer, limit, after):
            found += [state for state in page if state.terms.of_agent(agent)]
            after = page[-1].terms.id
            if len(found) >= limit or len(page) < limit:
                break
        return tuple(order_view(self._present(state)) for state in found[:limit])

    async def _check_page(self, buyer: str, after: str, agent: str | None) -> None:
        last = await self._store.get_order(buyer, after)
        if last is None or not last.terms.of_agent(agent):
            raise invalid("after", "is no order of yours; name the last one of the page before")

    # --- what the daemon calls -----------------------------------------------------------------------------

    def resume(self, state: OrderState) -> None:
        """Take a journaled, unfinished order up again."""
        if state.terms.id not in self._lanes and state.state not in TERMINAL:
            self._open(state).tell(Restarted(self._clock.now_us()))

    def take(self, state: OrderState) -> None:
        """Carry on an order that another replica carried."""
        if state.terms.id not in self._lanes and not self._closed:
            self._open(state).take()

    def carries(self, order_id: str) -> bool:
        """Whether an order is carried here, or being placed just now."""
        return order_id in self._lanes or order_id in self._placing

    def heard(self, order_id: str, version: int) -> None:
        """Somebody may have journaled an order up to a version."""
        if order_id in self._lanes:
            self._lanes[order_id].heard(version)
        for watcher in self._watchers.get(order_id, ()):
            if not watcher.done():
                watcher.set_result(None)

    @property
    def carried(self) -> tuple[str, ...]:
        """The ids of all orders that are carried here."""
        return tuple(self._lanes)

    async def hint(self, hint: LeaseHint) -> None:
        """An operator says that a lease changed: ask about it, unless its operator is being asked already."""
        order_id = await self._store.find_product(hint.operator, hint.product)
        lane = self._lanes.get(order_id or "")
        if lane is None or self._closed:
            return
        for index, (part, leg) in enumerate(zip(lane.state.terms.parts, lane.state.legs, strict=True)):
            mine = (part.operator, leg.product) == (hint.operator, hint.product)
            if mine and leg.state is not hint.state and not lane.busy(index):
                lane.tell(Hinted(self._clock.now_us(), index))

    async def close(self) -> None:
        """Take nothing new, ask nothing more; a caller who still waits is told to ask again."""
        self._closed = True
        for lane in self._lanes.values():
            lane.stop()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    # --- lanes ---------------------------------------------------------------------------------------------

    def _charge(
        self, budget: Budget | None, quote: StoredQuote, expense: str, freed: Money | None = None
    ) -> Charge | None:
        """What is set aside with an order or a change of it, where somebody keeps a budget."""
        if budget is None:
            return None
        return Charge(budget, wanted_of(quote, expense, self._rates, freed), self._clock.now())

    async def _tell(self, state: OrderState, act: TellOrder) -> Heard:
        """Tell the order that another one replaces where that one stands. Raises what may pass."""
        try:
            lane, before = await self._find(state.terms.buyer, act.order, None)
            if before.state not in TERMINAL or act.what is Handing.REROUTE:
                by = state.terms.id
                wish = Wish(lambda now: heeding(now, act.what, by, self._clock.now_us()))
                await self._wish(lane, before, wish)
        except Problem as problem:
            if problem.code not in {"INCOMPATIBLE_STATE", "NOT_FOUND"}:
                raise
            return Barred(self._clock.now_us(), act, Fault(problem.code, problem.detail))
        return Told(self._clock.now_us(), act)

    async def _placed(
        self, quote: StoredQuote, claim: Claim, budget: Budget | None, replaces: str | None
    ) -> OrderState:
        at_us = self._clock.now_us()
        terms = order_terms(quote, self._entropy.token(), self._rates, at_us // 1_000_000, replaces)
        state, effects = begin(terms, quote.claims.window.end_s, at_us)
        signed = {act: self._shell.acts.document(state, act) for act in effects if not isinstance(act, WaitUntil)}
        charge = self._charge(budget, quote, terms.id)
        self._placing.add(terms.id)
        try:
            await self._ownership.own(terms.buyer, terms.id)
            await self._store.begin(state, quote.id, claim, [one.filed() for one in signed.values() if one], charge)
            self._open(state).start(quote, effects, signed)
        except Problem as problem:
            if problem.outcome is Outcome.NONE:
                self._ownership.over(terms.id)
            raise
        finally:
            self._placing.discard(terms.id)
        self._journaled(state)
        return state

    async def _wish(self, lane: Lane | None, state: OrderState, wish: Wish) -> OrderState:
        """The state after a wish, which is durable then: by the order's lane, or over whatever others journal."""
        if lane is not None:
            try:
                return await lane.wish(wish)
            except Moved:
                state = await self._again(state)
        for _ in range(TRIES_MAX):
            event = wish.event(state)
            after = state if state.state in TERMINAL else concluded(state, event)
            after = structs.replace(after, version=state.version + 1)
            try:
                await self._write(after, wish)
            except Outdated:
                state = await self._again(state)
            except Problem as problem:
                if problem.outcome is Outcome.UNKNOWN:
                    self._journaled(after)  # it may be: whoever carries the order looks
                raise
            else:
                self._journaled(after)
                return after
        raise Problem("UNAVAILABLE", "too many want something of this order at once", retry_after_s=1)

    async def _write(self, state: OrderState, wish: Wish) -> None:
        if wish.quote is not None:
            await self._store.begin(state, wish.quote.id, wish.claim, (), wish.charge(state))
        else:
            await self._store.save(state, [wish.claim] if wish.claim else [], ())

    async def _again(self, state: OrderState) -> OrderState:
        """As it is journaled now. Raises `NOT_FOUND` where a failover of the store has lost it."""
        found = await self._store.get_order(state.terms.buyer, state.terms.id)
        if found is None:
            raise not_found(f"order {state.terms.id}")
        return found

    async def _still(self, state: OrderState, wait_s: float) -> OrderState:
        """The state in the store once nothing is on its way, or after `wait_s` seconds; looked at with every news."""
        loop = asyncio.get_running_loop()
        until, waiting = loop.time() + wait_s, self._watchers.setdefault(state.terms.id, set())
        while not stands_still(state) and (left_s := until - loop.time()) > 0:
            watcher = loop.create_future()
            waiting.add(watcher)
            try:
                await asyncio.wait({watcher}, timeout=min(left_s, LOOK_AGAIN_S))
            finally:
                waiting.discard(watcher)
            state = await self._again(state)
        if not waiting and self._watchers.get(state.terms.id) is waiting:
            del self._watchers[state.terms.id]
        return state

    def _journaled(self, state: OrderState) -> None:
        self.heard(state.terms.id, 0)
        self._ownership.tell(state)

    def _open(self, state: OrderState) -> Lane:
        lane = Lane(self._shell, state, self._forget)
        self._lanes[state.terms.id] = lane
        return lane

    def _forget(self, order_id: str) -> None:
        if self._lanes.pop(order_id).state.state in TERMINAL:
            self._ownership.over(order_id)

    async def _find(self, buyer: str, order_id: str, agent: str | None) -> tuple[Lane | None, OrderState]:
        self._check_open()
        lane = self._lanes.get(order_id) if not self._ownership.shared else None
        if lane is not None and lane.state.terms.buyer == buyer and lane.state.terms.of_agent(agent):
            return lane, lane.state
        stored = await self._store.get_order(buyer, order_id)
        if stored is None or not stored.terms.of_agent(agent):
            raise not_found(f"order {order_id}")
        if not self._ownership.shared:
            self.resume(stored)  # one that recovery has not reached yet
        return self._lanes.get(order_id), stored

    def _present(self, stored: OrderState) -> OrderState:
        lane = self._lanes.get(stored.terms.id) if not self._ownership.shared else None
        return lane.state if lane else stored

    def _check_open(self) -> None:
        if self._closed:
            raise Problem("UNAVAILABLE", "the broker is stopping", retry_after_s=1)

    # --- tasks ---------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        try:
            task = self._tasks.create_task(work, name=name)
        except RuntimeError:
            work.close()  # the daemon's group is going down, and takes nothing new
            raise
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _kept(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """The result of work that goes on when its caller is cancelled."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._spawn(_into(done, work, lambda fault: self._shell.faulted(name, fault)), name)
        return await asyncio.shield(done)


async def _into(done: asyncio.Future[T], work: Coroutine[Any, Any, T], faulted: Callable[[Exception], None]) -> None:
    try:
        result = await work
    except Exception as error:  # noqa: BLE001 - whoever waits gets it
        if not isinstance(error, Problem):
            faulted(error)
        if not done.done():
            done.set_exception(error)
    except BaseException:
        done.cancel()
        raise
    else:
        if not done.done():
            done.set_result(result)

"""One order's lane: events in a row, the journal before every effect, effects side by side.

While one journal write is under way, further events gather and share the next; a receipt from which nothing follows
yet waits a moment for those of its siblings. Where somebody else has journaled the order meanwhile, it is read again
and the same events are decided again; where another replica has taken it over, or a failover of the store lost it, this
lane ends. An effect that the state still wants is left running; one that it wants no longer runs out, and its answer is
noted. Nothing here has to survive a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import structs

from federation.broker.orders.acts import Acts, Signed, of_quote
from federation.broker.orders.protocols import Filed, OrderStore, Outdated
from federation.broker.orders.saga.decide import concluded
from federation.broker.orders.saga.due import due
from federation.broker.orders.saga.effects import Act, Effect, WaitUntil
from federation.broker.orders.saga.events import Event, Receipted, Restarted, Tick
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.views import stands_still
from federation.broker.quotes.protocols import Claim, QuoteStore, StoredQuote
from federation.broker.spend.protocols import Charge
from federation.node.seams import Clock
from schemas.lease import TERMINAL
from schemas.problem import Outcome, Problem

# The wall clock may be set while we sleep, so look at it at least this often.
SLEEP_S_MAX: Final = 3600.0
# Whoever wakes so late was stopped, or its clock was set: it could hear nobody.
STALLED_US: Final = 5_000_000
# A journal that cannot be written (a full disk) is tried again; no effect runs before.
JOURNAL_RETRY_S: Final = 1.0
# What nobody foresaw in one order ends no other; it is gone over again so much later.
FAULT_RETRY_S: Final = 10.0
# So long a receipt waits for its siblings' before it is journaled and shows by itself.
SIBLINGS_S: Final = 0.25
log = logging.getLogger(__name__)


class Moved(Exception):
    """Another replica carries the order now."""


class Wish(NamedTuple):
    """Something the buyer wants. `event` may raise `Problem`; `charge` is what the state after it has to be set aside
    for. `done` is the caller who waits until it is durable."""

    event: Callable[[OrderState], Event]
    claim: Claim | None = None
    quote: StoredQuote | None = None
    charge: Callable[[OrderState], Charge | None] = lambda _: None
    done: asyncio.Future[OrderState] | None = None


class News(NamedTuple):
    """An event that nobody waits for, the documents that came with it, and the act that it ends."""

    event: Event
    filed: tuple[Filed, ...] = ()
    act: Act | None = None


class Shell(NamedTuple):
    """What all lanes share. `faulted` is told of what nobody foresaw, and in what."""

    acts: Acts
    store: OrderStore
    quotes: QuoteStore
    clock: Clock
    spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
    journaled: Callable[[OrderState], None]
    faulted: Callable[[str, Exception], None]


class Lane:
    """Carries one order from its journaled state to its end."""

    def __init__(self, shell: Shell, state: OrderState, ended: Callable[[str], None]) -> None:
        self.state = state
        self._shell, self._ended = shell, ended
        self._queue: list[Wish | News] = []
        self._early: list[Wish | News] = []
        self._ahead = state  # with what came early; nobody knows it yet
        self._patience: asyncio.TimerHandle | None = None
        self._impatient = False
        self._filed: set[str] = set()
        self._running: dict[Act | None, asyncio.Task[None]] = {}
        self._quotes: dict[str, StoredQuote] = {}
        self._pump: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wake_us = 0
        self._watchers: set[asyncio.Future[None]] = set()
        self._wishes: set[asyncio.Future[OrderState]] = set()
        self._stopped = self._stale = self._taking = False

    def start(self, quote: StoredQuote, effects: Sequence[Effect], signed: Mapping[Act, Signed | None]) -> None:
        """Run the effects of a state that was journaled by its creator, with the documents that were filed with it."""
        self._quotes[quote.id] = quote
        self._launch(effects, signed)

    def take(self) -> None:
        """Carry on what another replica carried. Journaling that is what shuts the other out."""
        self._taking = True
        self.tell(Restarted(self._shell.clock.now_us()))

    def heard(self, version: int) -> None:
        """Somebody may have journaled the order up to a version."""
        if version > self.state.version:
            self._stale = True
            self._go_on()

    def tell(self, event: Event) -> None:
        """Something became known."""
        self._put(News(event))

    async def wish(self, wish: Wish) -> OrderState:
        """Have a buyer's wish decided and made durable; the state after it. Raises what `event` or the store raises,
        and `Moved` where nothing was done, because another replica carries the order."""
        done: asyncio.Future[OrderState] = asyncio.get_running_loop().create_future()
        self._wishes.add(done)
        done.add_done_callback(self._wishes.discard)
        if self._stopped:
            raise Moved
        self._put(wish._replace(done=done))
        return await done

    async def still(self, wait_s: float) -> OrderState:
        """The state once nothing is on its way, or after `wait_s` seconds."""
        try:
            async with asyncio.timeout(wait_s):
                while not stands_still(self.state):
                    watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._watchers.add(watcher)
                    await watcher
        except TimeoutError:
            pass
        return self.state

    def busy(self, leg: int) -> bool:
        """Whether an operator is being asked about a segment just now."""
        return any(act is not None and act.leg == leg for act in self._running)

    def stop(self) -> None:
        """Ask nothing more. What is under way is cancelled by whoever owns the tasks."""
        self._stop(Problem("UNAVAILABLE", "the broker is stopping", outcome=Outcome.UNKNOWN))

    def _stop(self, why: Exception) -> None:
        self._stopped = True
        self._wake_no_more()
        self._wait_no_more()
        self._tell_all(why)

    def _tell_all(self, why: Exception) -> None:
        """Whoever waits for a wish."""
        for done in [*self._wishes]:
            if not done.done():
                done.set_exception(why)

    # --- deciding ------------------------------------------------------------------------------------------

    def _put(self, item: Wish | News) -> None:
        self._queue.append(item)
        self._go_on()

    def _go_on(self) -> None:
        if self._pump is None and not self._stopped:
            self._pump = self._shell.spawn(self._work(), f"order {self.state.terms.id}")

    async def _work(self) -> None:
        try:
            while (self._queue or self._stale or (self._early and self._impatient)) and not self._stopped:
                try:
                    await (self._reread() if self._stale else self._turn(self._take()))
                except Exception as fault:  # noqa: BLE001 - whatever it is, it is of this order alone
                    self._shell.faulted(f"order {self.state.terms.id}, which is gone over again", fault)
                    await self._anew()
        finally:
            self._pump = None
        if self.state.state in TERMINAL and not self._running and not self._stopped:
            self._wake_no_more()
            self._ended(self.state.terms.id)

    async def _anew(self) -> None:
        """As after a restart, in a while: what was decided is as it was journaled, and what was asked is in doubt."""
        self._tell_all(Problem("INTERNAL", "an unexpected fault on our side; ask again", outcome=Outcome.UNKNOWN))
        for task in self._running.values():
            task.cancel()
        self._running.clear()
        self._wake_no_more()
        self._wait_no_more()
        self._early, self._stale = [], True
        self._queue = [News(Restarted(self._shell.clock.now_us()))]
        await asyncio.sleep(FAULT_RETRY_S)

    def _take(self) -> list[Wish | News]:
        """What is decided together, after what came early: a wish that uses a quote may fail in the store, so it goes
        alone."""
        batch: list[Wish | News] = []
        while self._queue and not _alone(self._queue[0]):
            batch.append(self._queue.pop(0))
        return batch if batch or self._early else [self._queue.pop(0)]

    def _wait_for_siblings(self, batch: list[Wish | News], state: OrderState, effects: Sequence[Effect]) -> bool:
        """Whether receipts from which nothing follows yet are kept until the answers to other acts are there.

        Nobody sees them and nothing is done because of them: a crash now is one before they came.
        """
        ended = {item.act for item in batch if isinstance(item, News) and isinstance(item.event, Receipted)}
        going = self._running.keys() - ended
        idle = all(isinstance(effect, WaitUntil) or effect in going for effect in effects)
        decided = not batch or len(ended) < len(batch) or not idle or state.state is not self.state.state
        if decided or not going or self._queue or self._impatient:
            return False
        self._early, self._ahead = batch, state
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(SIBLINGS_S, self._lose_patience)
        return True

    def _lose_patience(self) -> None:
        self._patience, self._impatient = None, True
        self._go_on()

    def _wait_no_more(self) -> None:
        if self._patience:
            self._patience.cancel()
        self._patience, self._impatient = None, False

    async def _turn(self, batch: list[Wish | News]) -> None:
        state = self._ahead if self._early else self.state
        granted, self._early = self._early, []
        for item in batch:
            event = item.event if isinstance(item, News) else _event(item, state)
            if event is None:
                continue
            state = concluded(state, event)
            granted.append(item)
            if isinstance(item, Wish) and item.quote:
                self._quotes[item.quote.id] = item.quote
        effects = due(state)
        if self._wait_for_siblings(granted, state, effects):
            return
        self._wait_no_more()
        came = [one for item in granted if isinstance(item, News) for one in item.filed]
        try:
            signed = await self._signed(state, effects)
            state = await self._journal(state, granted, [*came, *(one.filed() for one in signed.values() if one)])
        except Outdated:
            self._queue[:0], self._stale = granted, True
            return
        except Problem as problem:
            await self._not_journaled(granted, problem)
            return
        self._adopt(state, granted)
        self._launch(effects, signed)

    async def _signed(self, state: OrderState, effects: Sequence[Effect]) -> dict[Act, Signed | None]:
        """The documents of the effects that will start, and the quotes that they are about."""
        starting = [act for act in effects if not isinstance(act, WaitUntil) and act not in self._running]
        for act in filter(of_quote, starting):
            await self._remember(state, act)
        return {act: self._shell.acts.document(state, act) for act in starting}

    async def _remember(self, state: OrderState, act: Act) -> None:
        quote_id = _quote_id(state, act)
        if quote_id not in self._quotes:
            quote = await self._shell.quotes.get_quote(state.terms.buyer, quote_id)
            assert quote is not None, f"order {state.terms.id} was stored together with quote {quote_id}"
            self._quotes[quote_id] = quote

    async def _journal(self, state: OrderState, items: list[Wish | News], filed: list[Filed]) -> OrderState:
        """The state as it is journaled."""
        wishes = [item for item in items if isinstance(item, Wish)]
        claims = [wish.claim for wish in wishes if wish.claim]
        begins = wishes[0].quote if wishes else None
        known = structs.replace(state, at_us=self.state.at_us) == self.state and not self._taking
        if known and not begins and not claims and self._filed.issuperset(one.document_h for one in filed):
            return state  # only time has passed: everything wanted now follows from what is journaled
        state = structs.replace(state, version=self.state.version + 1, taken=state.taken + self._taking)
        if begins:
            await self._shell.store.begin(state, begins.id, wishes[0].claim, filed, wishes[0].charge(state))
        else:
            await self._shell.store.save(state, claims, filed)
        self._taking = False
        self._filed.update(one.document_h for one in filed)
        self._shell.journaled(state)
        return state

    async def _reread(self) -> None:
        terms = self.state.terms
        try:
            stored = await self._shell.store.get_order(terms.buyer, terms.id)
        except Problem:
            await asyncio.sleep(JOURNAL_RETRY_S)
            return
        self._stale = False
        self._queue[:0], self._early = self._early, []
        if self._stopped:
            return
        if stored is None:
            log.error("order %s is in the store no more; what operators keep of it is an audit's to find", terms.id)
        if stored is None or (stored.taken != self.state.taken and not self._taking):
            self._stop(Moved())
            self._ended(terms.id)
            return
        self._adopt(stored, [])
        self._queue.append(News(Tick(self._shell.clock.now_us())))  # what it wants now

    async def _not_journaled(self, items: list[Wish | News], problem: Problem) -> None:
        for item in items:
            if isinstance(item, Wish):
                _refuse(item, problem)
        self._stale = self._stale or problem.outcome is Outcome.UNKNOWN  # it may be there, and wants its effects
        news: list[Wish | News] = [item for item in items if isinstance(item, News)]
        if news:
            self._queue[:0] = news
            await asyncio.sleep(JOURNAL_RETRY_S)

    def _adopt(self, state: OrderState, items: list[Wish | News]) -> None:
        self.state = state
        for item in items:
            if isinstance(item, News):
                # Only now: while its answer was waiting to be noted, the act was not to be started again.
                self._running.pop(item.act, None)
            elif item.done and not item.done.done():
                item.done.set_result(state)
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()

    # --- acting --------------------------------------------------------------------------------------------

    def _launch(self, effects: Sequence[Effect], signed: Mapping[Act, Signed | None]) -> None:
        self._wake_no_more()
        for effect in effects:
            if isinstance(effect, WaitUntil):
                self._sleep(effect.at_us)
            elif effect not in self._running:
                document = signed[effect] if effect in signed else self._shell.acts.document(self.state, effect)
                name = f"order {self.state.terms.id} segment {effect.leg} {type(effect).__name__}"
                quote = self._quotes[_quote_id(self.state, effect)] if of_quote(effect) else None
                self._running[effect] = self._shell.spawn(self._act(effect, self.state, document, quote), name)
        if not any(map(of_quote, self._running)):
            self._quotes.clear()  # a lease in force lasts for months, and its quote is several times as large

    async def _act(self, act: Act, state: OrderState, document: Signed | None, quote: StoredQuote | None) -> None:
        result = await self._shell.acts.run(state, act, document, quote)
        self._put(News(result.event, result.filed, act))

    def _sleep(self, at_us: int) -> None:
        now_us = self._shell.clock.now_us()
        wait_s = min(max(0, at_us - now_us) / 1_000_000, SLEEP_S_MAX)
        self._wake_us = now_us + round(wait_s * 1_000_000)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake_no_more(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        now_us = self._shell.clock.now_us()
        self.tell(Tick(now_us, stalled=now_us - self._wake_us > STALLED_US))


def _quote_id(state: OrderState, act: Act) -> str:
    return state.extension.quote if act.change and state.extension else state.terms.quote


def _alone(item: Wish | News) -> bool:
    return isinstance(item, Wish) and item.quote is not None


def _event(wish: Wish, state: OrderState) -> Event | None:
    """The event of a wish; None when it cannot be granted, and its caller knows why."""
    try:
        return wish.event(state)
    except Problem as problem:
        _refuse(wish, problem)
        return None


def _refuse(wish: Wish, problem: Problem) -> None:
    if wish.done and not wish.done.done():
        wish.done.set_exception(problem)

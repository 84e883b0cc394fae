"""Quotes that may take minutes: one carrier per quote, which outlives its caller, and goes on after a restart.

What is known is written down before anything is done about it (`waiting.py`), so a crash loses nothing: the next start
takes every open one up again. One that ends without a quote lets go of everything first written down, and tells again
whom it could not reach. Of brokers that share a store, one carries a quote, and its name is written with it; another
one follows it when it is gone: whoever writes over a version that is not the last knows that this has happened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final, Protocol

import msgspec

from federation.broker.market.searching import Sight
from federation.broker.peers.news import News
from federation.broker.quotes.ask import Author
from federation.broker.quotes.journal import AGAIN_S, AGAIN_S_MAX, Journal, TakenOver
from federation.broker.quotes.lasting import SlowAttempt, hand_of
from federation.broker.quotes.patient import PatientHand
from federation.broker.quotes.protocols import Claim, QuoteStore, StoredQuote
from federation.broker.quotes.quoting import Asked, Quoting, first_of
from federation.broker.quotes.waiting import Waiting, WaitingStore
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.segment import Hash, Id

CLOSE_S: Final = 600  # how long after `answer_by` operators that cannot be reached are told that nothing is asked
ROUND_S: Final = 20.0  # between two looks for what nobody carries
LEFT_S: Final = 60  # what a fault left lying here is taken up again so much later
LOOK_S: Final = 0.5
PRUNE_S: Final = 3_600
DECLINE_TRIES: Final = 8
KEEP_S: Final = 7 * 86_400  # how long it is told why a quote came to nothing
ANSWERED: Final = frozenset({State.HELD, State.QUOTED})
PASSED: Final = frozenset({"UNAVAILABLE", "TOO_MANY_REQUESTS"})  # what passes, but not for a quote that is over
log = logging.getLogger(__name__)


class Among(Protocol):
    """This broker among those that share its store; `name` is that of this start."""

    name: str

    async def gone(self) -> Callable[[str], bool]:
        """What says of a name whether the broker that had it is gone. Raises `UNAVAILABLE`."""
        ...


class Store(QuoteStore, WaitingStore, Protocol):
    """What is kept of quotes."""


class Slow:
    """All quotes that may take long, of all buyers."""

    def __init__(
        self,
        quoting: Quoting,
        store: Store,
        news: News,
        spawn: Callable[[Any, str], asyncio.Task[None]],
        *,
        ready: Callable[[], Awaitable[object]],
        among: Among | None = None,
        every_s: float = ROUND_S,
    ) -> None:
        """`ready` is over once the offers are known; `among` where other brokers use the same store."""
        self._quoting, self._store, self._news, self._spawn = quoting, store, news, spawn
        self._ready, self._among, self._every_s = ready, among, every_s
        self._prune_from = 0
        self._carried: dict[Id, tuple[Journal, asyncio.Task[None]]] = {}

    @property
    def _author(self) -> Author:
        return self._quoting.author

    # --- what the desk calls -------------------------------------------------------------------------------

    async def quote(self, asked: Asked, claim: Claim) -> StoredQuote | Waiting:
        """A quote, or where an operator takes its time what is waited for; from then on it is durable.

        Raises what `Quoting.quote` raises.
        """
        within_s = asked.intent.answer_within_s
        assert within_s is not None, "only an intent that says so is waited for"
        with ExitStack() as stack:
            stack.enter_context(self._quoting.turns.one(asked.buyer))
            sight, _ = await self._quoting.sight(asked)
            now = self._author.clock.now()
            waiting = Waiting(
                id=self._author.entropy.token(),
                buyer=asked.buyer,
                intent=asked.intent,
                asked_at=now,
                answer_by=now + within_s,
                names={entity: peer.name for entity, peer in self._quoting.peers.items()},
                power=asked.power,
                grants=asked.grants,
            )
            journal = self._journal(waiting)
            await journal.begin(claim)
            self._carry(journal, stack.pop_all(), sight)
        await self._first(journal)
        return await self._outcome(journal.waiting)

    async def find(self, buyer: str, agent: str | None, quote_id: Id, wait_s: float = 0) -> Waiting | None:
        """What is waited for, once it is settled or so many seconds have passed; None where there is nothing."""
        try:
            found = await self._store.get_waiting(buyer, quote_id)
        except Problem as problem:
            if problem.code != "UNAVAILABLE":
                raise
            return None  # the store is away; whoever has the quote itself says what there is
        if found is None or agent not in {None, found.agent}:
            return None
        if wait_s <= 0 or found.state is not State.ASKED:
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while found is not None and found.state is State.ASKED:
                    await self._news_of(found)
                    found = await self._store.get_waiting(buyer, quote_id)
        return await self._store.get_waiting(buyer, quote_id)

    async def decline(self, waiting: Waiting) -> Waiting:
        """Stop asking, and let everything go; what was answered meanwhile stays as it is. Raises `UNAVAILABLE`."""
        for _ in range(DECLINE_TRIES):
            with suppress(TakenOver):
                return await self._declined(waiting)
            found = await self._store.get_waiting(waiting.buyer, waiting.id)  # another broker has written since
            if found is None or found.state is not State.ASKED:
                return found or waiting
            waiting = found
        raise Problem("UNAVAILABLE", "others write down what becomes of this quote just now", retry_after_s=1)

    async def _declined(self, waiting: Waiting) -> Waiting:
        carried = self._carried.get(waiting.id)
        journal = carried[0] if carried else self._journal(waiting)
        if carried is not None:
            carried[1].cancel()
            await asyncio.wait({carried[1], *([journal.sealing] if journal.sealing else [])})
        stored = await self._store.get_quote(waiting.buyer, waiting.id)
        state = State.DECLINED if stored is None else stored.state
        if journal.waiting.state is State.ASKED:
            await journal.write(state=state)
        journal.settled.set()
        self._carry(journal, ExitStack(), None)
        return journal.waiting

    # --- what the daemon calls -----------------------------------------------------------------------------

    async def resume(self) -> int:
        """Take up everything that nobody carries; returns how many. What is over for long is forgotten."""
        taken, now = 0, self._author.clock.now()
        if now >= self._prune_from:
            self._prune_from = now + PRUNE_S
            await self._store.prune_waiting(now - KEEP_S)
        gone = await self._among.gone() if self._among else None
        for waiting in await self._store.open_waiting():
            if waiting.id in self._carried or (gone is not None and not self._free(waiting, gone)):
                continue
            journal = self._journal(waiting)
            with suppress(TakenOver):
                await journal.begin(None)
                self._carry(journal, ExitStack(), None)
                taken += 1
        return taken

    async def run(self) -> None:
        """Until cancelled: take up what nobody carries."""
        while True:
            try:
                await self.resume()
            except Problem as problem:
                log.warning("quotes that nobody carries wait: %s", problem)
            await asyncio.sleep(self._every_s)

    async def close(self) -> None:
        """Carry nothing more; everything goes on at the next start."""
        tasks = [task for _, task in self._carried.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _free(self, waiting: Waiting, gone: Callable[[str], bool]) -> bool:
        assert self._among is not None, "or everything is"
        if waiting.by == self._among.name:
            return waiting.beat_s <= self._author.clock.now() - LEFT_S
        return gone(waiting.by)

    def _journal(self, waiting: Waiting) -> Journal:
        by = self._among.name if self._among else ""
        return Journal(self._store, waiting, self._author.clock.now, by)

    # --- carrying ------------------------------------------------------------------------------------------

    def _carry(self, journal: Journal, stack: ExitStack, sight: Sight | None) -> None:
        name = journal.waiting.id
        task = self._spawn(self._carrying(journal, sight), f"quote {name}")
        self._carried[name] = journal, task

        def ended(_: object) -> None:
            stack.close()
            if name in self._carried and self._carried[name][1] is task:
                del self._carried[name]

        task.add_done_callback(ended)

    async def _carrying(self, journal: Journal, sight: Sight | None) -> None:
        try:
            if journal.waiting.state is State.ASKED:
                await self._settle(journal, sight)
            journal.settled.set()
            await self._close(journal)
        except TakenOver:
            log.info("quote %s is carried by another broker now", journal.waiting.id)
        except Exception:
            log.exception("quote %s is left as it is until the next start", journal.waiting.id)
        finally:
            journal.settled.set()

    async def _settle(self, journal: Journal, sight: Sight | None) -> None:
        try:
            stored = await self._made(journal, sight)
        except Problem as problem:
            await journal.write(state=State.DECLINED, problem=msgspec.to_builtins(_final(problem).as_dict()))
        except (TakenOver, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("a fault in quote %s", journal.waiting.id)
            fault = Problem("INTERNAL", "an unexpected fault on our side", outcome=Outcome.UNDONE)
            await journal.write(state=State.DECLINED, problem=fault.as_dict())
        else:
            await journal.write(state=stored.state)

    async def _made(self, journal: Journal, sight: Sight | None) -> StoredQuote:
        """The quote, stored under the id that its buyer was told."""
        waiting = journal.waiting
        if (stored := await self._before(waiting)) is not None:
            return stored
        asked = Asked(waiting.buyer, waiting.intent, waiting.power, waiting.grants)
        if sight is None:
            await self._until_ready(waiting)
            sight, _ = await self._seen(asked, waiting)
        attempt = SlowAttempt(self._quoting, asked, sight, journal, self._news)
        stored, texts = await attempt.run(waiting.route or first_of(sight))
        if (within := self._quoting.within(asked)) is not None:
            within.check_quote(stored)
        await self._put(journal, stored, texts)
        return stored

    async def _before(self, waiting: Waiting) -> StoredQuote | None:
        """The quote, where it was made before a restart. A store that is away says nothing of that, and is asked again:
        as with what is written down, nothing goes on before."""
        pause_s = AGAIN_S
        while True:
            try:
                return await self._store.get_quote(waiting.buyer, waiting.id)
            except Problem as problem:
                log.warning("quote %s waits for its store: %s", waiting.id, problem)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, AGAIN_S_MAX)

    async def _put(self, journal: Journal, stored: StoredQuote, texts: Mapping[Hash, str]) -> None:
        """Into the store, which may be away for a while, for as long as the quote is good for anything. Raises what
        the store raises."""
        while True:
            journal.sealing = asyncio.ensure_future(self._sealed(stored, texts))
            try:
                return await asyncio.shield(journal.sealing)
            except Problem as problem:
                if problem.code != "UNAVAILABLE" or self._author.clock.now() >= stored.claims.exp:
                    raise
                log.warning("quote %s waits for its store: %s", stored.id, problem)
            await asyncio.sleep(AGAIN_S)

    async def _sealed(self, stored: StoredQuote, texts: Mapping[Hash, str]) -> None:
        """Once: it may have been stored, and the answer was lost."""
        if await self._store.get_quote(stored.buyer, stored.id) is None:
            await self._store.put_quote(stored, None, texts)

    async def _seen(self, asked: Asked, waiting: Waiting) -> tuple[Sight, object]:
        """A sight to go on with: one that asks for a path already needs no other."""
        if waiting.route is None:
            return await self._quoting.sight(asked)
        within = self._quoting.within(asked)
        intent = within.confined(asked.intent, self._quoting.searching.sheets) if within else asked.intent
        return await self._quoting.searching.look(intent, 1, asked.buyer), None

    async def _until_ready(self, waiting: Waiting) -> None:
        left_s = waiting.answer_by - self._author.clock.now()
        try:
            async with asyncio.timeout(max(0, left_s)):
                await self._ready()
        except TimeoutError:
            raise Problem("UNAVAILABLE", "the offers of operators were not known in time") from None

    async def _close(self, journal: Journal) -> None:
        """Let go of all that is not in the quote, again until everybody has heard it."""
        pause_s = AGAIN_S
        while (waiting := journal.waiting).open:
            stored = await self._store.get_quote(waiting.buyer, waiting.id) if waiting.state in ANSWERED else None
            keep = () if stored is None else stored.held
            patient = PatientHand(
                hand_of(self._quoting, waiting), self._author, self._news, waiting.answer_by, journal.note
            )
            patient.resume(waiting.questions, waiting.held)
            done = await patient.let_go(keep, self._quoting.limits.total_s_max)
            if done or self._author.clock.now() > waiting.answer_by + CLOSE_S:
                await journal.write(questions=(), held=())
                return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, AGAIN_S_MAX)

    # --- parts ---------------------------------------------------------------------------------------------

    async def _first(self, journal: Journal) -> None:
        """Until it is settled, or it is known that somebody takes long."""
        events = [asyncio.ensure_future(one.wait()) for one in (journal.settled, journal.deferred)]
        try:
            await asyncio.wait(events, timeout=self._quoting.limits.total_s_max, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()

    async def _outcome(self, waiting: Waiting) -> StoredQuote | Waiting:
        if waiting.state in ANSWERED:
            stored = await self._store.get_quote(waiting.buyer, waiting.id)
            assert stored is not None, "stored before it was said to be there"
            return stored
        return waiting

    async def _news_of(self, waiting: Waiting) -> None:
        """Until there may be news of one that is carried here, or another look is due."""
        carried = self._carried.get(waiting.id)
        if carried is None or carried[0].settled.is_set():
            await asyncio.sleep(LOOK_S)
        else:
            await carried[0].settled.wait()


def _final(problem: Problem) -> Problem:
    """Why there is no quote and never will be: who is told to come again would ask for this one without end."""
    if problem.code not in PASSED:
        return problem.with_outcome(Outcome.UNDONE)
    why = f"this quote came to nothing ({problem.detail}); ask for another one"
    return Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.UNDONE, extra=problem.extra)

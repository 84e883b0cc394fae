"""Quotes that operators take their time with: waited for, prolonged, refused, let go; after a crash at any write as
without one, and with every event lost as with all of them heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.broker.once import claim_of
from federation.broker.peers import news
from federation.broker.peers.news import News
from federation.broker.quotes import patient, slow
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.quotes.quoting import Asked, Quoting
from federation.broker.quotes.slow import Slow
from federation.broker.quotes.waiting import Waiting, failure
from federation.broker.store.redis.keys import Keyspace
from federation.broker.store.redis.store import RedisStore
from schemas.lease import State
from schemas.problem import Outcome, Problem
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock
from tests.support.simulated_keys import SimulatedKeys
from tests.support.small_market import SmallMarket, intent, small_market

WITHIN_S = 600
TURNS = 20_000  # of the loop, until what has to happen must have happened


class Crash(BaseException):
    """The broker is gone."""


class Store(RedisStore):
    """A store after whose `left` writes the broker is gone."""

    def __init__(self, space: Keyspace) -> None:
        super().__init__(space)
        self.left: int | None = None
        self.full = False
        self.writes = self.tries = self.unheard = self.silent = 0

    async def put_waiting(self, waiting: Waiting, claim: Claim | None = None) -> bool:
        done = await super().put_waiting(waiting, claim)
        self._count()
        return done

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Any = ()) -> None:
        self.tries += 1
        if self.full:
            raise Problem("UNAVAILABLE", "the store cannot write", retry_after_s=1)
        await super().put_quote(quote, claim, dict(texts))
        self._count()
        if self.tries == self.unheard:
            raise Problem("UNAVAILABLE", "the answer was lost", outcome=Outcome.UNKNOWN)

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        if self.silent:
            self.silent -= 1
            raise Problem("UNAVAILABLE", "the store cannot read", retry_after_s=1)
        return await super().get_quote(buyer, quote_id)

    def _count(self) -> None:
        self.writes += 1
        if self.left is not None and self.writes >= self.left:
            raise Crash


class Named:
    """A broker among those that share a store, and what it believes gone."""

    def __init__(self, name: str, *gone: str) -> None:
        self.name, self.believed_gone = name, set(gone)

    async def gone(self) -> Callable[[str], bool]:
        return self.believed_gone.__contains__


class Office:
    """One broker over the small market, that can be killed and started again; what it spawned is its own."""

    def __init__(self, market: SmallMarket, space: Keyspace, among: Named | None = None) -> None:
        self.market, self.store, self.among = market, Store(space), among
        self.news = News(b"secret")
        self.start()

    def start(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        made = self.market.quoting
        quoting = Quoting(made.searching, made.peers, made.author, self.store, made.limits)
        self.slow = Slow(quoting, self.store, self.news, self._spawn, ready=_ready, among=self.among)

    def _spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        return task

    async def quote(self, key: str = "k", **changes: object) -> StoredQuote | Waiting:
        asked = intent(**({"answer_within_s": WITHIN_S} | changes))
        return await self.slow.quote(Asked("ann", asked), claim_of("ann", key, "quote", asked))

    async def kill(self) -> None:
        """End it as a power cut would: nothing of it is written any more."""
        self.store.left = 0
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def restart(self) -> None:
        await self.kill()
        self.store.left = None
        self.start()
        await self.slow.resume()

    async def found(self, quote_id: str) -> Waiting:
        waiting = await self.store.get_waiting("ann", quote_id)
        assert waiting is not None
        return waiting

    async def until(self, over: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(TURNS):
            if await over():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"it never happened: {await self.store.open_waiting()}")

    async def settled(self, quote_id: str) -> StoredQuote | Waiting:
        async def over() -> bool:
            waiting = await self.found(quote_id)
            return waiting.state is not State.ASKED and not waiting.open

        await self.until(over)
        return await self.store.get_quote("ann", quote_id) or await self.found(quote_id)


async def _ready() -> None:
    return None


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a while waits for a turn of the loop instead."""

    async def soon(*_: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(patient, "heard", soon)
    for module, name in ((patient, "POLL_FIRST_S"), (patient, "LOOK_S"), (slow, "AGAIN_S"), (slow, "LOOK_S")):
        monkeypatch.setattr(module, name, 0)


@asynccontextmanager
async def office(*slow_ones: str, among: Named | None = None) -> AsyncIterator[tuple[Office, dict[str, FakeOperator]]]:
    """A broker, and the operators by name; of these, some are slow."""

    def change(by_name: Any) -> None:
        for name in slow_ones:
            by_name[name].slow = True

    async with small_market(FixedClock(), change) as market:
        made = Office(market, Keyspace(SimulatedKeys()), among)
        yield made, {one.name: one for one in market.operators}
        await made.kill()


def nothing_left(operators: dict[str, FakeOperator], keep: StoredQuote | None = None) -> None:
    """Nobody holds anything, or is asked anything, beyond what is in the quote."""
    kept = {held.quote_id for held in keep.held} if keep else set()
    assert {quote_id for one in operators.values() for quote_id in one.holds} == kept
    assert [jti for one in operators.values() for jti in one.questions] == []


@pytest.mark.asyncio
async def test_fast_operators_are_answered_for_at_once() -> None:
    async with office() as (broker, operators):
        stored = await broker.quote()
        assert isinstance(stored, StoredQuote)
        nothing_left(operators, stored)
        assert (await broker.settled(stored.id)) == stored


@pytest.mark.asyncio
async def test_slow_ones_are_waited_for_and_what_fast_ones_hold_is_prolonged() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        assert [one.ask.operator for one in waiting.questions] == ["https://beta.example"]
        for _ in range(8):
            before = {name: set(operators[name].holds) for name in ("Alpha", "Gamma")}
            broker.market.clock.advance(40)

            async def swapped(before: Any = before) -> bool:
                return all(not before[name] & set(operators[name].holds) for name in before)

            await broker.until(swapped)
            assert broker.market.held() == {"Alpha": 1, "Beta": 0, "Gamma": 1, "Delta": 0}
        await operators["Beta"].grant()
        stored = await broker.settled(waiting.id)
        assert isinstance(stored, StoredQuote)
        assert stored.id == waiting.id == stored.claims.jti
        assert stored.claims.exp >= broker.market.clock.now() + 29
        assert len(operators["Beta"].asked) == 2  # the question, and its answer
        nothing_left(operators, stored)


@pytest.mark.asyncio
async def test_a_refusal_ends_all_waiting_and_another_path_is_found() -> None:
    async with office("Beta", "Gamma") as (broker, operators):
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)

        async def asked(name: str) -> None:
            async def over() -> bool:
                return bool(operators[name].questions)

            await broker.until(over)

        await asked("Gamma")
        gamma = set(operators["Gamma"].questions)
        operators["Beta"].refuse()
        # Gamma is asked for the other interface now, and not for the former one any more.

        async def anew() -> bool:
            return bool(operators["Gamma"].questions) and not gamma & set(operators["Gamma"].questions)

        await broker.until(anew)
        await operators["Gamma"].grant()
        stored = await broker.settled(waiting.id)
        assert isinstance(stored, StoredQuote)
        assert [held.operator for held in stored.held][1] == "https://delta.example"
        assert stored.rounds == 2
        nothing_left(operators, stored)


@pytest.mark.asyncio
async def test_at_the_deadline_everything_is_let_go_and_the_buyer_told_why() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote(operators_denied=("Delta",))
        assert isinstance(waiting, Waiting)
        broker.market.clock.advance(WITHIN_S)
        over = await broker.settled(waiting.id)
        assert isinstance(over, Waiting)
        problem = failure(over)
        assert problem is not None
        assert (problem.code, problem.outcome) == ("OPERATOR_UNREACHABLE", "undone")
        assert "Beta did not answer in the time that was given" in problem.detail
        nothing_left(operators)


@pytest.mark.asyncio
async def test_nobody_is_told_to_come_again_for_a_quote_that_came_to_nothing() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        broker.store.full = True
        await operators["Beta"].grant()
        await broker.until(lambda: _so(broker.store.tries > 3))
        broker.market.clock.advance(3_600)
        over = await broker.settled(waiting.id)
        assert isinstance(over, Waiting)
        problem = failure(over)
        assert problem is not None
        assert (problem.code, problem.outcome, problem.retry_after_s) == ("INCOMPATIBLE_STATE", "undone", None)
        assert "the store cannot write" in problem.detail
        nothing_left(operators)


@pytest.mark.asyncio
@pytest.mark.parametrize("lost", [False, True])
async def test_what_a_person_granted_outlives_a_store_that_is_away_for_a_moment(lost: bool) -> None:
    """Or that has the quote and cannot say so."""
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        broker.store.full, broker.store.unheard = not lost, 1 if lost else 0
        await operators["Beta"].grant()
        await broker.until(lambda: _so(broker.store.tries > (0 if lost else 3)))
        broker.store.full = False
        over = await broker.settled(waiting.id)
        assert isinstance(over, StoredQuote)
        assert (await broker.found(waiting.id)).state is over.state is State.HELD
        nothing_left(operators, over)


@pytest.mark.asyncio
async def test_a_store_that_is_away_for_a_moment_at_a_restart_ends_no_quote() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        broker.store.silent = 3
        await broker.restart()
        await broker.until(lambda: _so(not broker.store.silent))
        await operators["Beta"].grant()
        over = await broker.settled(waiting.id)
        assert isinstance(over, StoredQuote)
        nothing_left(operators, over)


async def _so(true: bool) -> bool:
    return true


@pytest.mark.asyncio
async def test_a_buyer_that_lets_go_stops_everything() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        declined = await broker.slow.decline(await broker.found(waiting.id))
        assert declined.state is State.DECLINED
        over = await broker.settled(waiting.id)
        assert isinstance(over, Waiting)
        assert (over.state, failure(over)) == (State.DECLINED, None)
        nothing_left(operators)


@pytest.mark.asyncio
async def test_an_operator_that_cannot_be_reached_is_told_later_that_nothing_is_asked() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        operators["Beta"].down = True
        await broker.slow.decline(await broker.found(waiting.id))
        for _ in range(200):
            await asyncio.sleep(0)
        assert (await broker.found(waiting.id)).open
        await broker.restart()
        operators["Beta"].down = False
        await broker.settled(waiting.id)
        nothing_left(operators)


@pytest.mark.asyncio
async def test_lost_answers_are_asked_for_and_have_one_effect() -> None:
    async with office("Beta") as (broker, operators):
        for one in operators.values():
            one.loses = 1
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        assert len(operators["Beta"].questions) == 1
        await operators["Beta"].grant()
        stored = await broker.settled(waiting.id)
        assert isinstance(stored, StoredQuote)
        nothing_left(operators, stored)
        assert all(len(operators[name].asked) == 1 for name in ("Alpha", "Gamma"))


@pytest.mark.asyncio
async def test_one_that_never_answers_and_never_knows_is_given_up_and_another_path_found() -> None:
    async with office() as (broker, operators):
        asked = 0

        async def lost(*_: Any) -> Any:
            nonlocal asked
            asked += 1
            raise Problem("OPERATOR_UNREACHABLE", "the connection broke", outcome=Outcome.UNKNOWN)

        async def unknown(*_: Any) -> None:
            return None

        operators["Beta"].ask, operators["Beta"].answered = lost, unknown  # type: ignore[method-assign]
        stored = await broker.quote()
        assert isinstance(stored, StoredQuote)
        assert [held.operator for held in stored.held][1] == "https://delta.example"
        assert asked <= patient.LOST_TRIES + 1
        nothing_left(operators, stored)


@pytest.mark.asyncio
async def test_a_hold_that_is_gone_is_taken_anew() -> None:
    async with office("Beta") as (broker, operators):
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        operators["Alpha"].holds.clear()
        await operators["Beta"].grant()
        broker.market.clock.advance(59)
        stored = await broker.settled(waiting.id)
        assert isinstance(stored, StoredQuote)
        nothing_left(operators, stored)


async def crashed_at(writes: int, how: str) -> bool:
    """A purchase whose broker is gone after so many writes, and started again; whether it got that far."""
    async with office("Beta") as (broker, operators):
        broker.store.left = writes
        waiting: StoredQuote | Waiting | None = None
        try:
            waiting = await broker.quote()
        except Crash:
            pass
        names = [one.id for one in await broker.store.open_waiting()] or ([waiting.id] if waiting else [])
        if broker.store.writes < writes:
            if how == "decline":
                broker.slow_decline = asyncio.ensure_future(broker.slow.decline(await broker.found(names[0])))
                await asyncio.wait({broker.slow_decline})
                broker.slow_decline.exception()
            elif how == "refuse":
                operators["Beta"].refuse()
            else:
                await operators["Beta"].grant()
            for _ in range(300):
                await asyncio.sleep(0)
        reached = broker.store.writes >= writes
        await broker.restart()
        if operators["Beta"].questions and how == "grant":
            await operators["Beta"].grant()
        elif operators["Beta"].questions:
            operators["Beta"].refuse()
        for name in names:
            for _ in range(300):
                await asyncio.sleep(0)
            if operators["Beta"].questions:
                await operators["Beta"].grant()
            over = await broker.settled(name)
            if how == "grant":
                assert isinstance(over, StoredQuote), (writes, over)
            nothing_left(operators, over if isinstance(over, StoredQuote) else None)
        if not names:
            nothing_left(operators)
        return reached


@pytest.mark.parametrize("how", ["grant", "refuse", "decline"])
@pytest.mark.asyncio
async def test_whatever_was_written_last_a_restart_goes_on_and_nothing_is_left(how: str) -> None:
    writes = 1
    while await crashed_at(writes, how):
        writes += 1
    assert writes > 8


@pytest.mark.asyncio
async def test_of_two_brokers_on_one_store_one_carries_and_the_other_takes_over() -> None:
    async with office("Beta", among=Named("one")) as (first, operators):
        waiting, other = await first.quote(), Named("two")
        second = Office(first.market, first.store._space, other)
        assert await second.slow.resume() == 0
        other.believed_gone.add("one")
        assert await second.slow.resume() == 1
        assert (await second.found(waiting.id)).by == "two"
        await operators["Beta"].grant()
        stored = await second.settled(waiting.id)
        assert isinstance(stored, StoredQuote)
        nothing_left(operators, stored)
        await second.kill()


@pytest.mark.asyncio
async def test_what_a_fault_left_lying_here_is_taken_up_again_after_a_while() -> None:
    async with office("Beta", among=Named("one")) as (broker, operators):
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        _, task = broker.slow._carried[waiting.id]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await broker.slow.resume() == 0
        broker.market.clock.advance(slow.LEFT_S)
        assert await broker.slow.resume() == 1
        await operators["Beta"].grant()
        assert isinstance(await broker.settled(waiting.id), StoredQuote)


@pytest.mark.asyncio
async def test_a_buyer_lets_go_at_one_broker_while_another_writes() -> None:
    async with office("Beta", among=Named("one")) as (broker, operators):
        other = Office(broker.market, broker.store._space, Named("two"))
        waiting = await broker.quote()
        assert isinstance(waiting, Waiting)
        before = await other.found(waiting.id)
        await broker.slow._carried[waiting.id][0].write()
        declined = await other.slow.decline(before)
        assert declined.state is State.DECLINED
        assert await other.slow.decline(before) == await other.found(waiting.id)
        await other.settled(waiting.id)
        nothing_left(operators)
        await other.kill()


def test_events_wake_only_who_waits_and_only_by_the_right_word() -> None:
    heard = News(b"secret")
    word = heard.word("https://beta.example")
    event = news.Event(
        event_id="e",
        event_time=None,
        event_type=news.EventType.QUOTE,
        event=slow_told("q-1"),  # type: ignore[arg-type]
    )
    assert not heard.hear("another", event)
    assert heard.hear(word, event)
    with heard.watch("https://beta.example", "q-1") as waits:
        assert heard.hear(word, event)
        assert waits.is_set()


def slow_told(name: str) -> Any:
    """What an event is about."""
    from schemas.sonata.hub import Told

    return Told(id=name, state="approved.orderable")

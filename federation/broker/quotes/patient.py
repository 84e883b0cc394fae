"""The quotes in hand of one that may take long: slow operators are asked again until they answer, and what the fast
ones hold meanwhile is prolonged.

Every question is written down before it is sent (`note`), so after a crash all of them are found again: by the
operator's id of it, or by its `jti`. A hold is prolonged by a new rfq that replaces it in one step, from the middle of
its life on; so when the last operator answers, nobody's hold is about to end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from msgspec import structs

from federation.broker.peers.news import News, heard
from federation.broker.peers.protocols import Deferred, HeldQuote, OperatorPeer
from federation.broker.quotes.ask import Author
from federation.broker.quotes.hand import ASK_S, Ask, Hand, fits, unknown
from federation.broker.quotes.waiting import Question
from federation.tokens.grant import grants_hash
from federation.trust.jose import unverified
from schemas.problem import Outcome, Problem
from schemas.quote import Rfq
from schemas.segment import EntityId

GONE: Final = frozenset({"HOLD_LOST", "NOT_FOUND"})
POLL_FIRST_S: Final = 0.2
POLL_LONGEST_S: Final = 30.0
LOOK_S: Final = 1.0  # how often holds are looked at while somebody takes long
LOST_TRIES: Final = 5  # how often one that does not answer at all is asked what became of a question
HOLD_LEFT_S: Final = 5
Note = Callable[[tuple[Question, ...], tuple[HeldQuote, ...]], Awaitable[None]]
log = logging.getLogger(__name__)


class PatientHand:
    """Wraps a `Hand`; `answer_by` is until when operators may answer, Unix seconds."""

    def __init__(self, hand: Hand, author: Author, news: News, answer_by: int, note: Note) -> None:
        self._hand, self._author, self._news, self._note = hand, author, news, note
        self._answer_by = answer_by
        self._questions: dict[EntityId, Question] = {}
        self._held_for: dict[EntityId, Ask] = {}
        self._lost: dict[EntityId, int] = {}  # how often in a row one knew nothing of what it was asked

    def resume(self, questions: Iterable[Question], held: Iterable[HeldQuote]) -> None:
        """Go on with what was written down."""
        self._questions = {question.ask.operator: question for question in questions}
        self._hand.quotes = {one.operator: one for one in held}

    async def ask(self, asks: Sequence[Ask]) -> list[HeldQuote | Problem | None]:
        """An answer per ask, in order, once all are held with time to spare, or one is refused: then None for who has
        not answered."""
        running = {ask.operator: asyncio.ensure_future(self._one(ask)) for ask in asks}
        answers: dict[EntityId, HeldQuote | Problem] = {}
        try:
            while running:
                done, _ = await asyncio.wait(running.values(), timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for operator in [one for one, task in running.items() if task in done]:
                    answers[operator] = running.pop(operator).result()
                if any(isinstance(answer, Problem) for answer in answers.values()):
                    break
                for ask in asks:
                    held = answers.get(ask.operator)
                    if isinstance(held, HeldQuote) and self._ends_soon(held):
                        del answers[ask.operator]
                        running[ask.operator] = asyncio.ensure_future(self._one(ask))
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
        return [answers.get(ask.operator) for ask in asks]

    async def let_go(self, keep: Sequence[HeldQuote], timeout_s: float) -> bool:
        """Stop asking, and let go of everything but what is kept; whether everybody has heard that nothing is asked any
        more. Holds that could not be let go end by themselves."""
        stopped = await asyncio.gather(*(self._stop(operator) for operator in list(self._questions)))
        await self._hand.let_go(keep, timeout_s)
        return all(stopped)

    async def only(self, operators: Iterable[EntityId], timeout_s: float) -> None:
        """Let go of everything at operators that are asked for nothing any more."""
        wanted = set(operators)
        await asyncio.gather(*(self._stop(one) for one in list(self._questions) if one not in wanted))
        keep = [held for operator, held in self._hand.quotes.items() if operator in wanted]
        if len(keep) < len(self._hand.quotes):
            await self._hand.let_go(keep, timeout_s)
        await self._written()

    async def _one(self, ask: Ask) -> HeldQuote | Problem:
        try:
            return await self._answer(ask)
        except Problem as problem:
            return problem

    async def _answer(self, ask: Ask) -> HeldQuote:
        question = self._questions.get(ask.operator)
        if question is not None and question.ask != ask:
            await self._stop(ask.operator)
            question = None
        present = self._hand.quotes.get(ask.operator)
        if question is None:
            same = present is not None and fits(present, ask) and self._held_for.get(ask.operator) == ask
            if present is not None and same and not self._ends_soon(present):
                return present
            answer = await self._anew(ask, self._live(present))
        else:
            answer = await self._again(question)
        while isinstance(answer, Deferred):
            answer = await self._followed(answer)
        held = structs.replace(answer, grant_h=grants_hash(ask.grants))
        self._hand.quotes[ask.operator], self._held_for[ask.operator] = held, ask
        self._hand.ever_held = self._hand.ever_held or held.quote.held
        del self._questions[ask.operator]
        self._lost.pop(ask.operator, None)
        await self._written()
        return held

    async def _anew(self, ask: Ask, present: HeldQuote | None) -> HeldQuote | Deferred:
        """The answer to a new question, in place of what is held there; if that has gone, without it."""
        try:
            return await self._first(await self._asked(ask, present))
        except Problem as problem:
            if present is None or problem.code not in GONE:
                raise
        self._hand.quotes.pop(ask.operator, None)
        return await self._first(await self._asked(ask, None))

    async def _followed(self, asked: Deferred) -> HeldQuote | Deferred:
        """Ask again and again until it is answered. Raises the refusal, or that time is up."""
        answer: HeldQuote | Deferred = asked
        with self._news.watch(asked.operator, asked.quote_id) as news:
            pause_s = POLL_FIRST_S
            while answer == asked:
                self._check_time(asked.operator)
                await heard(news, pause_s)
                pause_s = min(pause_s * 2, POLL_LONGEST_S)
                answer = await self._again(self._questions[asked.operator])
        return answer

    async def _asked(self, ask: Ask, present: HeldQuote | None) -> Question:
        """A new question, written down before it is sent."""
        jws, _ = self._hand.rfq(ask, None if present is None else present.quote_h)
        question = Question(ask=ask, rfq_jws=jws)
        self._questions[ask.operator] = question
        await self._written()
        return question

    async def _first(self, question: Question) -> HeldQuote | Deferred:
        """What is answered to a question that nobody has got yet. Raises the refusal, and then nothing is held."""
        ask = question.ask
        peer = self._peer(ask.operator)
        rfq = unverified(question.rfq_jws, Rfq)
        try:
            async with asyncio.timeout(ASK_S):
                answer = await peer.ask(question.rfq_jws, rfq, self._answer_by, self._hand.permit(ask))
        except (Problem, TimeoutError) as error:
            if isinstance(error, Problem) and error.outcome is not Outcome.UNKNOWN:
                await self._forget(ask.operator)
                raise
            return await self._again(question)
        return await self._noted(question, answer)

    async def _again(self, question: Question) -> HeldQuote | Deferred:
        """What became of a question, asked until somebody says. Raises the refusal, and `OPERATOR_UNREACHABLE`."""
        operator = question.ask.operator
        rfq, pause_s = unverified(question.rfq_jws, Rfq), POLL_FIRST_S
        for tries in range(1, LOST_TRIES + 1):
            try:
                async with asyncio.timeout(ASK_S):
                    answer = await self._peer(operator).answered(question.rfq_jws, rfq, question.quote_id)
            except (Problem, TimeoutError) as error:
                if isinstance(error, Problem) and error.code != "OPERATOR_UNREACHABLE":
                    await self._forget(operator)
                    raise
                if question.quote_id is None and tries == LOST_TRIES:
                    raise self._silent(operator) from error
                # One that has taken the question may be down for as long as it likes, until its time is up.
                self._check_time(operator)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, POLL_LONGEST_S)
                continue
            if answer is None:
                return await self._unknown_there(question, rfq)
            return await self._noted(question, answer)
        return Deferred(operator=operator, quote_id=question.quote_id or "")

    async def _unknown_there(self, question: Question, rfq: Rfq) -> HeldQuote | Deferred:
        """Nobody has the question: it was lost on the way, or what answered it is gone. Who loses one after the other
        is given up. Raises `OPERATOR_UNREACHABLE`."""
        tries = self._lost[question.ask.operator] = self._lost.get(question.ask.operator, 0) + 1
        if tries > LOST_TRIES:
            raise self._silent(question.ask.operator)
        await asyncio.sleep(min(POLL_FIRST_S * 2 ** (tries - 1), POLL_LONGEST_S))
        await self._forget(question.ask.operator)
        if question.quote_id is not None or self._author.clock.now() >= rfq.exp:
            self._hand.quotes.pop(question.ask.operator, None)
            self._check_time(question.ask.operator)
            question = await self._asked(question.ask, None)
        else:
            self._questions[question.ask.operator] = question
            await self._written()
        return await self._first(question)

    async def _noted(self, question: Question, answer: HeldQuote | Deferred) -> HeldQuote | Deferred:
        if isinstance(answer, Deferred) and question.quote_id != answer.quote_id:
            self._questions[question.ask.operator] = structs.replace(question, quote_id=answer.quote_id)
            await self._written()
        return answer

    async def _stop(self, operator: EntityId) -> bool:
        """Stop asking one; whether it has heard it. A question that nobody can be told of ends with its time there."""
        question = self._questions.get(operator)
        if question is None:
            return True
        try:
            async with asyncio.timeout(ASK_S):
                peer = self._peer(operator)
                found = await peer.answered(question.rfq_jws, unverified(question.rfq_jws, Rfq), question.quote_id)
                if found is not None:
                    await peer.cancel(found.quote_id)
        except (Problem, TimeoutError) as error:
            if isinstance(error, TimeoutError) or error.code == "OPERATOR_UNREACHABLE":
                log.warning("%s is still asked: %s", operator, str(error) or "no answer")
                return False
        self._questions.pop(operator, None)
        return True

    async def _forget(self, operator: EntityId) -> None:
        self._questions.pop(operator, None)
        await self._written()

    async def _written(self) -> None:
        await self._note(tuple(self._questions.values()), tuple(self._hand.quotes.values()))

    def _live(self, present: HeldQuote | None) -> HeldQuote | None:
        """What can still be replaced."""
        return present if present is not None and present.quote.exp > self._author.clock.now() else None

    def _ends_soon(self, held: HeldQuote) -> bool:
        """Whether the better half of its life is over."""
        quote = held.quote
        return self._author.clock.now() >= quote.exp - max(HOLD_LEFT_S, (quote.exp - quote.iat) // 2)

    def _check_time(self, operator: EntityId) -> None:
        if self._author.clock.now() >= self._answer_by:
            name = self._peer(operator).name
            raise Problem(
                "OPERATOR_UNREACHABLE", f"{name} did not answer in the time that was given",
                outcome=Outcome.UNKNOWN, extra={"operator": operator},
            )  # fmt: skip

    def _silent(self, operator: EntityId) -> Problem:
        name = self._peer(operator).name
        why = f"{name} does not say what became of a question"
        return Problem("OPERATOR_UNREACHABLE", why, outcome=Outcome.UNKNOWN, extra={"operator": operator})

    def _peer(self, operator: EntityId) -> OperatorPeer:
        peer = self._hand.peer(operator)
        if peer is None:
            raise unknown(operator)
        return peer

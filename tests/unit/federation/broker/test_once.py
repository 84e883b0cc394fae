from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from federation.broker.once import Once, claim_of
from federation.broker.quotes.protocols import Claim
from schemas.problem import PASSING, Outcome, Problem
from tests.support.memory_store import MemoryStore
from tests.support.seams import FixedClock


class Runs:
    """Counts how often work was really done."""

    def __init__(self) -> None:
        self.done = 0
        self.store = MemoryStore()
        self.gate = asyncio.Event()

    async def work(self) -> str:
        await self.gate.wait()
        self.done += 1
        return f"answer {self.done}"

    async def again(self, answer_id: str) -> str:
        return f"again {answer_id}"


async def running(main: Callable[[Runs, Once], Awaitable[None]]) -> None:
    runs = Runs()
    async with asyncio.TaskGroup() as tasks:
        await main(runs, Once(runs.store, FixedClock(), tasks))


@pytest.mark.asyncio
async def test_two_requests_at_once_share_one_run() -> None:
    async def main(runs: Runs, once: Once) -> None:
        claim = claim_of("ann", "k", "quote", 1)
        both = [asyncio.ensure_future(once.run(claim, runs.work, runs.again)) for _ in range(2)]
        await asyncio.sleep(0)
        runs.gate.set()
        assert await asyncio.gather(*both) == ["answer 1", "answer 1"]

    await running(main)


@pytest.mark.asyncio
async def test_an_answered_key_is_answered_again() -> None:
    async def main(runs: Runs, once: Once) -> None:
        claim = claim_of("ann", "k", "quote", 1)
        runs.gate.set()
        await once.run(claim, runs.work, runs.again)
        await runs.store.answer(claim, "q-1", 0)
        assert await once.run(claim, runs.work, runs.again) == "again q-1"
        assert runs.done == 1

    await running(main)


@pytest.mark.asyncio
async def test_the_same_key_with_another_request_is_refused_during_and_after() -> None:
    async def main(runs: Runs, once: Once) -> None:
        first = asyncio.ensure_future(once.run(claim_of("ann", "k", "quote", 1), runs.work, runs.again))
        await asyncio.sleep(0)
        for claim in (claim_of("ann", "k", "quote", 2), claim_of("ann", "k", "order", 1)):
            with pytest.raises(Problem) as caught:
                await once.run(claim, runs.work, runs.again)
            assert caught.value.code == "IDEMPOTENCY_CONFLICT"
        runs.gate.set()
        await first
        with pytest.raises(Problem, match="another request"):
            await once.run(claim_of("ann", "k", "quote", 2), runs.work, runs.again)
        assert await once.run(claim_of("bob", "k", "quote", 2), runs.work, runs.again) == "answer 2"

    await running(main)


@pytest.mark.asyncio
async def test_a_caller_that_goes_away_does_not_stop_the_work() -> None:
    async def main(runs: Runs, once: Once) -> None:
        claim = claim_of("ann", "k", "quote", 1)
        caller = asyncio.ensure_future(once.run(claim, runs.work, runs.again))
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        late = asyncio.ensure_future(once.run(claim, runs.work, runs.again))
        runs.gate.set()
        assert await late == "answer 1"

    await running(main)


@pytest.mark.asyncio
async def test_a_failure_is_told_to_all_and_the_same_request_may_try_again() -> None:
    async def main(runs: Runs, once: Once) -> None:
        async def fails() -> str:
            await asyncio.sleep(0)
            raise Problem("UNAVAILABLE", "not now")

        claim = claim_of("ann", "k", "quote", 1)
        both = await asyncio.gather(*(once.run(claim, fails, runs.again) for _ in range(2)), return_exceptions=True)
        assert [type(answer) for answer in both] == [Problem, Problem]
        runs.gate.set()
        assert await once.run(claim, runs.work, runs.again) == "answer 1"

    await running(main)


class Refusing(Runs):
    """Work that is refused until `reason` is gone."""

    def __init__(self, reason: Problem | None) -> None:
        super().__init__()
        self.reason = reason
        self.gate.set()

    async def work(self) -> str:
        if self.reason is not None:
            raise self.reason
        return await super().work()


async def told(once: Once, runs: Refusing, key: str = "k") -> Problem | str:
    try:
        return await once.run(claim_of("ann", key, "order", 1), runs.work, runs.again)
    except Problem as problem:
        return problem


@pytest.mark.asyncio
@pytest.mark.parametrize("outcome", [None, Outcome.NONE, Outcome.UNDONE])
async def test_a_refusal_without_an_effect_binds_its_key(outcome: Outcome | None) -> None:
    runs = Refusing(Problem("QUOTE_USED", "too late", field="quote", outcome=outcome, extra={"order": "o-1"}))
    async with asyncio.TaskGroup() as tasks:
        first = await told(Once(runs.store, FixedClock(), tasks), runs)
        runs.reason = None
        restarted = Once(runs.store, FixedClock(), tasks)
        stray = await told(restarted, runs)
        assert isinstance(first, Problem)
        assert isinstance(stray, Problem)
        assert (stray.as_dict(), runs.done) == (first.as_dict(), 0)
        assert await told(restarted, runs, "another key") == "answer 1"


@pytest.mark.asyncio
async def test_what_may_pass_or_is_not_known_binds_no_key() -> None:
    undecided = [Problem("OPERATOR_REFUSED", "who knows", outcome=one) for one in (Outcome.PENDING, Outcome.UNKNOWN)]
    for number, reason in enumerate([*(Problem(code, "not now") for code in sorted(PASSING)), *undecided]):
        runs = Refusing(reason)
        async with asyncio.TaskGroup() as tasks:
            once = Once(runs.store, FixedClock(), tasks)
            assert await told(once, runs, f"k{number}") is reason
            runs.reason = None
            assert await told(once, runs, f"k{number}") == "answer 1"


@pytest.mark.asyncio
async def test_a_refusal_that_cannot_be_bound_is_not_said_to_be_without_effect() -> None:
    runs = Refusing(Problem("QUOTE_EXPIRED", "too late", outcome=Outcome.NONE))
    runs.store.fail = Problem("UNAVAILABLE", "the disk is full")
    async with asyncio.TaskGroup() as tasks:
        problem = await told(Once(runs.store, FixedClock(), tasks), runs)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.outcome) == ("QUOTE_EXPIRED", Outcome.UNKNOWN)


@pytest.mark.asyncio
async def test_of_a_long_refusal_only_what_matters_is_kept() -> None:
    runs = Refusing(Problem("NO_FEASIBLE_PATH", "no" * 400, field="limits", extra={"relaxations": ["more"] * 900}))
    async with asyncio.TaskGroup() as tasks:
        once = Once(runs.store, FixedClock(), tasks)
        await told(once, runs)
        again = await told(once, runs)
    assert isinstance(again, Problem)
    assert (again.code, again.field, len(again.detail), again.extra) == ("NO_FEASIBLE_PATH", "limits", 200, {})


@pytest.mark.asyncio
async def test_a_fault_of_ours_reaches_the_caller_and_leaves_the_others_running() -> None:
    async def main(runs: Runs, once: Once) -> None:
        async def broken() -> str:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await once.run(claim_of("ann", "k", "quote", 1), broken, runs.again)
        runs.gate.set()
        assert await once.run(claim_of("ann", "k2", "quote", 1), runs.work, runs.again) == "answer 1"

    await running(main)


class OneTurn:
    """Turns of one replica among others; `others` has it until it is set free."""

    def __init__(self, others: int = 0, *, lost: bool = False) -> None:
        self.others, self.lost = others, lost
        self.left = 0

    async def take(self, claim: Claim) -> bool:
        self.others -= 1
        return self.others < 0

    async def leave(self, claim: Claim) -> bool:
        self.left += 1
        return not self.lost


async def in_turn(turns: OneTurn, main: Callable[[Runs, Once], Awaitable[None]]) -> None:
    runs = Runs()
    runs.gate.set()
    async with asyncio.TaskGroup() as tasks:
        await main(runs, Once(runs.store, FixedClock(), tasks, turns))


@pytest.mark.asyncio
async def test_a_request_waits_for_its_turn_and_gives_it_up() -> None:
    turns = OneTurn(others=2)

    async def main(runs: Runs, once: Once) -> None:
        assert await once.run(claim_of("ann", "k", "quote", 1), runs.work, runs.again) == "answer 1"

    await in_turn(turns, main)
    assert turns.left == 1


@pytest.mark.asyncio
async def test_what_another_replica_answers_meanwhile_is_the_answer() -> None:
    async def main(runs: Runs, once: Once) -> None:
        claim = claim_of("ann", "k", "quote", 1)
        await runs.store.claim(claim, 0)
        await runs.store.answer(claim, "theirs", 0)
        assert await once.run(claim, runs.work, runs.again) == "again theirs"
        assert runs.done == 0

    await in_turn(OneTurn(others=10**9), main)


@pytest.mark.asyncio
async def test_who_lost_the_turn_gives_the_answer_that_was_bound() -> None:
    async def main(runs: Runs, once: Once) -> None:
        claim = claim_of("ann", "k", "quote", 1)

        async def overtaken() -> str:
            await runs.store.answer(claim, "theirs", 0)
            return await runs.work()

        assert await once.run(claim, overtaken, runs.again) == "again theirs"

        async def refused() -> str:
            await runs.store.answer(other, "theirs too", 0)
            raise Problem("QUOTE_USED", "somebody was faster")

        other = claim_of("ann", "l", "order", 1)
        assert await once.run(other, refused, runs.again) == "again theirs too"

    await in_turn(OneTurn(lost=True), main)


@pytest.mark.asyncio
async def test_a_refusal_stays_one_and_the_turn_is_left() -> None:
    turns = OneTurn()

    async def main(runs: Runs, once: Once) -> None:
        async def refused() -> str:
            raise Problem("QUOTE_EXPIRED", "too late")

        with pytest.raises(Problem, match="too late"):
            await once.run(claim_of("ann", "k", "order", 1), refused, runs.again)

    await in_turn(turns, main)
    assert turns.left == 1


@pytest.mark.asyncio
async def test_who_is_refused_first_reads_all_of_it_among_replicas_too() -> None:
    async def main(runs: Runs, once: Once) -> None:
        claim, binding = claim_of("ann", "k", "quote", 1), ["x" * 100] * 20

        async def refused() -> str:
            raise Problem("NO_FEASIBLE_PATH", "none", extra={"binding": binding})

        told = []
        for _ in range(2):
            with pytest.raises(Problem, match="none") as caught:
                await once.run(claim, refused, runs.again)
            told.append(caught.value.extra.get("binding"))
        assert told == [binding, None], "the first time, and where only what is short is kept"

    await in_turn(OneTurn(), main)

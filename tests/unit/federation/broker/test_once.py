from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from federation.broker.once import Once, claim_of
from schemas.problem import Problem
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
        await runs.store.answer(claim, "q-1")
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

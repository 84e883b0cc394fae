"""Long questions and short ones: who waits for whom, what a buyer may have in flight, what is said out of work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from federation.broker.market import lanes
from federation.broker.market.asking import Terms
from federation.broker.market.lanes import LONG_MAX, SEARCHES_MAX, Shared
from federation.broker.market.searching import Searching
from federation.broker.paths import effort, search
from schemas.backup import Apart, BackupRequest
from schemas.intent import Objective
from schemas.problem import Problem
from schemas.segment import Limits
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock
from tests.support.small_market import RATES, SmallMarket, intent, marks_in, small_market
from tests.unit.federation.broker.test_capabilities import sites

T = TypeVar("T")
ALL = (Objective.PRICE, Objective.LATENCY, Objective.CARBON)


class Lane:
    """A worker that does one thing after the other, and while it is `shut` does not begin the next; `done` counts."""

    def __init__(self) -> None:
        self._turn, self.open, self.waiting, self.done = asyncio.Lock(), asyncio.Event(), 0, 0
        self.open.set()

    async def __call__(self, work: Callable[[], T]) -> T:
        self.waiting += 1
        async with self._turn:
            await self.open.wait()
            self.waiting, self.done = self.waiting - 1, self.done + 1
            return work()


def world(
    main: Callable[[SmallMarket, Searching, Lane, Lane], Coroutine[Any, Any, None]],
    change: Callable[[Mapping[str, FakeOperator]], None] = lambda by_name: None,
) -> None:
    async def whole() -> None:
        clock = FixedClock()
        async with small_market(clock, change) as market:
            short, long = Lane(), Lane()
            terms = Terms(RATES, market.facts.get, marks_in(market.marks))
            searching = Searching(market.market, terms, clock, short, monotonic_us=clock.now_us, long=long)
            await main(market, searching, short, long)

    asyncio.run(whole())


async def settle() -> None:
    """Let everything go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_plain_search_waits_for_no_front() -> None:
    async def main(market: SmallMarket, searching: Searching, short: Lane, long: Lane) -> None:
        long.open.clear()
        fronts = [
            asyncio.ensure_future(searching.search(intent(), 3, front=ALL, buyer=f"buyer {number}"))
            for number in range(32)
        ]
        await settle()
        assert (long.waiting, short.done) == (32, 0), "fronts leave the short lane alone, their single paths as well"
        other = asyncio.ensure_future(searching.search(intent(), 3, buyer="ann"))
        assert (await searching.search(intent(), 3, buyer="bob")).found
        assert short.done <= 2, "one plain search before this one, and nothing else"
        assert (await other).found
        assert not any(front.done() for front in fronts)
        long.open.set()
        answers = await asyncio.gather(*fronts)
        assert all(answer.front is not None and answer.front.complete for answer in answers)
        assert short.done == 2

    world(main)


def test_a_plain_search_that_takes_long_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "SHORT_WORK", 2)

    async def main(market: SmallMarket, searching: Searching, short: Lane, long: Lane) -> None:
        answer = await searching.search(intent(), 3)
        assert answer.proven
        assert [path.segments[1].operator_name for path in answer.paths] == ["Beta", "Delta"]
        assert (short.done, long.done) == (1, 1), "two labels did not suffice, so it was asked again"
        answer = await searching.search(intent(limits=Limits(latency_us=900)), 3)
        assert [relaxation.change for relaxation in answer.relaxations] == ["accept latency of 1.01 ms (+0.11 ms)"]
        assert (short.done, long.done) == (2, 2)

    world(main)


def test_a_buyer_has_only_so_much_in_flight() -> None:
    async def main(market: SmallMarket, searching: Searching, short: Lane, long: Lane) -> None:
        long.open.clear()
        short.open.clear()
        backup = BackupRequest(apart=Apart.OPERATOR)
        under_way = [asyncio.ensure_future(searching.search(intent(), 1, front=ALL, buyer="ann"))]
        under_way += [
            asyncio.ensure_future(searching.search(intent(), 1, backup=backup, buyer="ann"))
            for _ in range(LONG_MAX - 1)
        ]
        await settle()
        with pytest.raises(Problem, match="for a front or a backup of yours are under way") as caught:
            await searching.search(intent(), 1, front=ALL, buyer="ann")
        assert (caught.value.code, caught.value.retry_after_s) == ("TOO_MANY_REQUESTS", lanes.LONG_WAIT_S)
        under_way.append(asyncio.ensure_future(searching.search(intent(), 1, front=ALL, buyer="bob")))
        for _ in range(SEARCHES_MAX - LONG_MAX):
            under_way.append(asyncio.ensure_future(searching.search(intent(), 1, buyer="ann")))
        await settle()
        with pytest.raises(Problem, match=f"{SEARCHES_MAX} searches of yours are under way") as caught:
            await searching.search(intent(), 1, buyer="ann")
        assert caught.value.retry_after_s == lanes.SEARCH_WAIT_S
        long.open.set()
        short.open.set()
        assert all(answer.found for answer in await asyncio.gather(*under_way))
        assert (await searching.search(intent(), 1, front=ALL, buyer="ann")).found, "what is answered is not in flight"

    world(main)


def test_what_a_refused_question_took_is_given_back() -> None:
    async def main(market: SmallMarket, searching: Searching, short: Lane, long: Lane) -> None:
        for _ in range(2 * SEARCHES_MAX):
            with pytest.raises(Problem) as caught:
                await searching.search(intent(z="nowhere"), 1, front=ALL, buyer="ann")
            assert caught.value.code != "TOO_MANY_REQUESTS"

    world(main)


@contextmanager
def out_of_work(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The solve for the nearest end finds one and runs out of work; whatever comes then has all that it wants."""
    with monkeypatch.context() as patch:
        whole = search._settled
        patch.setattr(search, "_settled", lambda inquiry, work: (whole(inquiry, work)[0], False))
        yield


def test_where_the_nearest_end_is_not_certain_nothing_drawn_to_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(market: SmallMarket, searching: Searching, short: Lane, long: Lane) -> None:
        backup = BackupRequest(apart=Apart.SEGMENT)
        sure = await searching.search(intent(z="nearest gpu"), 1, front=ALL, backup=backup)
        assert sure.proven
        assert sure.front is not None
        assert sure.front.complete
        assert sure.backup is not None
        assert sure.backup.proven
        with out_of_work(monkeypatch):
            doubted = await searching.search(intent(z="nearest gpu"), 1, front=ALL, backup=backup)
        assert doubted.found
        assert not doubted.proven
        assert doubted.front is not None
        assert not doubted.front.complete
        assert doubted.front.why.endswith("before it was certain which end is the nearest")
        assert doubted.backup is not None
        assert not doubted.backup.proven
        assert not doubted.backup.shared

    world(main, sites)


def test_a_kernel_is_used_by_one_lane_at_a_time() -> None:
    taken: list[str] = []

    @contextmanager
    def turn() -> Iterator[None]:
        taken.append("in")
        yield
        taken.append("out")

    class Kernel:
        def takes(self, ask: object) -> bool:
            return True

        def solve(self, *asked: object) -> None:
            taken.append("solve")

    shared = Shared(Kernel(), turn())
    assert shared.takes(None)  # type: ignore[arg-type]
    shared.solve(None, None, None, None)  # type: ignore[arg-type]
    assert taken == ["in", "solve", "out"]


def test_steps_end_the_work_before_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effort, "LEAST", 1)
    monkeypatch.setattr(effort, "EACH", 0)

    async def main(market: SmallMarket, searching: Searching, short: Lane, long: Lane) -> None:
        answer = await searching.search(intent(), 1)
        assert not answer.proven, "two labels more than a step allows"

    world(main)

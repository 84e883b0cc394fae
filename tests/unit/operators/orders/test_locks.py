"""The locks of an operator: one at a time, in turn, and handed on by whoever goes."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from operators.orders.locks import Locks
from tests.support import loops

NAMES = ("doc:1", "lease:1", "quote:1")


@given(
    wants=st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=8),
    goers=st.sets(st.integers(0, 7), max_size=4),
    turns=st.integers(0, 12),
)
def test_nobody_holds_what_another_holds_and_all_come_to_it(wants: list[set[str]], goers: set[int], turns: int) -> None:
    async def main() -> None:
        locks, held, done = Locks(), set[str](), list[int]()

        async def one(number: int, names: set[str]) -> None:
            async with locks.hold(*names):
                assert not held & names, "one at a time"
                held.update(names)
                try:
                    await asyncio.sleep(0)
                finally:
                    held.difference_update(names)
                done.append(number)

        tasks = [asyncio.ensure_future(one(number, names)) for number, names in enumerate(wants)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for number in goers & set(range(len(tasks))):
            tasks[number].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in outcomes), outcomes
        assert set(done) == {number for number, one in enumerate(outcomes) if one is None}
        assert locks._waiting == {}, "nothing is kept of locks that nobody has"

    loops.run(main())


def test_who_came_first_has_it_first() -> None:
    async def main() -> list[int]:
        locks, order = Locks(), list[int]()

        async def one(number: int) -> None:
            async with locks.hold("lease:1"):
                await asyncio.sleep(0)
                order.append(number)

        await asyncio.gather(*map(one, range(5)))
        return order

    assert loops.run(main()) == [0, 1, 2, 3, 4]

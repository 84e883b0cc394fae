"""The timers of an operator: looked at when they are due, and ended when they are told to."""

from __future__ import annotations

import asyncio

import pytest

from operators.orders.timers import Timers
from tests.support import loops
from tests.support.seams import NOW, FixedClock


@pytest.mark.parametrize("turns", range(5))
def test_a_cancellation_counts_even_when_it_comes_together_with_a_new_timer(turns: int) -> None:
    async def main() -> None:
        timers = Timers(FixedClock())
        timers.arm(NOW + 200, ("quote", "p"))
        running = asyncio.create_task(timers.run(lambda row: asyncio.sleep(0)))
        await asyncio.sleep(0.5)
        timers.arm(NOW + 100, ("quote", "q"))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=10)
        assert done, "it took the timer and not the cancellation"

    loops.run(main())


def test_it_sleeps_no_longer_than_it_is_told_to() -> None:
    async def main() -> list[float]:
        loop, clock = asyncio.get_running_loop(), FixedClock()
        timers, seen = Timers(clock, look_s=3.0), list[float]()
        begun = loop.time()

        async def step(row: tuple[str, str]) -> None:
            seen.append(loop.time() - begun)

        timers.arm(NOW + 100, ("quote", "q"))
        running = asyncio.create_task(timers.run(step))
        await asyncio.sleep(4)
        clock.advance(200)  # the clock is set while it sleeps
        await asyncio.sleep(4)
        running.cancel()
        return seen

    assert loops.run(main()) == [6.0]


def test_the_timers_of_what_is_over_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.orders.timers.GONE_MIN", 10)

    async def main() -> list[str]:
        clock, seen = FixedClock(), list[str]()
        timers = Timers(clock)

        async def step(row: tuple[str, str]) -> None:
            seen.append(row[1])

        for number in range(1_000):
            timers.arm(NOW + 86_400, ("lease", f"over-{number}"))
            timers.forget(("lease", f"over-{number}"))
            assert len(timers._heap) <= 20, "as many as there are leases, not as there were"
        for name in ("stays", "returns", "goes"):
            timers.arm(NOW + 60, ("lease", name))
        for name in ("returns", "goes"):
            timers.forget(("lease", name))
        timers.arm(NOW + 61, ("lease", "returns"))
        clock.advance(100)
        timers.look(step)
        await timers.drain()
        return seen

    assert sorted(loops.run(main())) == ["returns", "stays"]

"""The fence of an incarnation: what it holds back, and that it holds nothing back once all is over."""

from __future__ import annotations

import asyncio

from tests.simulation.world.clocks import SimLoop
from tests.simulation.world.lives import Life


async def _group(seen: list[str]) -> None:
    """A task that needs one more step to end than the cancellation itself: its children end first."""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.sleep(3600))
            await asyncio.sleep(3600)
    finally:
        seen.append("let go")


def _crashed(ends_at: int | None) -> list[str]:
    """What a crashed incarnation does when the run ends; `ends_at` is a crash at a step that it never came to."""
    seen: list[str] = []

    async def run() -> None:
        life = Life("node", ends_at)
        life.run(_group(seen))
        await asyncio.sleep(1)
        life.end()
        await asyncio.sleep(10_000)
        assert seen == [], "no finally runs in a crash"
        life.buried = True

    loop = SimLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(run())
    return seen


def test_what_is_left_of_a_crash_ends_with_the_run() -> None:
    assert _crashed(None) == ["let go"]


def test_a_crash_due_at_a_later_step_does_not_come_once_all_is_over() -> None:
    for ends_at in range(3, 9):
        assert _crashed(ends_at) == ["let go"]


def test_what_stands_goes_on_with_what_came_meanwhile() -> None:
    """In the order in which it became due; a time-out that passed is noticed then, and not before."""
    seen: list[str] = []

    async def patient(name: str, answer: asyncio.Future[str]) -> None:
        try:
            async with asyncio.timeout(10):
                seen.append(f"{name} {await answer}")
        except (TimeoutError, OSError) as error:
            seen.append(f"{name} {type(error).__name__}")

    async def run() -> None:
        life, loop = Life("node"), asyncio.get_running_loop()
        answers = {name: loop.create_future() for name in ("first", "second", "never", "broken")}
        for name, answer in answers.items():
            life.run(patient(name, answer))
        await asyncio.sleep(1)
        life.stand()
        answers["second"].set_result("answered")
        await asyncio.sleep(1)
        answers["first"].set_result("answered")
        answers["broken"].set_exception(OSError())
        await asyncio.sleep(1)
        assert seen == [], "it stands"
        life.go()
        await asyncio.sleep(0.1)
        assert seen == ["second answered", "first answered", "broken OSError"]
        life.stand()
        await asyncio.sleep(100)
        life.go()
        await asyncio.sleep(0.1)
        assert seen[3:] == ["never TimeoutError"]

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        runner.run(run())

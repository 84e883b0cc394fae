"""An event loop whose time a test moves: timers fire in order and nothing waits for real."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Where a loop would sleep until its next timer, time jumps there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.tell: Callable[[float], None] = lambda seconds: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise AssertionError("everything waits for something that will never happen")
        self.now += timeout
        self.tell(timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """Runs a whole day of timers in a moment. Threads and sockets have no place in it."""

    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        """The jumping time."""
        return self.jumping.now


def run(main: Coroutine[Any, Any, T], passes: Callable[[float], None] | None = None) -> T:
    """Run `main` to its end; `passes` is told of every jump, so that a clock can keep step."""
    loop = JumpingLoop()
    loop.jumping.tell = passes or loop.jumping.tell
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


class MovedLoop(asyncio.SelectorEventLoop):
    """Real sockets, and a clock that a test moves on: what waits for a time-out need not be waited for."""

    def __init__(self) -> None:
        self.moved_s = 0.0
        super().__init__()

    def time(self) -> float:
        """The time of the machine, and what was added to it."""
        return super().time() + self.moved_s


def run_moved(main: Callable[[MovedLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main` with the loop it may move."""
    loop = MovedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main(loop))

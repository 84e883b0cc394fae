"""Clocks over the jumping time of the loop, each as wrong as its node's."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.simulation.world.lives import fenced_tasks
from tests.support.loops import JumpingLoop
from tests.support.seams import NOW


class SimLoop(JumpingLoop):
    """A jumping loop that asks no sockets, because there are none."""

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(fenced_tasks)  # type: ignore[arg-type]
        self.jumping.select = self._select  # type: ignore[method-assign]

    def _select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits for something that will never happen")
        self.jumping.now += timeout
        return []


class SimClock:
    """The wall clock of one node; `skew_us` is how much it is ahead."""

    def __init__(self, loop: asyncio.AbstractEventLoop, skew_us: int = 0) -> None:
        self._loop, self._zero, self.skew_us = loop, loop.time(), skew_us

    def now_us(self) -> int:
        """Unix microseconds, as this node believes."""
        return NOW * 1_000_000 + round((self._loop.time() - self._zero) * 1_000_000) + self.skew_us

    def now(self) -> int:
        """Unix seconds."""
        return self.now_us() // 1_000_000

"""The steps that time makes: one heap of due seconds, one task, the injected clock.

A timer only says "look at this row now"; the row itself says whether anything is due. So timers need not be stored,
may fire twice, and are armed again from the rows after a restart. Those of rows that are over are let go in bulk, once
they are as many as the others: most leases end long before their windows do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from heapq import heapify, heappop, heappush
from typing import Final

from federation.node.seams import Clock
from schemas.problem import Problem

Row = tuple[str, str]  # a kind of row, and its id
Step = Callable[[Row], Awaitable[None]]

LOOK_S: Final = 1.0  # the longest sleep while something is armed, unless told otherwise: the clock may be set
RETRY_S: Final = 5
GONE_MIN: Final = 1_000  # rows that are over at which their timers may go
log = logging.getLogger(__name__)


class Timers:
    """Rows by the Unix second at which they want to be looked at."""

    def __init__(self, clock: Clock, look_s: float = LOOK_S) -> None:
        self._clock, self._look_s = clock, look_s
        self._heap: list[tuple[int, Row]] = []
        self._gone: set[Row] = set()
        self._armed = asyncio.Event()
        self._steps: set[asyncio.Task[None]] = set()

    def arm(self, at_s: int, row: Row) -> None:
        """Have the row looked at, at that second or as soon as it has passed."""
        self._gone.discard(row)
        first_s = self._heap[0][0] if self._heap else at_s
        heappush(self._heap, (at_s, row))
        if at_s <= max(first_s, self._clock.now()):
            self._armed.set()

    def forget(self, row: Row) -> None:
        """Look at a row no more: it is over."""
        self._gone.add(row)
        if len(self._gone) >= max(GONE_MIN, len(self._heap) // 2):
            self._heap = [timer for timer in self._heap if timer[1] not in self._gone]
            heapify(self._heap)
            self._gone.clear()

    async def run(self, step: Step) -> None:
        """Look at rows as they fall due, for as long as the operator runs."""
        while True:
            self._armed.clear()
            self.look(step)
            # No wait_for: on 3.11 it can take a cancellation that comes together with the event for the event alone.
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._armed.wait()

    def look(self, step: Step) -> None:
        """Begin the steps that are due, each for itself: one that takes long keeps no other waiting."""
        rows: dict[Row, None] = {}
        while self._heap and self._heap[0][0] <= self._clock.now():
            rows[heappop(self._heap)[1]] = None
        for row in [row for row in rows if row not in self._gone]:
            task = asyncio.ensure_future(self._one(step, row))
            self._steps.add(task)
            task.add_done_callback(self._steps.discard)

    async def drain(self) -> None:
        """Wait for the steps that have begun."""
        while self._steps:
            await asyncio.wait(self._steps)

    async def _one(self, step: Step, row: Row) -> None:
        try:
            await step(row)
        except Problem as problem:
            log.warning("%s %s waits %s s more: %s", *row, RETRY_S, problem)
            self.arm(self._clock.now() + RETRY_S, row)
        except Exception:
            log.exception("unexpected fault at %s %s", *row)
            self.arm(self._clock.now() + RETRY_S, row)

    def _pause_s(self) -> float | None:
        if not self._heap:
            return None
        return max(0.0, min(self._look_s, self._heap[0][0] - self._clock.now_us() / 1_000_000))

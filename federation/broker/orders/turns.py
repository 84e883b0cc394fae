"""Not more at once than an operator, and this broker itself, can answer in time.

A broker that starts takes up every unfinished order, and asks about each of its segments. All at once they take so long
that every call runs out of its time: each is made again, and hardly any order gets anywhere. So calls take turns, and
what brings an order nearer to its end goes first: otherwise a thousand orders are up together, and none is confirmed
in its time. Waiting for a turn counts in no time limit of a call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Final

from federation.broker.orders.saga.effects import Act, AskOutcome, DeclineHold, SendBack, SendConfirm, SendRelease

AT_ONCE: Final = 32
FIRST, SECOND, THIRD, LAST = range(4)


@dataclass
class _Line:
    """The turns at one operator: how many are free, and who waits, the next one first."""

    free: int
    waiting: list[tuple[int, int, asyncio.Future[None]]] = field(default_factory=list)


class Turns:
    """At each operator at most `at_once` turns are taken; of those who wait the most urgent is next, then the first."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._lines: dict[str, _Line] = {}
        self._numbers = count()

    @asynccontextmanager
    async def turn(self, operator: str, act: Act) -> AsyncIterator[None]:
        """The block is one turn."""
        line = self._lines.setdefault(operator, _Line(self._at_once))
        await self._take(line, _urgency(act))
        try:
            yield
        finally:
            _give(line)

    async def _take(self, line: _Line, urgency: int) -> None:
        if line.free:
            line.free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(line.waiting, (urgency, next(self._numbers), mine))
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                _give(line)  # it was our turn already
            raise


def _give(line: _Line) -> None:
    """To whoever is next, if anybody still waits."""
    while line.waiting:
        *_, next_one = heappop(line.waiting)
        if not next_one.done():
            next_one.set_result(None)
            return
    line.free += 1


def _urgency(act: Act) -> int:
    match act:
        case SendConfirm() | SendBack():
            return FIRST  # it has a time limit, and others wait for it
        case SendRelease() | DeclineHold():
            return SECOND  # it gives back what somebody may pay for
        case AskOutcome():
            return LAST  # what many orders want after a start: those that were asked about are carried on first
        case _:
            return THIRD

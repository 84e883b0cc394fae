"""One thing at a time per document, lease and quote, however many requests and timers speak of it at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Self


class Locks:
    """Locks by name, kept only while somebody holds or wants one; who came first has it first.

    Names are taken in sorted order, and `doc:` sorts before `lease:` before `quote:`; a holder that takes more later
    keeps to that order, so nobody waits in a ring.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by the names that are held

    def hold(self, *names: str) -> Holding:
        """Hold every named lock, in an `async with`."""
        return Holding(self, sorted(set(names)))

    async def take(self, name: str) -> None:
        """Have the lock, when those who came before have given it back."""
        waiting = self._waiting.get(name)
        if waiting is None:
            self._waiting[name] = deque()
            return
        turn = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back(name)  # it was handed over, to one who is not there any more
            raise

    def give_back(self, name: str) -> None:
        """Hand the lock to whoever waits for it next."""
        waiting = self._waiting[name]
        while waiting:
            if not (turn := waiting.popleft()).done():
                turn.set_result(None)
                return
        del self._waiting[name]


class Holding:
    """Some locks, in this order, until the block ends."""

    def __init__(self, locks: Locks, names: Iterable[str]) -> None:
        self._locks, self._names, self._held = locks, names, list[str]()

    async def __aenter__(self) -> Self:
        try:
            for name in self._names:
                await self._locks.take(name)
                self._held.append(name)
        except BaseException:
            self._give_back()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    def _give_back(self) -> None:
        for name in reversed(self._held):
            self._locks.give_back(name)

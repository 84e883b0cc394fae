"""Events on their way to whoever registered for them: in order per hub, again until they are taken, then forgotten.

What is to be delivered is stored in the transaction of the change that it tells of, so it outlives a kill; it is
delivered at least once. A listener that does not answer is left alone for ever longer, and keeps no other waiting;
after a day an event is news no more. Whoever missed one reads the resource: nothing depends on an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from federation.trust.fetch import Post
from schemas.problem import Problem
from schemas.segment import Id

AGAIN_S: Final = 0.5
AGAIN_S_MAX: Final = 300.0
DOUBLINGS_MAX: Final = 10
NEWS_S: Final = 86_400  # how long an event is worth telling
JSON: Final = "application/json;charset=utf-8"
log = logging.getLogger(__name__)


class Letter(NamedTuple):
    """An event to be posted: its place in the order of all, its hub, where to, its body, when it happened (Unix s)."""

    seq: int
    hub: Id
    url: str
    body: bytes
    at: int


class Outbox(Protocol):
    """What is not delivered yet, durably."""

    async def letters(self) -> Sequence[Letter]:
        """Some of them, the oldest first; the rest once these are forgotten."""
        ...

    async def forget(self, seqs: Sequence[int]) -> None:
        """Delivered, or not worth it any more."""
        ...


class Delivery:
    """Posts what lies in an outbox, by a guarded way out. `news` says that there may be more."""

    def __init__(self, outbox: Outbox, post: Post, now: Callable[[], int]) -> None:
        """`now` gives Unix seconds."""
        self._outbox, self._post, self._now = outbox, post, now
        self._news = asyncio.Event()
        self._silent: dict[Id, tuple[int, float]] = {}  # how often in a row, and until when on the loop's clock
        self._running: dict[Id, asyncio.Task[None]] = {}

    def news(self) -> None:
        """Look soon."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                self._news.clear()
                wait_s = await self.look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):  # wait_for of 3.11 can lose a cancellation
                        await self._news.wait()
        finally:
            for task in self._running.values():
                task.cancel()

    async def look(self) -> float | None:
        """Begin to deliver what can be; how long until the next try, None where nothing waits for one."""
        try:
            letters = await self._outbox.letters()
        except Problem as problem:
            log.warning("events wait: %s", problem)
            return AGAIN_S_MAX
        now = asyncio.get_running_loop().time()
        hubs: dict[Id, list[Letter]] = {}
        for letter in letters:
            hubs.setdefault(letter.hub, []).append(letter)
        for hub, theirs in hubs.items():
            if hub not in self._running and self._silent.get(hub, (0, 0.0))[1] <= now:
                task = asyncio.ensure_future(self._deliver(hub, theirs))
                self._running[hub] = task
                task.add_done_callback(lambda done, hub=hub: self._ended(hub, done))  # type: ignore[misc]
        waits = [until - now for hub, (_, until) in self._silent.items() if hub in hubs and until > now]
        return min(waits) if waits else None

    async def settled(self) -> None:
        """Once nothing is being delivered: for tests."""
        while self._running:
            await asyncio.wait([*self._running.values()])
            await asyncio.sleep(0)

    def _ended(self, hub: Id, done: asyncio.Task[None]) -> None:
        self._running.pop(hub, None)
        if not done.cancelled() and (fault := done.exception()) is not None:
            log.error("a fault in telling hub %s", hub, exc_info=fault)
            self._leave_alone(hub)
        self._news.set()

    async def _deliver(self, hub: Id, letters: Sequence[Letter]) -> None:
        """In order; the first that is not taken stops the rest, and so does one that cannot be forgotten: it would be
        told as fast as it is taken."""
        for letter in letters:
            if self._now() - letter.at < NEWS_S and not await self._taken(letter):
                return self._leave_alone(hub)
            try:
                await self._outbox.forget([letter.seq])
            except Problem as problem:
                log.warning("an event will be told again: %s", problem)
                return self._leave_alone(hub)
            self._silent.pop(hub, None)
        return None

    def _leave_alone(self, hub: Id) -> None:
        times = self._silent.get(hub, (0, 0.0))[0] + 1
        wait_s = min(AGAIN_S * 2 ** min(times, DOUBLINGS_MAX), AGAIN_S_MAX)
        self._silent[hub] = times, asyncio.get_running_loop().time() + wait_s

    async def _taken(self, letter: Letter) -> bool:
        try:
            answer = await self._post.post(letter.url, letter.body, JSON)
        except Problem as problem:
            log.debug("an event was not taken: %s", problem)
            return False
        return 200 <= answer.status < 300

"""What is known of one quote that operators take long for, each time written down before it counts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.waiting import Question, Waiting, WaitingStore
from schemas.problem import Outcome, Problem

AGAIN_S: Final = 1.0
AGAIN_S_MAX: Final = 60.0
log = logging.getLogger(__name__)


class TakenOver(Exception):
    """Another broker carries this quote now."""


class Journal:
    """What is known of one quote, each time written down before it counts."""

    def __init__(self, store: WaitingStore, waiting: Waiting, now: Callable[[], int], by: str = "") -> None:
        self.waiting, self._store, self._now, self._by = waiting, store, now, by
        self.settled, self.deferred = asyncio.Event(), asyncio.Event()
        self.sealing: asyncio.Task[None] | None = None  # the quote on its way into the store
        self._turn = asyncio.Lock()
        self._doubtful: list[Waiting] = []  # versions that may have been written, and nobody could say so

    async def begin(self, claim: Claim | None) -> None:
        """The first version, or the one with which it is taken over. Raises `UNAVAILABLE`, `TakenOver`."""
        async with self._turn:
            await self._put({}, claim)

    async def write(self, **changes: Any) -> None:
        """The next version; while it cannot be written nothing goes on. Raises `TakenOver`."""
        pause_s = AGAIN_S
        async with self._turn:
            while True:
                try:
                    return await self._put(changes, None)
                except Problem as problem:
                    log.warning("quote %s waits for its store: %s", self.waiting.id, problem)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, AGAIN_S_MAX)

    async def note(self, questions: tuple[Question, ...], held: tuple[HeldQuote, ...]) -> None:
        """Who was asked what, and who holds what."""
        await self.write(questions=questions, held=held)
        if any(question.quote_id is not None for question in questions):
            self.deferred.set()

    async def _put(self, changes: dict[str, Any], claim: Claim | None) -> None:
        """Once begun it is waited for: the store goes on though its caller is cancelled, and the version after a lost
        one would look like another broker's."""
        putting = asyncio.ensure_future(self._stored(changes, claim))
        try:
            await asyncio.shield(putting)
        except asyncio.CancelledError:
            await asyncio.gather(putting, return_exceptions=True)
            raise

    async def _stored(self, changes: dict[str, Any], claim: Claim | None) -> None:
        present = self.waiting
        after = structs.replace(present, **changes, version=present.version + 1, beat_s=self._now(), by=self._by)
        try:
            written = await self._store.put_waiting(after, claim)
        except Problem as problem:
            if problem.outcome is Outcome.UNKNOWN:
                self._doubtful.append(after)
            raise
        if written:
            self.waiting, self._doubtful = after, []
        elif await self._was_ours():
            await self._stored(changes, claim)
        else:
            raise TakenOver(present.id)

    async def _was_ours(self) -> bool:
        """Whether the version that is there now is one of ours whose answer was lost; then it counts."""
        found = await self._store.get_waiting(self.waiting.buyer, self.waiting.id) if self._doubtful else None
        if found is None or found not in self._doubtful:
            return False
        self.waiting, self._doubtful = found, []
        return True

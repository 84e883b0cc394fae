"""What a broker forgets by itself: idempotency keys that nobody repeats any more, quotes that came to nothing, texts
that only these rested on, tokens by which nothing was ordered, and who was who when no receipt is valid any more that
was signed then.

Orders, their documents, and what they rest on are kept. A little at a time, so that nobody who buys waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from federation.broker.sweeping.office import Office, always, pause
from federation.node.seams import Clock
from schemas.order import RECEIPT_LIFE_S
from schemas.problem import Problem
from schemas.segment import WINDOW_S_MAX

CLAIMS_KEPT_S: Final = 7 * 86_400  # a request repeated with its key finds its answer for so long
QUOTES_KEPT_S: Final = 86_400  # after they expired
TEXTS_KEPT_S: Final = 3 * 86_400  # after the last quote that rested on them, known to the day
CHAINS_KEPT_S: Final = RECEIPT_LIFE_S + WINDOW_S_MAX  # a receipt is signed at the end of a lease
TEXTS_EVERY_S: Final = 86_400
EVERY_S: Final = 3_600.0
AT_ONCE: Final = 100
PAUSE_S: Final = 0.05
log = logging.getLogger(__name__)


class PruneStore(Protocol):
    """What can be forgotten. Each call is one transaction, and forgets at most `limit`."""

    async def prune_claims(self, before_s: int, limit: int) -> int:
        """Forget idempotency keys that were taken before this Unix second; how many."""
        ...

    async def prune_quotes(self, before_s: int, limit: int) -> int:
        """Forget quotes that expired before this Unix second and were never ordered, with the documents that belong to
        them alone; how many."""
        ...

    async def prune_texts(self, before_s: int, limit: int) -> int:
        """Look at the next texts that quotes rest on, and forget those that no quote has rested on since this Unix
        second, that was not ordered, and none that was; how many were looked at, fewer at the end."""
        ...

    async def prune_tokens(self, before_s: int, limit: int) -> int:
        """Look at the next tokens from before this Unix second, and forget those that no order needs; how many were
        looked at, fewer at the end. After `prune_texts` up to the same second."""
        ...

    async def prune_chains(self, before_s: int, limit: int) -> int:
        """Forget who was who before this Unix second; how many chains."""
        ...


class Housekeeping:
    """One broker's; where it has replicas, that of the one that holds `office`."""

    def __init__(self, store: PruneStore, clock: Clock, office: Office = always) -> None:
        self._store, self._clock, self._office = store, clock, office
        self._texts_from_s = 0

    async def run(self) -> None:
        """Forget, again and again, until cancelled."""
        while True:
            held = True
            try:
                if held := await self._office():
                    await self.tidy()
            except Problem as problem:
                log.warning("nothing forgotten: %s", problem)
            await pause(held, EVERY_S)

    async def tidy(self) -> int:
        """Forget everything that is old enough now; how much. Raises `UNAVAILABLE`."""
        now = self._clock.now()
        forgotten = await self._through(self._store.prune_claims, now - CLAIMS_KEPT_S)
        forgotten += await self._through(self._store.prune_quotes, now - QUOTES_KEPT_S)
        if now >= self._texts_from_s:
            self._texts_from_s = now + TEXTS_EVERY_S
            forgotten += await self._through(self._store.prune_chains, now - CHAINS_KEPT_S)
            await self._through(self._store.prune_texts, now - TEXTS_KEPT_S)
            await self._through(self._store.prune_tokens, now - TEXTS_KEPT_S)
        return forgotten

    async def _through(self, prune: Callable[[int, int], Awaitable[int]], before_s: int) -> int:
        """All of a kind, piece by piece."""
        done = 0
        while count := await prune(before_s, AT_ONCE):
            done += count
            if count < AT_ONCE:
                break
            await asyncio.sleep(PAUSE_S)
        return done

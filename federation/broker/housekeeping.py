"""What a broker forgets by itself: idempotency keys that nobody repeats any more, and quotes that came to nothing.

Orders, their documents, and what they rest on are kept. A little at a time, so that nobody who buys waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from federation.broker.sweeping.office import Office, always, pause
from federation.node.seams import Clock
from schemas.problem import Problem

CLAIMS_KEPT_S: Final = 7 * 86_400  # a request repeated with its key finds its answer for so long
QUOTES_KEPT_S: Final = 86_400  # after they expired
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


class Housekeeping:
    """One broker's; where it has replicas, that of the one that holds `office`."""

    def __init__(self, store: PruneStore, clock: Clock, office: Office = always) -> None:
        self._store, self._clock, self._office = store, clock, office

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
        now, forgotten = self._clock.now(), 0
        for prune, kept_s in ((self._store.prune_claims, CLAIMS_KEPT_S), (self._store.prune_quotes, QUOTES_KEPT_S)):
            while count := await prune(now - kept_s, AT_ONCE):
                forgotten += count
                if count < AT_ONCE:
                    break
                await asyncio.sleep(PAUSE_S)
        return forgotten

"""The trust domain as this operator last read it, and who is told when it has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from federation.node.seams import Clock
from federation.trust.chain import TrustDomain
from schemas.problem import Problem

REREAD_S: Final = 30  # how old a copy may be
log = logging.getLogger(__name__)


class Membership:
    """`domain` is what is believed now; `read` reads it again."""

    def __init__(self, read: Callable[[], TrustDomain], clock: Clock) -> None:
        self._read, self._clock = read, clock
        self._told: list[Callable[[TrustDomain], None]] = []
        self.domain, self._read_at = read(), clock.now()

    def on_change(self, tell: Callable[[TrustDomain], None]) -> None:
        """Have `tell` called with the present domain, and with every other one."""
        tell(self.domain)
        self._told.append(tell)

    def again(self) -> TrustDomain:
        """The domain, read anew where the copy is older than `REREAD_S`: members come, and renew what they say."""
        if self._clock.now() - self._read_at >= REREAD_S:
            self.refresh()
        return self.domain

    def refresh(self) -> None:
        """Read it now. Raises `Problem`."""
        found, self._read_at = self._read(), self._clock.now()
        changed, self.domain = found != self.domain, found
        if changed:
            for tell in self._told:
                tell(found)

    async def run(self) -> None:
        """Read it again and again until cancelled; what cannot be read leaves what was."""
        while True:
            await asyncio.sleep(REREAD_S)
            try:
                self.again()
            except Problem as problem:
                log.warning("the trust domain cannot be read: %s", problem)

"""Keeps who was who: every chain that this broker ever believed, so that what was signed then can be verified later.

A chain is written down within moments of being believed. While the store cannot, it is tried again; nothing waits for
it, and a quote keeps the chains that it rests on by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from federation.broker.authority.filing import Chronicle
from federation.node.seams import Clock
from federation.trust.chain import TrustDomain
from schemas.problem import Problem

AGAIN_S: Final = 5.0
log = logging.getLogger(__name__)


class Standing:
    """Follows a trust domain; `run` writes until cancelled."""

    def __init__(self, chronicle: Chronicle, clock: Clock) -> None:
        self._chronicle, self._clock = chronicle, clock
        self._believed: Mapping[str, tuple[str, ...]] = {}
        self._written: dict[str, tuple[str, ...]] = {}
        self._changed = asyncio.Event()

    def follow(self, domain: TrustDomain) -> None:
        """What is believed now."""
        self._believed = domain.chains
        self._changed.set()

    async def run(self) -> None:
        """Write what is new, whenever there is something."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.write()
            except Problem as problem:
                log.warning("who is who cannot be kept yet: %s", problem)
                self._changed.set()
                await asyncio.sleep(AGAIN_S)

    async def write(self) -> None:
        """Write the chains that differ from those written last. Raises `UNAVAILABLE`."""
        new = {name: tokens for name, tokens in self._believed.items() if self._written.get(name) != tokens}
        if new:
            await self._chronicle.put_chains(self._clock.now(), new)
            self._written |= new

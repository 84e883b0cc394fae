"""One operator's sheet, kept fresh: fetched, followed by its deltas, fetched again on a gap, dropped when it expires.

A broken stream says nothing about the offers: the last sheet stands until its manifest expires. Neither does a fault
of this broker in the watch: it is logged, the operator is absent because of it, and everybody else goes on.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Final, Protocol

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from federation.broker.discovery.pace import pause_s
from federation.broker.discovery.sheet import OperatorSheet, apply, sheet_from_pages
from federation.broker.peers.protocols import OperatorPeer
from federation.node.limits import SECOND_US, Buckets, Rate
from federation.node.seams import Clock, Entropy
from schemas.offer import Manifest
from schemas.problem import Problem

REFRESH_SHARE: Final = 0.5
STEADY_S: Final = 5.0
DELTAS: Final = Rate(per_second=100, burst=1_000)  # of one operator: each is verified and applied
log = logging.getLogger(__name__)


class Board(Protocol):
    """Where a watch puts what it learns."""

    def put(self, sheet: OperatorSheet) -> None:
        """This is the operator's sheet now, and the operator answers."""
        ...

    def absent(self, entity: str, why: str, *, drop: bool) -> None:
        """The operator does not answer; with `drop`, its sheet has expired too."""
        ...


class Watch:
    """Keeps the sheet of one operator on the board."""

    def __init__(self, peer: OperatorPeer, board: Board, clock: Clock, entropy: Entropy) -> None:
        self._peer, self._board, self._clock, self._entropy = peer, board, clock, entropy
        self._manifest: Manifest | None = None
        self._fault = ""

    async def run(self) -> None:
        """Fetch and follow, for ever. Ends only by cancellation; a round that went well starts the waits anew."""
        while True:
            rounds = AsyncRetrying(
                sleep=asyncio.sleep,
                retry=retry_if_exception_type(Exception),
                wait=self._pause,
                before_sleep=self._failed,
            )
            async for attempt in rounds:
                with attempt:
                    await self._round()

    async def _round(self) -> None:
        """One sheet and what follows it, until a fresh one is due. Raises `Problem` where it broke early."""
        loop = asyncio.get_running_loop()
        sheet, refresh_s = await self._fetch()
        begun = loop.time()
        try:
            async with asyncio.timeout(refresh_s):
                await self._follow(sheet)
        except TimeoutError:
            log.debug("offers of %s: time for a fresh manifest", self._peer.entity)
        except Problem as problem:
            log.info("offers of %s: %s", self._peer.entity, problem)
            if loop.time() - begun < STEADY_S:
                raise

    async def _fetch(self) -> tuple[OperatorSheet, float]:
        """The current sheet, now on the board, and for how many seconds to follow it."""
        found = await self._peer.sheet()
        if self._manifest is not None and found.manifest.iat < self._manifest.iat:
            raise Problem("DOCUMENT_INVALID", "the manifest is older than the one before it")
        sheet = sheet_from_pages(found.manifest, list(found.pages), self._peer.name)
        self._manifest = found.manifest
        self._board.put(sheet)
        return sheet, max(1.0, (found.manifest.exp - self._clock.now()) * REFRESH_SHARE)

    async def _follow(self, sheet: OperatorSheet) -> None:
        """Apply deltas as they come, at a pace that leaves room for others. Never returns: a gap, a version too old, a
        broken or ended stream all raise."""
        pace, loop = Buckets(DELTAS), asyncio.get_running_loop()
        async with aclosing(self._peer.watch(sheet.version)) as deltas:
            async for delta in deltas:
                sheet = apply(sheet, delta)
                self._board.put(sheet)
                if wait_s := pace.take(sheet.entity, round(loop.time() * SECOND_US)):
                    await asyncio.sleep(wait_s)
        raise Problem("OPERATOR_UNREACHABLE", f"{self._peer.name} ended its stream of offers")

    def _pause(self, state: RetryCallState) -> float:
        return pause_s(state.attempt_number, self._entropy.token())

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        expired = self._manifest is not None and self._clock.now() >= self._manifest.exp
        why = error.detail if isinstance(error, Problem) else self._told(error)
        self._board.absent(self._peer.entity, why, drop=expired)

    def _told(self, fault: BaseException | None) -> str:
        """What is said of a fault of ours; the same one is written down in full only once."""
        if repr(fault) != self._fault:
            self._fault = repr(fault)
            log.error("a fault in watching the offers of %s", self._peer.entity, exc_info=fault)
        return f"a fault of this broker ({type(fault).__name__}), which its log explains"

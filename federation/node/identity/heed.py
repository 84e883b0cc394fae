"""Keys that a member uses before this node has read of them: what it says of itself is read again, once.

A member should publish a key a day before it signs with it. One that lost a key cannot, and would be refused for as
long as what was read of it counts. So a document that names an unknown key of a known member is a reason to read that
member again. Anybody can name keys, so that costs one reading in `AGAIN_S` for each member, whatever comes; and only
what the member itself sent is a reason, so that nobody uses up another's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from federation.node.identity.membership import Membership
from federation.node.seams import Clock
from federation.trust.jose import claimed_kid

AGAIN_S: Final = 30.0
log = logging.getLogger(__name__)


class Heed:
    """Ask it before a document of a member is verified."""

    def __init__(self, members: Membership, clock: Clock) -> None:
        self._members, self._clock = members, clock
        self._read_at: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    async def __call__(self, entity: str, token: str) -> None:
        """Know the keys of `entity`, which sent `token`, as well as can be. Returns at once where its key is known."""
        member = self._members.domain.members.get(entity)
        if member is None or member.exp <= self._clock.now():
            return
        kid = claimed_kid(token)
        if kid is None or kid in member.keys:
            return
        if entity not in self._running and not self._begin(entity):
            return
        await asyncio.shield(self._running[entity])

    def _begin(self, entity: str) -> bool:
        """Whether it is read now."""
        now = asyncio.get_running_loop().time()
        if now - self._read_at.get(entity, -AGAIN_S) < AGAIN_S:
            return False
        self._read_at = {one: at for one, at in self._read_at.items() if now - at < AGAIN_S} | {entity: now}
        task = asyncio.get_running_loop().create_task(self._read(entity), name=f"read {entity} again")
        self._running[entity] = task
        task.add_done_callback(lambda _: self._running.pop(entity, None))
        return True

    async def _read(self, entity: str) -> None:
        log.info("%s signs with a key that is not known here; it is read again", entity)
        try:
            await self._members.reread(entity)
        except Exception:
            log.exception("a fault in reading %s again; what was believed stays", entity)

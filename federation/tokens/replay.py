"""What was seen before: a proof, an assertion or a grant counts once.

A filter remembers an id until it would be refused for its age anyway, and never forgets one earlier: a filter that is
full refuses what is new. `sqlite` keeps one on disk.
"""

from __future__ import annotations

import hashlib
import heapq
from typing import Final, Protocol

from schemas.problem import Problem

LIVE_MAX: Final = 200_000


class Replay(Protocol):
    """A filter of ids."""

    async def first(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """True the first time that `iss` shows this `jti` in this role; it is remembered until `until`, a Unix second
        after which it would be refused anyway. Raises `Problem` where it cannot be remembered: then refuse."""
        ...


def replay_key(role: str, iss: str, jti: str) -> bytes:
    """What a filter keeps of an id: 32 bytes, whatever came in. Lengths go in, so that no two ids read alike."""
    parts = (role.encode(), iss.encode(), jti.encode())
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


class Seen:
    """A filter in memory, for one process: bounded, and without a wait, so that `admit` can ask it."""

    def __init__(self, live_max: int = LIVE_MAX) -> None:
        self._live_max = live_max
        self._live: set[bytes] = set()
        self._ends: list[tuple[int, bytes]] = []

    def add(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """See `Replay.first`. Raises `TOO_MANY_REQUESTS` when full."""
        while self._ends and self._ends[0][0] < now:
            self._live.discard(heapq.heappop(self._ends)[1])
        key = replay_key(role, iss, jti)
        if key in self._live:
            return False
        if len(self._live) >= self._live_max:
            raise Problem("TOO_MANY_REQUESTS", "too many ids are remembered now", retry_after_s=1)
        self._live.add(key)
        heapq.heappush(self._ends, (until, key))
        return True

    def restore(self, key: bytes, until: int) -> None:
        """What a filter on disk remembers of before."""
        if key not in self._live:
            self._live.add(key)
            heapq.heappush(self._ends, (until, key))

    async def first(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """See `Replay.first`."""
        return self.add(role, iss, jti, until=until, now=now)

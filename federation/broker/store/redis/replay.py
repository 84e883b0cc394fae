"""The replay filter that replicas share: what one of them saw, all of them saw."""

from __future__ import annotations

from typing import Final

from federation.broker.store.redis.keys import Keyspace, Transaction, named
from federation.tokens.replay import replay_key

SLACK_S: Final = 60  # between the clocks of replicas


class ReplayKeys:
    """Implements `Replay`. The server forgets an id by itself, a little after it would be refused for its age."""

    def __init__(self, space: Keyspace) -> None:
        self._space = space

    async def first(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """See `Replay.first`."""
        name = named("replay", replay_key(role, iss, jti).hex())

        async def work(transaction: Transaction) -> bool:
            (seen,) = await transaction.get(name)
            if seen is None:
                transaction.put(name, "1", ttl_s=max(0, until - now) + 1 + SLACK_S)
            return seen is None

        return await self._space.transact(work)

"""What one replica at a time may do: kept for a while, and for as long as it says that it still wants it.

A lease says who may begin. Whoever was stopped and wakes up believes for a moment what is no longer so; therefore what
is done under a lease is also safe to do twice, and an office has a token that grows with every holder, to be compared
where something is written.
"""

from __future__ import annotations

from typing import Final

from federation.broker.quotes.protocols import Claim
from federation.broker.store.redis.keys import named
from federation.broker.store.redis.server import Server
from schemas.problem import Problem

# What an earlier life of the same replica held (`lives.py`) is free.
TAKE: Final = """
local holder = redis.call('HGET', KEYS[1], 'holder')
if holder and holder ~= ARGV[1] then
  local whose, life = string.match(holder, '^(.+)%.(%d+)$')
  local mine, now = string.match(ARGV[1], '^(.+)%.(%d+)$')
  if not whose or whose ~= mine or tonumber(life) > tonumber(now) then return 0 end
  holder = nil
end
if not holder then redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'token', redis.call('INCR', KEYS[2])) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tonumber(redis.call('HGET', KEYS[1], 'token'))
"""
DROP: Final = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class Leases:
    """Leases of one replica, by name."""

    def __init__(self, server: Server, prefix: str, replica: str, ttl_ms: int) -> None:
        self._server, self._prefix, self._replica, self._ttl_ms = server, prefix, replica, ttl_ms

    async def take(self, name: str) -> int:
        """The token of a lease that is ours from now on, or again; 0 where it is another's. Raises `UNAVAILABLE`."""
        keys = (f"{self._prefix}lease:{name}", f"{self._prefix}lease-tokens")
        (token,) = await self._server.ask([("EVAL", TAKE, 2, *keys, self._replica, self._ttl_ms)])
        return int(token)

    async def drop(self, name: str) -> bool:
        """Give a lease up; false where it was not ours any more. Raises `UNAVAILABLE`."""
        (dropped,) = await self._server.ask([("EVAL", DROP, 1, f"{self._prefix}lease:{name}", self._replica)])
        return bool(dropped)


class Leadership:
    """Offices that one replica holds at a time."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held: set[str] = set()

    async def lead(self, office: str) -> int:
        """The token of an office that this replica holds now, larger than that of any holder before; 0 while another
        holds it. Raises `UNAVAILABLE`.
        """
        token = await self._leases.take(named("office", office))
        (self._held.add if token else self._held.discard)(office)
        return token

    async def keep(self) -> None:
        """Say that offices are still held; more often than a lease lasts. Raises `UNAVAILABLE`."""
        for office in [*self._held]:
            await self.lead(office)

    async def resign(self) -> None:
        """Another replica may have them at once. Raises `UNAVAILABLE`."""
        while self._held:
            await self._leases.drop(named("office", self._held.pop()))


class SharedTurns:
    """Implements `Turns`: a request is some replica's until it has its answer, or the replica is gone."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._held: set[str] = set()

    async def take(self, claim: Claim) -> bool:
        """See `Turns.take`."""
        name = named("turn", claim.buyer, claim.key)
        taken = await self._leases.take(name) > 0
        if taken:
            self._held.add(name)
        return taken

    async def leave(self, claim: Claim) -> bool:
        """See `Turns.leave`."""
        name = named("turn", claim.buyer, claim.key)
        self._held.discard(name)
        try:
            return await self._leases.drop(name)
        except Problem:
            return False

    async def keep(self) -> None:
        """Say that requests under way are so still. Raises `UNAVAILABLE`."""
        for name in [*self._held]:
            await self._leases.take(name)
            if name not in self._held:
                await self._leases.drop(name)  # left meanwhile

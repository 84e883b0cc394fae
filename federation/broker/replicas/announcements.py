"""The stream of orders that somebody has to carry, and the consumer group that says who does.

An entry names an order and its buyer. It is read for the replica that adds it in the same step, so none waits to be
picked up. A replica keeps its entries by reading them again, which is how Redis resets their idle time without a write;
what was not read for long is claimed by whoever notices (`XAUTOCLAIM`). An entry goes when its order is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from federation.broker.store.redis.pipe import Command
from federation.broker.store.redis.server import Server

GROUP: Final = "replicas"
PAGE: Final = 1000  # entries in one answer
HANDED_BACK_MS: Final = 86_400_000  # the idle time of what a stopping replica gives up: longer than anybody waits
GONE_MS: Final = 86_400_000  # a replica without entries that was not heard of for so long is forgotten
# The stream comes and stays with its group. A script that only looks leaves nothing for the server to write.
OPEN: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM') end
return 1
"""
ADD: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM') end
redis.call('XADD', KEYS[1], '*', 'buyer', ARGV[3], 'order', ARGV[4])
redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'STREAMS', KEYS[1], '>')
return 1
"""
# What earlier lives of a replica had (`lives.py`); the names are judged there, and here only moved.
INHERIT: Final = """
local moved = 0
for place = 3, #ARGV do
  while true do
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 500, ARGV[place])
    if #pending == 0 then break end
    local claim = {'XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0}
    for _, one in ipairs(pending) do claim[#claim + 1] = one[1] end
    claim[#claim + 1] = 'JUSTID'
    redis.call(unpack(claim))
    moved = moved + #pending
  end
  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[place])
end
return moved
"""
TIDY: Final = """
for _, found in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local one = {}
  for place = 1, #found, 2 do one[found[place]] = found[place + 1] end
  if one['pending'] == 0 and one['idle'] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], one['name'])
  end
end
return 1
"""


class Announced(NamedTuple):
    """An order that somebody has to carry, and the entry that says so."""

    entry: str
    buyer: str
    order_id: str


class Announcements:
    """The stream as one replica sees it. Every method raises `UNAVAILABLE`."""

    def __init__(self, server: Server, prefix: str, replica: str) -> None:
        self._server, self._key, self._replica = server, f"{prefix}to-carry", replica

    @property
    def server(self) -> str:
        """Which server answered last: one that came back, or took the place of another, does not know who looked."""
        return self._server.life

    async def add(self, buyer: str, order_id: str) -> None:
        """Announce an order, and have it. Twice is harmless."""
        await self._server.write([("EVAL", ADD, 1, self._key, GROUP, self._replica, buyer, order_id)])

    async def mine(self) -> list[Announced]:
        """What this replica has, kept by looking at it."""
        found: list[Announced] = []
        page: list[Announced] | None = None
        while page is None or len(page) == PAGE:
            after = found[-1].entry if found else "0"
            read: Command = (
                *("XREADGROUP", "GROUP", GROUP, self._replica, "COUNT", PAGE),
                *("STREAMS", self._key, after),
            )
            _, answer = await self._server.ask([("EVAL", OPEN, 1, self._key, GROUP), read])
            page = _entries(answer[0][1]) if answer else []
            found += page
        return found

    async def take_over(self, idle_ms: int, count: int) -> int:
        """Have what nobody looked at for so long: so many, or some more, but fewer than twice as many. The server looks
        through ten times `count` entries at once and says where it stopped, so what others keep hides nothing. Returns
        how many those are.
        """
        after, had = "0-0", 0
        while had < count:
            claim: Command = ("XAUTOCLAIM", self._key, GROUP, self._replica, idle_ms, after, "COUNT", count, "JUSTID")
            _, (after, found, *_) = await self._server.ask([("EVAL", OPEN, 1, self._key, GROUP), claim])
            had += len(found)
            if after == "0-0":
                break
        return had

    async def heard(self, within_ms: int) -> frozenset[str]:
        """The replicas that looked within so long."""
        return frozenset(name for name, idle_ms in (await self._replicas()).items() if idle_ms < within_ms)

    async def inherit(self, earlier: Callable[[str], bool]) -> int:
        """Have all that replicas had of which `earlier` says that they are gone, and say how much that is."""
        names = [name for name in await self._replicas() if earlier(name)]
        if not names:
            return 0
        (moved,) = await self._server.ask([("EVAL", INHERIT, 1, self._key, GROUP, self._replica, *names)])
        return int(moved)

    async def _replicas(self) -> dict[str, int]:
        """Those that have, or had, something, and since how many milliseconds nobody heard of them."""
        asked: list[Command] = [("EVAL", OPEN, 1, self._key, GROUP), ("XINFO", "CONSUMERS", self._key, GROUP)]
        _, found = await self._server.ask(asked)
        told = (dict(zip(one[::2], one[1::2], strict=True)) for one in found)
        return {str(one["name"]): int(one["idle"]) for one in told}

    async def drop(self, entries: Sequence[str]) -> None:
        """Nobody has to carry these any more. In this order, so that what is done by half is ours still, and seen."""
        if entries:
            await self._server.ask([("XDEL", self._key, *entries), ("XACK", self._key, GROUP, *entries)])

    async def hand_back(self, entries: Sequence[str]) -> None:
        """Whoever looks next may have these at once."""
        if entries:
            idle = ("IDLE", HANDED_BACK_MS, "JUSTID")
            await self._server.ask([("XCLAIM", self._key, GROUP, self._replica, 0, *entries, *idle)])

    async def all(self) -> list[Announced]:
        """All that is announced, the oldest first."""
        found: list[Announced] = []
        page: list[Announced] | None = None
        while page is None or len(page) == PAGE:
            after = f"({found[-1].entry}" if found else "-"
            (answer,) = await self._server.ask([("XRANGE", self._key, after, "+", "COUNT", PAGE)])
            page = _entries(answer)
            found += page
        return found

    async def tidy(self) -> None:
        """Forget replicas that are gone and have nothing."""
        await self._server.ask([("EVAL", OPEN, 1, self._key, GROUP), ("EVAL", TIDY, 1, self._key, GROUP, GONE_MS)])


def _entries(answer: Iterable[Any]) -> list[Announced]:
    """Entries with what they say; one that was removed while it was somebody's has nothing left."""
    found = []
    for entry, said in answer:
        words = dict(zip(said[::2], said[1::2], strict=True)) if said else {}
        found.append(Announced(entry, words.get("buyer", ""), words.get("order", "")))
    return found

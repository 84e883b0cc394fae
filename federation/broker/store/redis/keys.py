"""Keys and transactions over them: what every store in this folder is made of.

A transaction reads keys, decides in Python (the rules are the same as over SQLite), and gathers what to write. One
script then writes all of it, if what was read is still so, or nothing; whoever lost a race decides again. So a method
of a store is one atomic step on the server, whatever other replicas do meanwhile. All keys of a broker share one hash
tag, so they stand in one slot of a Redis Cluster.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import cache
from importlib import resources
from typing import Final, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from federation.broker.store.redis.pipe import Command
from federation.broker.store.redis.server import Server, unavailable
from federation.node.seams import Entropy
from schemas.problem import Outcome, Problem
from schemas.segment import EntityId

T = TypeVar("T")
MARK_S: Final = 300  # far longer than a commit is sent again
TRIES_MAX: Final = 64
CHUNK: Final = 256  # keys read at once
BELOW: Final = """
local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
if not rank then return {} end
return redis.call('ZREVRANGE', KEYS[1], rank + 1, rank + ARGV[2])
"""


class Step(NamedTuple):
    """One line of a commit: what is expected of a key, or done to it; see `commit.lua`."""

    what: str
    key: str
    a: str = ""
    b: str = ""


class Keys(Protocol):
    """Where keys are kept. Every method raises `UNAVAILABLE`."""

    @property
    def followed(self) -> bool:
        """Whether servers follow this one: what was read may be known to it alone until a later commit is durable."""
        ...

    async def get(self, names: Sequence[str]) -> list[str | None]:
        """The values of keys at one moment."""
        ...

    async def ranked(self, name: str, first: int = 0, last: int = -1) -> list[str]:
        """Members of a ranked set by score and then by name; -1 is the last one."""
        ...

    async def below(self, name: str, member: str | None, count: int) -> list[str]:
        """At most so many members from the highest on; with `member` those below it, none if it is not there."""
        ...

    async def between(self, name: str, least: int, most: int) -> list[str]:
        """Members whose score lies between two."""
        ...

    async def scores(self, name: str, members: Sequence[str]) -> list[int | None]:
        """The scores of members, of those that it has."""
        ...

    async def commit(self, steps: Sequence[Step]) -> bool:
        """Do all of it, or nothing where something expected is not so: then false. Durable when it returns true; the
        outcome of the problem says what is known where it raises."""
        ...


def named(*parts: str) -> str:
    """The name of a key; no two lists of parts have the same."""
    return ":".join(quote(part, safe="") for part in parts)


class RedisKeys:
    """Implements `Keys` on a server."""

    def __init__(self, server: Server, entity: EntityId, entropy: Entropy) -> None:
        self.server, self._prefix, self._entropy = server, prefix(entity), entropy
        self._digest = hashlib.sha1(commit_script().encode(), usedforsecurity=False).hexdigest()

    @property
    def followed(self) -> bool:
        """See `Keys`."""
        return self.server.followed

    async def get(self, names: Sequence[str]) -> list[str | None]:
        """See `Keys.get`."""
        if not names:
            return []
        (found,) = await self.server.ask([("MGET", *map(self._full, names))])
        return list(found)

    async def ranked(self, name: str, first: int = 0, last: int = -1) -> list[str]:
        """See `Keys.ranked`."""
        (found,) = await self.server.ask([("ZRANGE", self._full(name), first, last)])
        return list(found)

    async def below(self, name: str, member: str | None, count: int) -> list[str]:
        """See `Keys.below`."""
        if member is None:
            (found,) = await self.server.ask([("ZREVRANGE", self._full(name), 0, count - 1)])
            return list(found)
        (found,) = await self.server.ask([("EVAL", BELOW, 1, self._full(name), member, count)])
        return list(found)

    async def between(self, name: str, least: int, most: int) -> list[str]:
        """See `Keys.between`."""
        (found,) = await self.server.ask([("ZRANGEBYSCORE", self._full(name), least, most)])
        return list(found)

    async def scores(self, name: str, members: Sequence[str]) -> list[int | None]:
        """See `Keys.scores`."""
        if not members:
            return []
        (found,) = await self.server.ask([("ZMSCORE", self._full(name), *members)])
        return [None if one is None else int(float(one)) for one in found]

    async def commit(self, steps: Sequence[Step]) -> bool:
        """See `Keys.commit`. Sent again with the same mark while the answer is lost, so it is done once."""
        places: dict[str, int] = {self._full(f"commit:{self._entropy.token()}"): 1}
        arguments: list[str | int] = [MARK_S]
        for step in steps:
            place = places.setdefault(self._full(step.key), len(places) + 1)
            b = step.b
            if step.what == "append":
                b = str(places.setdefault(self._full(counter(step.key)), len(places) + 1))
            arguments += [step.what, place, step.a, b]
        command: Command = ("EVALSHA", self._digest, len(places), *places, *arguments)
        (answer,) = await self.server.write([command])
        return bool(answer == 0)

    def _full(self, name: str) -> str:
        return self._prefix + name


class Transaction:
    """What one piece of work reads and writes; it sees what it has written itself."""

    def __init__(self, keys: Keys) -> None:
        self._keys, self._seen = keys, dict[str, str | None]()
        self._now, self._steps = dict[str, str | None](), list[Step]()
        self._reads = 0
        self.relied = False

    async def get(self, *names: str) -> list[str | None]:
        """The values of keys; the commit depends on them."""
        new = [name for name in dict.fromkeys(names) if name not in self._now]
        self._reads += bool(new)
        for name, value in zip(new, await self._keys.get(new), strict=True):
            self._seen.setdefault(name, value)
            self._now[name] = value
        return [self._now[name] for name in names]

    async def peek(self, *names: str) -> list[str | None]:
        """The values of keys that never change, or that another key stands for: the commit does not look at them."""
        return await self._keys.get(names)

    async def ranked(self, name: str, first: int = 0, last: int = -1) -> list[str]:
        """Members of a ranked set as it was before; the commit does not look at it."""
        return await self._keys.ranked(name, first, last)

    async def torn(self) -> bool:
        """Whether what was read at several moments was never so at one: then what was concluded from it is void."""
        if self._reads < 2:
            return False
        return await self._keys.get([*self._seen]) != [*self._seen.values()]

    def rely(self) -> None:
        """The result acknowledges what was read, as what somebody wrote who may not have been told that it is durable:
        where nothing is written, that is made sure of."""
        self.relied = True

    def absent(self, name: str) -> None:
        """The commit fails if this key is there; nobody need have looked."""
        self._seen.setdefault(name, None)

    def put(self, name: str, value: str, ttl_s: int = 0) -> None:
        """Give a key a value, for good or for so many seconds."""
        self._now[name] = value
        self._steps.append(Step("put", name, value, str(ttl_s) if ttl_s else ""))

    def keep(self, name: str, value: str) -> None:
        """Give a key a value unless it has one."""
        self._steps.append(Step("keep", name, value))

    def forget(self, name: str) -> None:
        """Remove a key."""
        self._now[name] = None
        self._steps.append(Step("forget", name))

    def rank(self, name: str, member: str, score: int) -> None:
        """Put a member into a ranked set, or move it there. Scores are exact below 2^53."""
        self._steps.append(Step("rank", name, member, str(score)))

    def enter(self, name: str, member: str, score: int) -> None:
        """Put a member into a ranked set; one that is there stays where it is."""
        self._steps.append(Step("enter", name, member, str(score)))

    def append(self, name: str, member: str) -> None:
        """Put a member behind all others of a ranked set that nothing else puts members in, unless it has it."""
        self._steps.append(Step("append", name, member))

    def drop(self, name: str, member: str) -> None:
        """Take a member out of a ranked set."""
        self._steps.append(Step("drop", name, member))

    def expected(self) -> list[Step]:
        """That what was read is still so."""
        return [
            Step("absent", name) if value is None else Step("is", name, value) for name, value in self._seen.items()
        ]

    def steps(self) -> list[Step]:
        """All of it, what is expected first; nothing where nothing is written."""
        return [*self.expected(), *self._steps] if self._steps else []


class Lost(Enum):
    """What comes of work whose commit was refused because somebody else was faster."""

    RACE = "race"


class Keyspace:
    """Runs pieces of work as transactions; stores share one."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self._single_file = asyncio.Lock()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """The result of `work` once all that it wrote is durable, and nothing of it where it raises.

        Whoever lost a race goes on in single file with the other losers of this process, so a crowd costs each one try
        more and nobody starves. Raises `UNAVAILABLE`.
        """
        result = await self._tried(work)
        if not isinstance(result, Lost):
            return result
        async with self._single_file:
            for _ in range(TRIES_MAX):
                result = await self._tried(work)
                if not isinstance(result, Lost):
                    return result
        raise unavailable(Outcome.NONE)

    async def _tried(self, work: Callable[[Transaction], Awaitable[T]]) -> T | Lost:
        transaction = Transaction(self.keys)
        try:
            result = await work(transaction)
        except Exception:
            if await transaction.torn():
                return Lost.RACE
            raise
        if steps := transaction.steps():
            done = await self.keys.commit(steps)
        else:
            done = not (transaction.relied and self.keys.followed) or await self._sure(transaction)
        return result if done else Lost.RACE

    async def _sure(self, transaction: Transaction) -> bool:
        """Whether what was read is still so, and as durable as what is acknowledged: what comes later is."""
        try:
            return await self.keys.commit(transaction.expected())
        except Problem as problem:
            raise unavailable(Outcome.UNKNOWN) from problem

    async def all(self, names: Sequence[str]) -> list[str | None]:
        """Many keys, some at a time, so that nobody else waits long."""
        found: list[str | None] = []
        for start in range(0, len(names), CHUNK):
            found += await self.keys.get(names[start : start + CHUNK])
        return found


def prefix(entity: EntityId) -> str:
    """What all keys of a broker begin with: its entity id as their hash tag."""
    return f"peerway:{{{entity}}}:"


def counter(name: str) -> str:
    """Where the numbers of an appended set are counted."""
    return f"{name}:last"


@cache
def commit_script() -> str:
    """The script of a commit, as shipped with the package."""
    return (resources.files(__package__) / "commit.lua").read_text(encoding="utf-8")

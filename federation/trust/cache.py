"""Work that many ask for is done once; what failed is not tried again at once; what was seen is not forgotten.

Freshness is measured by the event loop's time, so that a wall clock that stands still keeps nothing alive; whether
something is still believed is the wall clock's question, and whoever uses a value asks it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from schemas.problem import Problem

T = TypeVar("T")
FAILURE_S: Final = 60.0
ENTRIES_MAX: Final = 8192
SEEN_MAX: Final = 65_536
Loaded = tuple[T, float]  # a value, and for how many seconds it is fresh


class _Entry(NamedTuple, Generic[T]):
    value: T | None
    problem: Problem | None
    until: float


class Cache(Generic[T]):
    """Values by key, each loaded by one caller at a time while the others wait for it."""

    def __init__(self, *, failure_s: float = FAILURE_S, entries_max: int = ENTRIES_MAX) -> None:
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._failure_s, self._entries_max = failure_s, entries_max

    async def get(self, key: Hashable, load: Callable[[], Awaitable[Loaded[T]]]) -> T:
        """The fresh value of `key`, loaded if need be. Raises the `Problem` of the load, also to those who ask soon."""
        found = self._entries.get(key)
        if found is not None and asyncio.get_running_loop().time() < found.until:
            self._entries.move_to_end(key)
            return _value(found)
        if key not in self._running:
            task = asyncio.get_running_loop().create_task(self._load(key, load), name=f"load {key}")
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
            task.add_done_callback(_observed)
        # A caller that gives up does not take the load away from the others.
        return await asyncio.shield(self._running[key])

    def holds(self, key: Hashable) -> bool:
        """Whether `get` would answer without a load of its own."""
        found = self._entries.get(key)
        fresh = found is not None and asyncio.get_running_loop().time() < found.until
        return fresh or key in self._running

    def forget(self, key: Hashable) -> None:
        """Load it anew the next time."""
        self._entries.pop(key, None)

    async def close(self) -> None:
        """End the loads under way."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _load(self, key: Hashable, load: Callable[[], Awaitable[Loaded[T]]]) -> T:
        entry: _Entry[T]
        try:
            value, fresh_s = await load()
            entry = _Entry(value, None, asyncio.get_running_loop().time() + fresh_s)
        except Problem as problem:
            entry = _Entry(None, problem, asyncio.get_running_loop().time() + self._failure_s)
        self._entries[key] = entry
        self._entries.move_to_end(key)
        if len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)
        return _value(entry)


def _value(entry: _Entry[T]) -> T:
    if entry.problem is not None:
        # A copy: a raised exception collects the traceback of everyone who meets it.
        problem = entry.problem
        raise Problem(problem.code, problem.detail, field=problem.field, extra=problem.extra)
    return entry.value  # type: ignore[return-value]  # without a problem it was loaded, and T may itself hold None


def _observed(task: asyncio.Task[T]) -> None:
    """A load whose callers all gave up may fail without anybody being told."""
    if not task.cancelled():
        task.exception()


class Seen:
    """The newest `iat` of every statement that was believed, by issuer and subject: an older one is a rollback (T18).

    Kept over a restart with `dump`, or whoever can replay an answer need only wait for one.
    """

    def __init__(self, data: bytes = b"") -> None:
        """`data` is what `dump` gave; what is not is forgotten."""
        try:
            rows = msgspec.json.decode(data, type=list[tuple[str, str, int]]) if data else []
        except msgspec.MsgspecError:
            rows = []
        self._newest = {(issuer, subject): iat for issuer, subject, iat in rows}

    def check(self, issued: Mapping[tuple[str, str], int]) -> None:
        """Raises `DOCUMENT_INVALID` where a statement is older than one that was believed before."""
        for (issuer, subject), iat in issued.items():
            if iat < self._newest.get((issuer, subject), iat):
                at = f"statement of {issuer} about {subject}"
                raise Problem("DOCUMENT_INVALID", "an older one than was seen before (rollback)", field=at)

    def remember(self, issued: Mapping[tuple[str, str], int]) -> None:
        """To be called only with what has verified: anybody can write a large `iat`.

        What was verified lately is kept longest, so that a superior with very many members makes nobody forget others.
        """
        for key, iat in issued.items():
            self._newest[key] = max(iat, self._newest.pop(key, iat))
        while len(self._newest) > SEEN_MAX:
            self._newest.pop(next(iter(self._newest)))

    def dump(self) -> bytes:
        """Everything, for a file."""
        return msgspec.json.encode([(issuer, subject, iat) for (issuer, subject), iat in self._newest.items()])

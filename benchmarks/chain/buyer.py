"""The buyer's process: reads one job a line from stdin, writes what came of it as one line on stdout.

Times are of a monotonic clock, in milliseconds.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final

import aiohttp
import msgspec
from msgspec import Struct

from benchmarks.chain.echo import Other, echoed
from federation.client.agent import Agent
from federation.client.broker import BrokerClient
from federation.client.lease import active
from federation.node.process import fast_loop
from federation.trust.keys import load_private, public_keys
from schemas.entity import Jwk, Jwks
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem

WAIT_S: Final = 25


class Floor(Struct, frozen=True):
    """The broker of the floor: where it is, and the key that signs its echoes."""

    there: Other
    key: Jwk


class Who(Struct, frozen=True):
    """Whom to buy from, and as whom: an address, a root to believe, and a mandate with its key, or a bearer key."""

    broker: str
    root: str | None
    key: str
    mandate: str | None
    floor: Floor | None = None


class Job(Struct, frozen=True):
    """What to do, `at_once` of it under way at any time.

    `echo`: as many echoes. `lease`: as many leases of `intent`, released again; `keep`: not released; `release`: those
    orders. With `per_second`, as many leases a second are begun, whether those before them are done or not.
    """

    kind: str
    count: int = 0
    at_once: int = 1
    intent: Intent | None = None
    orders: tuple[str, ...] = ()
    per_second: float = 0


class Steps(Struct, frozen=True):
    """Milliseconds by step: the quote (or echo), order to ACTIVE, both together, the release."""

    quote: list[float] = []
    active: list[float] = []
    whole: list[float] = []
    release: list[float] = []

    def all(self) -> dict[str, list[float]]:
        """The steps that there were, by name."""
        return {name: times for name in self.__struct_fields__ if (times := getattr(self, name))}


class Done(Struct, frozen=True):
    """What came of a job: times, what was refused, by code, and how many of these said when to try again."""

    steps: Steps
    refused: dict[str, int] = {}
    told_when: int = 0
    orders: tuple[str, ...] = ()
    seconds: float = 0


class Hands:
    """Carries out one job."""

    def __init__(self, client: BrokerClient, session: aiohttp.ClientSession, who: Who, job: Job) -> None:
        self._client, self._session, self._who, self._job = client, session, who, job
        self._steps = Steps([], [], [], [])
        self._orders, self._refused, self._told_when = list[str](), dict[str, int](), 0
        self._left = list(job.orders) if job.kind == "release" else [""] * job.count

    async def run(self) -> Done:
        """All of it."""
        began = perf_counter()
        if self._job.per_second:
            await self._open(self._job.per_second)
        else:
            await asyncio.gather(*(self._closed() for _ in range(self._job.at_once)))
        return Done(
            self._steps,
            refused=self._refused,
            told_when=self._told_when,
            orders=tuple(self._orders),
            seconds=perf_counter() - began,
        )

    async def _closed(self) -> None:
        while self._left:
            await self._tried(self._left.pop())

    async def _open(self, per_second: float) -> None:
        """Whoever begins keeps to the clock: what is late is begun at once, and nothing waits for an answer."""
        loop = asyncio.get_running_loop()
        begun, running = loop.time(), set[asyncio.Task[None]]()
        for number in range(len(self._left)):
            await asyncio.sleep(max(0.0, begun + number / per_second - loop.time()))
            task = loop.create_task(self._tried(""))
            running.add(task)
            task.add_done_callback(running.discard)
        while running:
            await asyncio.wait(running)

    async def _tried(self, order: str) -> None:
        try:
            await self._one(order)
        except Problem as problem:
            self._refused[problem.code] = self._refused.get(problem.code, 0) + 1
            self._told_when += problem.retry_after_s is not None

    async def _one(self, order: str) -> None:
        at = [perf_counter()]
        if self._job.kind == "echo":
            await self._echo()
            self._steps.quote.append((perf_counter() - at[0]) * 1000)
        elif self._job.kind == "release":
            await self._release(order)
        else:
            await self._lease(at)

    async def _echo(self) -> None:
        floor = self._who.floor
        assert floor is not None, "an echo needs a floor"
        own = load_private(self._who.key.encode(), "key")
        keys = public_keys(Jwks((floor.key,)))
        await echoed(self._session, own, "https://buyer.example", floor.there, keys)

    async def _lease(self, at: list[float]) -> None:
        assert self._job.intent is not None, "a lease needs an intent"
        quote = await self._client.quote(self._job.intent)
        at.append(perf_counter())
        order = await active(self._client, await self._client.order(quote.id, wait_s=WAIT_S))
        at.append(perf_counter())
        self._orders.append(order.id)
        self._steps.quote.append((at[1] - at[0]) * 1000)
        self._steps.active.append((at[2] - at[1]) * 1000)
        self._steps.whole.append((at[2] - at[0]) * 1000)
        if self._job.kind == "lease":
            await self._release(order.id)
            self._steps.release.append((perf_counter() - at[2]) * 1000)

    async def _release(self, order: str) -> None:
        view = await self._client.release(order, wait_s=WAIT_S)
        assert view.state is State.RELEASED, view


@asynccontextmanager
async def ready(who: Who) -> AsyncIterator[tuple[BrokerClient, aiohttp.ClientSession]]:
    """A client of the broker, and a session for the floor."""
    tls = None if who.root is None else ssl.create_default_context(cafile=who.root)
    agent = who.key if who.mandate is None else Agent(load_private(who.key.encode(), "key"), who.mandate)
    connector = aiohttp.TCPConnector(ssl=tls or True)
    async with (
        BrokerClient(who.broker, agent, tls=tls) as client,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        yield client, session


async def serve(who: Who, lines: Any) -> None:
    """Jobs until stdin ends."""
    loop = asyncio.get_running_loop()
    async with ready(who) as (client, session):
        while line := await loop.run_in_executor(None, lines.readline):
            done = await Hands(client, session, who, msgspec.json.decode(line, type=Job)).run()
            sys.stdout.write(msgspec.json.encode(done).decode() + "\n")
            sys.stdout.flush()


def main() -> int:
    """The first line of stdin says who."""
    who = msgspec.json.decode(sys.stdin.readline(), type=Who)
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        runner.run(serve(who, sys.stdin))
    return 0


if __name__ == "__main__":
    sys.exit(main())

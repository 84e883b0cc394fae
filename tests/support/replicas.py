"""Three replicas of a broker on one store and three operators, all processes; and buyers who ask whichever answers."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, Protocol, TypeVar

from redis import Redis

from federation.broker.config import Store
from federation.broker.store.redis.keys import prefix
from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.cli.demo.processes import BROKER
from federation.client.broker import BrokerClient
from federation.client.lease import active, released
from schemas.answer import OrderView, QuoteView
from schemas.intent import Intent
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.problem import Problem
from tests.support.federation import BROKER_ENTITY, ENDS, GBPS, BrokerPlan, TinyFederation, tiny_federation

T = TypeVar("T")
TAKEOVER_S: Final = 2
PREFIX: Final = prefix(BROKER_ENTITY)
PATIENCE_S: Final = 8.0  # for one answer of a replica that may be stopped
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS // 10, duration_s=3600)
NOTHING: dict[str, dict[str, str]] = {"north": {}, "middle": {}, "south": {}}
# After a refusal that will not change, a buyer asks for a new quote; anything else may be asked again.
FINAL: Final = frozenset({"QUOTE_EXPIRED", "INCOMPATIBLE_STATE", "OPERATOR_REFUSED", "NOT_FOUND"})


class Served(Protocol):
    """What the replicas share."""

    @property
    def store(self) -> Store:
        """What a configuration says of it."""

    def client(self) -> Redis:
        """Somebody else who talks to the server that takes writes."""


@dataclass
class Replicas:
    """The replicas by number; 0 is the federation's own broker."""

    federation: TinyFederation
    server: Served
    addresses: list[str]

    def client(self, number: int) -> BrokerClient:
        return BrokerClient(self.addresses[number % len(self.addresses)], "alice-key", timeout_s=600)

    async def start(self, number: int) -> None:
        processes, nodes, name = self.federation.processes, self.federation.nodes, self._name(number)
        command = [*BROKER, "--config", str(self.federation.folder / name / "config.toml")]
        nodes[name] = processes.start(name, command)
        await processes.ready(nodes[name])

    def kill(self, number: int) -> None:
        self.federation.kill(self._name(number))

    def name(self, number: int) -> str:
        """What a replica calls itself in this life, or did in its last one."""
        said = json.loads((self.federation.folder / self._name(number) / "data" / "replica").read_text())
        return f"{said['replica']}.{said['life']}"

    def signal(self, number: int, what: signal.Signals) -> None:
        self.federation.nodes[self._name(number)].process.send_signal(what)

    async def until(self, so: Callable[[], bool]) -> None:
        while not so():
            await asyncio.sleep(0.02)

    async def begun(self, orders: int) -> None:
        """So many are announced, and not over."""
        with self.server.client() as client:
            await self.until(lambda: int(client.xlen(f"{PREFIX}to-carry")) >= orders)

    def taken(self, order_id: str) -> int:
        """How often an order was taken over."""
        with self.server.client() as client:
            return int(json.loads(client.get(f"{PREFIX}order:{order_id}")).get("taken", 0))

    async def anywhere(self, first: int, ask: Callable[[BrokerClient], Awaitable[T]]) -> T:
        """The answer of whichever replica gives one, from `first` on."""
        for number in count(first):
            try:
                async with asyncio.timeout(PATIENCE_S), self.client(number) as client:
                    return await ask(client)
            except TimeoutError:
                continue
            except Problem as problem:
                if problem.code in FINAL:
                    raise
                await asyncio.sleep(0.1)
        raise AssertionError

    async def bought(self, first: int, key: str) -> OrderView:
        """One lease, asked for under one key for each step, wherever there is an answer."""
        for attempt in count():
            name = f"{key}-{attempt}"
            quote: QuoteView = await self.anywhere(first, lambda broker, n=name: broker.quote(INTENT, f"quote-{n}"))
            try:
                order: OrderView = await self.anywhere(
                    first, lambda broker, q=quote.id, n=name: broker.order(q, f"order-{n}")
                )
            except Problem:
                continue  # also where it is not found: quoted while the store was away, and not written yet
            try:
                return await self.settled(first + 1, order.id)
            except Problem as problem:
                if problem.code == "NOT_FOUND":
                    raise
        raise AssertionError

    async def settled(self, first: int, order_id: str) -> OrderView:
        """The order once it is in force. Raises `OPERATOR_REFUSED` where it came to nothing."""
        return await self.anywhere(first, lambda broker: _active(broker, order_id))

    async def released(self, first: int, order_id: str) -> OrderView:
        async def ask(broker: BrokerClient) -> OrderView:
            return await released(broker, await broker.get_order(order_id))

        return await self.anywhere(first, ask)

    def _name(self, number: int) -> str:
        return "broker" if number == 0 else f"broker{number}"


async def _active(broker: BrokerClient, order_id: str) -> OrderView:
    return await active(broker, await broker.get_order(order_id, 1))


@asynccontextmanager
async def replicated(folder: Path, server: Served) -> AsyncIterator[Replicas]:
    """All of it, running."""
    desk = BrokerPlan(redis=server.store.redis).patient()
    async with tiny_federation(folder, desk=desk, start=False) as made:
        with PortReserve() as ports:
            _told(folder / "broker" / "config.toml", server.store)
            siblings = [_sibling(folder, number, ports.take()) for number in (1, 2)]
            await made.start(*(plan.name for plan in made.plans))
            running = Replicas(made, server, [made.broker, *siblings])
            await asyncio.gather(*(running.start(number) for number in range(3)))
            yield running


def _sibling(folder: Path, number: int, port: int) -> str:
    """A replica has the keys and settings of the broker, and a listener and a folder of its own."""
    own = folder / f"broker{number}"
    shutil.copytree(folder / "broker", own)
    config = own / "config.toml"
    config.write_text(re.sub(r"http_port = \d+", f"http_port = {port}", config.read_text()))
    return f"http://{LOOPBACK}:{port}"


def _told(config: Path, store: Store) -> None:
    more = f"store = {{ takeover_s = {TAKEOVER_S}, sentinels = {json.dumps(store.sentinels)}, "
    text = config.read_text()
    config.write_text(text.replace("store = { ", more))
    assert "takeover_s" in config.read_text()


async def all_released(replicas: Replicas, orders: list[OrderView]) -> None:
    """Every one is in force on every operator, then on none."""
    assert {order.state for order in orders} <= BILLABLE
    there = await replicas.federation.products()
    assert {name: len(found) for name, found in there.items()} == dict.fromkeys(NOTHING, len(orders))
    ended = await asyncio.gather(*(replicas.released(n, order.id) for n, order in enumerate(orders)))
    assert {order.state for order in ended} == {State.RELEASED}
    assert await replicas.federation.products() == NOTHING
    listed = await replicas.anywhere(0, lambda broker: broker.orders())
    assert {order.state for order in listed} <= TERMINAL

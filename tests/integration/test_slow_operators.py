"""Operators that take their time, in a real federation: a person decides, a network is built; brokers and operators are
killed meanwhile; events are heard, or none is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from federation.cli.demo.ports import LOOPBACK, PortReserve
from federation.client.broker import BrokerClient
from federation.client.lease import active
from federation.node.hatch import hand_in
from federation.node.seams import SystemClock, SystemEntropy
from operators.config import load_config
from operators.daemon import Running, operator
from operators.fabric.null import NullDriver
from schemas.answer import OrderView, QuotePending, QuoteView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.request import Extension
from tests.support.federation import BROKER_ENTITY, ENDS, GBPS, TinyFederation, tiny_federation

WAIT_S = 120
MANUAL = 'approval = "manual"'


def intent(**changes: Any) -> Intent:
    base = {"a": ENDS[0], "z": ENDS[1], "bandwidth_bps": GBPS, "duration_s": 600, "answer_within_s": 300}
    return Intent(**(base | changes))


@asynccontextmanager
async def federation_with(folder: Path, selling: str, *, told: bool = False) -> AsyncIterator[TinyFederation]:
    """A federation whose middle operator sells as said; `told` lets it tell the broker of events. Nothing runs yet."""
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(tiny_federation(folder, start=False))
        changed(folder / "middle" / "config.toml", "contact =", f"selling = {{ {selling} }}\ncontact =")
        if told:
            port = stack.enter_context(PortReserve()).take()
            changed(folder / "broker" / "config.toml", "listen = {", f"listen = {{ public_port = {port},")
            place = f'egress = {{ places = {{ "{BROKER_ENTITY}" = "http://{LOOPBACK}:{port}" }} }}'
            changed(folder / "middle" / "config.toml", 'anchors.json" }', f'anchors.json", {place} }}')
        yield made


def changed(config: Path, what: str, to: str) -> None:
    """A configuration with one thing changed."""
    text = config.read_text()
    assert text.count(what) == 1, config
    config.write_text(text.replace(what, to))


async def says(federation: TinyFederation, name: str, **body: str) -> dict[str, Any]:
    """What the middle operator says to its own person."""
    return await hand_in(federation.folder / "middle" / "data", name, json.dumps(body).encode())


async def pending(client: BrokerClient, key: str, **changes: Any) -> QuotePending:
    """A quote that is waited for."""
    made = await client.quote(intent(**changes), key, wait_s=0)
    assert isinstance(made, QuotePending)
    assert [one.operator_name for one in made.waiting_for] == ["Middle"]
    assert (made.state, made.outcome) == (State.ASKED, Outcome.PENDING)
    return made


async def used(client: BrokerClient, order: OrderView) -> None:
    """The order ACTIVE, and released again."""
    while order.state is not State.ACTIVE:
        assert order.state in {State.COMMITTED, State.UP}, order.why
        order = await client.get_order(order.id, 20)
    order = await client.release(order.id)
    while order.state is not State.RELEASED:
        order = await client.get_order(order.id, 20)


@pytest.mark.asyncio
async def test_a_person_decides_while_brokers_and_operators_are_killed(tmp_path: Path) -> None:
    async with federation_with(tmp_path, MANUAL) as federation:
        await federation.start("north", "middle", "south")
        await federation.start("broker")
        async with federation.client() as client:
            with pytest.raises(Problem, match="a person answers here"):
                await client.quote(intent(answer_within_s=None))
            first = await pending(client, "a-key-of-mine")
            assert (await pending(client, "a-key-of-mine")).id == first.id
            with pytest.raises(Problem, match="not known here"):
                async with federation.client("bob") as bob:
                    await bob.get_quote(first.id)
            assert (await client.audit()).clean
            (question,) = (await says(federation, "list"))["waiting"]
            federation.kill("broker", "middle")
            await federation.start("middle")
            await says(federation, "grant", quote=question["quote"])
            await federation.start("broker")
            quote = await client.get_quote(first.id, 20)
            assert isinstance(quote, QuoteView)
            assert (quote.id, quote.state) == (first.id, State.HELD)
            order = await active(client, await client.order(quote.id))
            with pytest.raises(Problem, match="another lease from the end of this one") as told:
                await client.extend(order.id, Extension(by_s=60))
            assert (told.value.code, told.value.outcome) == ("OPERATOR_REFUSED", Outcome.UNDONE)
            await used(client, order)

            refused, dropped = await pending(client, "to-be-refused"), await pending(client, "to-be-dropped")
            asked = {one["quote"] for one in (await says(federation, "list"))["waiting"]}
            assert len(asked) == 2
            gone = await client.decline(dropped.id)
            assert isinstance(gone, QuotePending)
            assert (gone.state, gone.outcome) == (State.DECLINED, Outcome.UNDONE)
            while len(left := (await says(federation, "list"))["waiting"]) > 1:
                await asyncio.sleep(0)
            await says(federation, "refuse", quote=left[0]["quote"], why="not this month")
            with pytest.raises(Problem, match="not this month") as told:
                await client.get_quote(refused.id, 20)
            assert told.value.outcome is Outcome.UNDONE
            with pytest.raises(Problem, match="not this month"):
                await client.quote(intent(), "to-be-refused")
            assert (await client.audit()).clean
        assert set().union(*(await federation.products()).values()) == set()
        assert (await says(federation, "list"))["waiting"] == []


class Building(NullDriver):
    """A network in which somebody has to build something first."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.built = asyncio.Event(), asyncio.Event()

    async def bring_up(self, product: str, wiring: Any) -> None:
        self.begun.set()
        await self.built.wait()
        await super().bring_up(product, wiring)


@asynccontextmanager
async def middle_of(federation: TinyFederation, driver: NullDriver) -> AsyncIterator[Running]:
    """The middle operator within the test's own process, over a network of the test's."""
    config = load_config(federation.folder / "middle" / "config.toml")
    async with operator(config, SystemClock(), SystemEntropy(), driver) as running:
        yield running


@pytest.mark.parametrize("told", [True, False], ids=["told", "never told"])
@pytest.mark.asyncio
async def test_a_network_is_built_and_a_person_decides_with_and_without_events(tmp_path: Path, told: bool) -> None:
    driver = Building()
    selling = f"{MANUAL}, up_within_s = 300, confirm_within_s = 600"
    async with federation_with(tmp_path, selling, told=told) as federation, middle_of(federation, driver) as middle:
        await federation.start("north", "south")
        await federation.start("broker")
        store: Any = middle.desk.shop.store
        async with federation.client() as client:
            await asyncio.gather(*(says(federation, "list") for _ in range(2)))
            slow = await pending(client, "k", up_within_s=600)
            (question,) = middle.desk.waiting()
            await middle.desk.grant(question.id)
            quote = await client.get_quote(slow.id, 20)
            assert isinstance(quote, QuoteView)
            if told:
                async with asyncio.timeout(WAIT_S):
                    while await store.letters():
                        await middle.delivery.settled()
                        await asyncio.sleep(0)
            assert bool(middle.desk.shop.telling.find_all("https://broker.example")) is told
            order = await client.order(quote.id)
            await driver.begun.wait()
            federation.kill("broker")
            await federation.start("broker")
            while (stands := {one.operator_name: one.state for one in order.segments})["Middle"] is State.HELD:
                order = await client.get_order(order.id)
            assert (order.state, stands["Middle"]) == (State.COMMITTED, State.COMMITTED)
            driver.built.set()
            await used(client, order)

            # A network that is never done: released while it builds, and nothing is billed.
            driver.begun.clear()
            driver.built.clear()
            again = await pending(client, "k-2", up_within_s=600)
            (question,) = middle.desk.waiting()
            await middle.desk.grant(question.id)
            quote = await client.get_quote(again.id, 20)
            assert isinstance(quote, QuoteView)
            order = await client.order(quote.id)
            await driver.begun.wait()
            order = await client.release(order.id)
            while order.state is not State.RELEASED:
                order = await client.get_order(order.id, 20)
            assert order.bill is not None
            assert order.bill.total.micro == 0
        assert set().union(*(await federation.products()).values()) == set()
        assert driver.up == {}

"""A broker that is killed with many orders on their way, and takes them all up again while it serves.

Every operator stands still when they are placed, so that the journal is all there is of them: the worst there can be.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from federation.client.broker import BrokerClient
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import TERMINAL, State
from tests.support.crashes.campaign import Campaign
from tests.support.crashes.lives import ended, insisted, quoted, still
from tests.support.federation import ENDS, LINE, BrokerPlan, TinyFederation, tiny_federation

LONG = bool(os.environ.get("PEERWAY_TEST_LONG"))
ORDERS = 1000 if LONG else 60
HOLD_S = 300 if LONG else 120  # until the last of them is ordered
AT_ONCE = 8
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=10**6, duration_s=3600)
PLANS = tuple(replace(plan, labels="100-3000") for plan in LINE)
HOLDS = f"holds = {{ seconds_max = {HOLD_S} }}\n[[route_classes]]"


@pytest_asyncio.fixture
async def federation(tmp_path: Path) -> AsyncIterator[TinyFederation]:
    desk = replace(BrokerPlan().patient(), hold_s=HOLD_S)
    async with tiny_federation(tmp_path, PLANS, desk=desk, start=False) as made:
        for plan in PLANS:
            config = tmp_path / plan.name / "config.toml"
            config.write_text(config.read_text().replace("[[route_classes]]", HOLDS))
        await made.start(*(plan.name for plan in PLANS))
        await made.start("broker")
        yield made


def signalled(federation: TinyFederation, number: int) -> None:
    for plan in PLANS:
        federation.nodes[plan.name].process.send_signal(number)


async def placed(clients: tuple[BrokerClient, ...], federation: TinyFederation) -> list[tuple[BrokerClient, OrderView]]:
    """Orders that were acknowledged, and that no operator knows of yet."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(client: BrokerClient, number: int) -> str:
        async with gate:
            return (await quoted(client, INTENT, f"quote-{number}")).id

    async def order(client: BrokerClient, quote: str) -> tuple[BrokerClient, OrderView]:
        async with gate:
            return client, await insisted(partial(client.order, quote, f"order-{quote}"))

    who = [clients[number % len(clients)] for number in range(ORDERS)]
    quotes = await asyncio.gather(*(one(client, number) for number, client in enumerate(who)))
    signalled(federation, signal.SIGSTOP)
    return await asyncio.gather(*(order(client, quote) for client, quote in zip(who, quotes, strict=True)))


@pytest.mark.asyncio
async def test_all_of_them_come_to_an_end_and_new_ones_do_not_wait_for_them(federation: TinyFederation) -> None:
    async with AsyncExitStack() as stack:
        clients = tuple([await stack.enter_async_context(federation.client(buyer)) for buyer in ("alice", "bob")])
        orders = await placed(clients, federation)
        assert {order.state for _, order in orders} == {State.COMMITTED}
        federation.kill("broker")
        signalled(federation, signal.SIGCONT)
        await federation.start("broker")

        fresh = await quoted(clients[0], INTENT, "fresh")
        fresh_order = await insisted(partial(clients[0].order, fresh.id, "fresh-order"))
        assert (await still(clients[0], fresh_order)).state is State.ACTIVE

        came = await asyncio.gather(*(still(client, order) for client, order in orders))
        states = [order.state for order in came]
        assert set(states) <= {State.ACTIVE, State.FAILED}, "a machine that is too slow gives up, and undoes"
        assert states.count(State.ACTIVE) > len(states) // 2
        for client, order in (*orders, (clients[0], fresh_order)):
            await insisted(partial(client.release, order.id))
        over = await asyncio.gather(*(ended(client, order) for client, order in orders))
        assert {order.state for order in over} <= TERMINAL
    # A busy machine may lose the answer to a request for a hold; nobody can name such a hold, and it ends by itself.
    await Campaign(federation, INTENT, patience_s=HOLD_S + 60).quiet()

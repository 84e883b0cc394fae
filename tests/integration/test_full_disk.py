"""Daemons whose disk is full: they say so and what came of it, lose nothing, and go on once there is room.

A process that may write files of no size at all is as good as a full disk, and needs no disk of its own.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from federation.client.lease import active
from schemas.intent import Intent
from schemas.lease import TERMINAL, State
from schemas.problem import Outcome, Problem
from tests.support.crashes.campaign import Campaign
from tests.support.crashes.lives import ended, insisted, quoted
from tests.support.federation import ENDS, GBPS, BrokerPlan, TinyFederation, tiny_federation

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of another process can be set on Linux only"),
]
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=3600)
NOTHING_KEPT = {Outcome.NONE, Outcome.UNDONE}


@pytest_asyncio.fixture
async def federation(tmp_path: Path) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path, desk=BrokerPlan(hold_s=5, operator_timeout_s=2)) as made:
        yield made


@contextmanager
def full_disk(federation: TinyFederation, name: str) -> Iterator[None]:
    """Within the block this node can write no file."""
    pid = federation.nodes[name].process.pid
    before, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (before, most))


async def test_a_broker_without_room_refuses_what_changes_anything_and_loses_nothing(
    federation: TinyFederation,
) -> None:
    async with federation.client() as client:
        order = await active(client, await client.order((await client.quote(INTENT)).id))
        held = await client.quote(INTENT)
        with full_disk(federation, "broker"):
            for ask in (
                partial(client.quote, INTENT, "another"),
                partial(client.order, held.id, "its order"),
                partial(client.release, order.id, "its end"),
            ):
                with pytest.raises(Problem) as told:
                    await ask()
                assert (told.value.code, told.value.outcome in NOTHING_KEPT) == ("UNAVAILABLE", True), told.value
            assert (await client.get_order(order.id)).state is State.ACTIVE
            assert (await client.search(INTENT)).found
        assert (await client.get_order(order.id)).state is State.ACTIVE
        assert [one.id for one in await client.orders()] == [order.id]
        again = await quoted(client, INTENT, "another")
        bought = await active(client, await insisted(partial(client.order, again.id, "that one's order")))
        for one in (order, bought):
            await insisted(partial(client.release, one.id, "its end" if one is order else "the other's"))
            assert (await ended(client, one)).state is State.RELEASED
    await Campaign(federation, INTENT).quiet()


async def test_an_operator_without_room_is_waited_for_and_named(federation: TinyFederation) -> None:
    async with federation.client() as client:
        order = await active(client, await client.order((await client.quote(INTENT)).id))
        held = await client.quote(INTENT)
        with full_disk(federation, "middle"):
            with pytest.raises(Problem) as told:
                await client.quote(INTENT)
            assert "middle" in str(told.value).lower() + str(told.value.extra).lower()
            releasing = await client.release(order.id)
            placed = await client.order(held.id)
            assert releasing.state not in TERMINAL, "one operator could not write that it ended"
        assert (await ended(client, releasing)).state is State.RELEASED
        await client.release(placed.id)
        assert (await ended(client, placed)).state in TERMINAL
    await Campaign(federation, INTENT).quiet()


async def test_a_kill_without_room_loses_nothing(federation: TinyFederation) -> None:
    async with federation.client() as client:
        order = await active(client, await client.order((await client.quote(INTENT)).id))
        for name in ("broker", "south"):
            with full_disk(federation, name), pytest.raises(Problem):
                await client.quote(INTENT)
            federation.kill(name)
            await federation.start(name)
            assert (await insisted(partial(client.get_order, order.id))).state is State.ACTIVE
        await insisted(partial(client.release, order.id))
        assert (await ended(client, order)).state is State.RELEASED
    await Campaign(federation, INTENT).quiet()

"""Real processes start orders for later by themselves, also across restarts; before the start they cost nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from federation.client.broker import BrokerClient
from federation.client.lease import released
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from schemas.request import Extension, Resize
from tests.support.federation import ENDS, GBPS, BrokerPlan, TinyFederation, retried, tiny_federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
SOON_S = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path_factory.mktemp("calendar"), desk=BrokerPlan().patient()) as federation:
        yield federation


async def ordered(client: BrokerClient, in_s: int) -> OrderView:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=in_s)
    quote = await client.quote(Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, start=start, duration_s=600))
    order = await client.get_order((await client.order(quote.id)).id, 20)
    assert order.state is State.COMMITTED, order
    return order


async def test_it_starts_by_itself_though_everybody_was_killed_meanwhile(line: TinyFederation) -> None:
    async with line.client() as alice:
        order = await ordered(alice, SOON_S)
    names = ("north", "middle", "south")
    line.kill("broker", *names)
    await line.start(*names)
    await line.start("broker")
    async with line.client() as alice:

        async def in_force() -> OrderView:
            found = await alice.get_order(order.id, 20)
            if found.state is State.COMMITTED:
                raise Problem("UNAVAILABLE", "not yet")
            return found

        active = await retried(in_force)
        assert active.state is State.ACTIVE, active
        begun = next(change.at for change in active.history if change.state is State.ACTIVE)
        assert begun >= order.window.start
        ended = await released(alice, active)
        assert ended.bill is not None
        assert ended.bill.start is not None
        assert ended.bill.start >= order.window.start, "billed from its confirm, not from the order"


async def test_before_its_start_it_is_neither_changed_nor_billed(line: TinyFederation) -> None:
    async with line.client() as alice:
        order = await ordered(alice, 3_600)
        with pytest.raises(Problem) as caught:
            await alice.resize(order.id, Resize(bandwidth_bps=2 * GBPS))
        assert caught.value.code == "INCOMPATIBLE_STATE"
        assert "costs nothing before its start" in caught.value.detail
        with pytest.raises(Problem) as caught:
            await alice.extend(order.id, Extension(by_s=60))
        assert caught.value.code == "INCOMPATIBLE_STATE"
        ended = await released(alice, order)
        assert (ended.state, ended.bill and ended.bill.total.micro) == (State.RELEASED, 0)
        assert await line.products() == {"north": {}, "middle": {}, "south": {}}

"""Real processes change the bandwidth of a lease: in place, or over a new path before the old one ends; killed too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from federation.client.broker import BrokerClient
from federation.client.lease import active, extended, resized
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from schemas.request import Extension, Resize, Way
from tests.support.federation import (
    ENDS,
    GBPS,
    MIDDLE,
    NORTH,
    SOUTH,
    BrokerPlan,
    TinyFederation,
    retried,
    tiny_federation,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
DETOUR = replace(
    MIDDLE, name="detour", currency="EUR", gbps_hourly_micro=900_000, enni_gbps=30,
    pops=(("lyon", "Lyon", 45.7, 4.8, "FR"), ("milan", "Milan", 45.5, 9.2, "IT")),
    meets={"north": "lyon", "south": "milan"},
)  # fmt: skip
DIAMOND = (
    replace(NORTH, meets={"middle": "kiel", "detour": "kiel"}, enni_gbps=30),
    MIDDLE,
    DETOUR,
    replace(SOUTH, meets={"middle": "bolzano", "detour": "bolzano"}, enni_gbps=30),
)
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=6 * GBPS, duration_s=900)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def diamond(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    async with tiny_federation(tmp_path_factory.mktemp("diamond"), DIAMOND, desk=BrokerPlan().patient()) as federation:
        yield federation


async def bought(alice: BrokerClient) -> OrderView:
    """A lease over the cheap operator in the middle, once the offers show that it has room again."""

    async def offered() -> None:
        (path,) = (await alice.search(INTENT, 1)).paths
        if path.segments[1].operator_name != "Middle":
            raise Problem("UNAVAILABLE", "not yet")

    await retried(offered)
    return await active(alice, await alice.order((await alice.quote(INTENT)).id))


async def test_a_lease_grows_in_place_then_onto_a_new_path_and_shrinks_there(diamond: TinyFederation) -> None:
    async with diamond.client() as alice:
        first = await bought(alice)
        assert [lease.operator_name for lease in first.segments] == ["North", "Middle", "South"]
        more = await resized(alice, first.id, Resize(bandwidth_bps=9 * GBPS), "r1")
        assert (more.way, more.order.id, more.order.bandwidth_bps) == (Way.IN_PLACE, first.id, 9 * GBPS)
        assert [lease.product for lease in more.order.segments] == [lease.product for lease in first.segments]
        again = await alice.resize(first.id, Resize(bandwidth_bps=9 * GBPS), "r1")
        assert (again.way, again.order.id) == (Way.IN_PLACE, first.id), "once"

        longer = await extended(alice, more.order, Extension(by_s=60))
        assert (longer.bandwidth_bps, longer.window.duration_s) == (9 * GBPS, 960)
        with pytest.raises(Problem) as caught:
            await alice.resize(first.id, Resize(bandwidth_bps=12 * GBPS, way=Way.IN_PLACE))
        assert caught.value.code == "CAPACITY_CHANGED"
        with pytest.raises(Problem) as caught:
            await alice.resize(first.id, Resize(bandwidth_bps=9 * GBPS))
        assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", "bandwidth_bps")

        wide = await resized(alice, first.id, Resize(bandwidth_bps=12 * GBPS), "r2")
        assert (wide.way, wide.order.replaces, wide.order.bandwidth_bps) == (Way.NEW_PATH, first.id, 12 * GBPS)
        assert wide.order.id != first.id
        assert [lease.operator_name for lease in wide.order.segments] == ["North", "Detour", "South"]
        assert wide.order.window.end == longer.window.end
        old = await alice.get_order(first.id, 20)
        assert (old.state, old.replaced_by) == (State.RELEASED, wide.order.id)
        assert old.history[-2].why == f"replaced by order {wide.order.id}"
        states = [change.state for change in old.history]
        assert states.index(State.REROUTING) < states.index(State.RELEASING)
        assert wide.order.history[-1].at <= old.history[-2].at, "make before break"
        assert old.bill is not None
        assert old.bill.total.micro > 0
        again = await alice.resize(first.id, Resize(bandwidth_bps=12 * GBPS), "r2")
        assert (again.way, again.order.id) == (Way.NEW_PATH, wide.order.id)

        for change in (alice.extend(first.id, Extension(by_s=60)), alice.resize(first.id, Resize(bandwidth_bps=GBPS))):
            with pytest.raises(Problem, match=f"the order is RELEASED; order {wide.order.id} took its place"):
                await change

        less = await resized(alice, wide.order.id, Resize(bandwidth_bps=2 * GBPS))
        assert (less.way, less.order.bandwidth_bps) == (Way.IN_PLACE, 2 * GBPS)
        await alice.release(wide.order.id)
        ended = await alice.get_order(wide.order.id, 20)
        assert ended.state is State.RELEASED
        assert not any("bills" in change.why for change in (*old.history, *ended.history)), "nobody disputes anything"
        assert await diamond.products() == {"north": {}, "middle": {}, "detour": {}, "south": {}}


async def test_what_goes_neither_way_says_why_and_leaves_the_lease(diamond: TinyFederation) -> None:
    async with diamond.client() as alice:
        lease = await bought(alice)
        with pytest.raises(Problem) as caught:
            await alice.resize(lease.id, Resize(bandwidth_bps=40 * GBPS))
        assert caught.value.extra["in_place"]["code"] == "CAPACITY_CHANGED"
        still = await alice.get_order(lease.id)
        assert (still.state, still.bandwidth_bps, still.replaced_by) == (State.ACTIVE, 6 * GBPS, None)
        await alice.release(lease.id)
        assert (await alice.get_order(lease.id, 20)).state is State.RELEASED


async def test_a_broker_killed_while_one_order_takes_the_place_of_another_finishes_it(diamond: TinyFederation) -> None:
    async with diamond.client() as alice:
        first = await bought(alice)
        answer = await alice.resize(first.id, Resize(bandwidth_bps=12 * GBPS), "killed")
        assert answer.way is Way.NEW_PATH
        diamond.kill("broker")
    await diamond.start("broker")
    async with diamond.client() as alice:
        second = await retried(lambda: alice.get_order(answer.order.id, 20))
        assert second.state is State.ACTIVE, second
        assert (await alice.resize(first.id, Resize(bandwidth_bps=12 * GBPS), "killed")).order.id == second.id
        old = await alice.get_order(first.id, 20)
        assert (old.state, old.replaced_by) == (State.RELEASED, second.id)
        await alice.release(second.id)
        assert (await alice.get_order(second.id, 20)).state is State.RELEASED
        assert await diamond.products() == {"north": {}, "middle": {}, "detour": {}, "south": {}}

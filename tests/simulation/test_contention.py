"""What others measured of today's systems, asked of ours: many paths at once, one port for ten, one label for five.

Two brokers that know nothing of each other sell over the same operators. Judged by the operators' own books.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from federation.broker.orders.saga.state import OrderState
from operators.orders.fsm import Lease
from schemas.intent import Intent
from schemas.lease import State
from tests.simulation.world import promises
from tests.simulation.world.buyers import SimBuyer
from tests.simulation.world.clocks import SimLoop
from tests.simulation.world.geography import GBPS, Room
from tests.simulation.world.run import Plan, World

WIDE = Room(labels="100-299", enni_bps=1000 * GBPS, inside_bps=1000 * GBPS, site_labels="2-4000")
A, Z = "u0a@Alder", "u5a@Fir"  # at least Birch or Cedar, and Elm, lie in between


def raced(seed: int, room: Room, wants: int, at_once: int, gbps: int) -> tuple[World, list[OrderState]]:
    """So many paths wanted, so many at a time; the world once it is quiet, and the orders that are ACTIVE."""
    loop = SimLoop()
    plan = Plan(trouble=False, buyers=at_once, room=room, mandates=False)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        world = World(seed, plan, loop)
        runner.run(world.through(_race(world, wants, gbps)))
    states = [state for broker in world.brokers for state in broker.disk.books.states()]
    return world, [state for state in states if state.state is State.ACTIVE]


async def _race(world: World, wants: int, gbps: int) -> None:
    left = iter(range(wants))

    async def one(buyer: SimBuyer) -> None:
        for _ in left:
            await buyer.buy(Intent(a=A, z=Z, bandwidth_bps=gbps * GBPS, duration_s=9_000))

    racing: list[Coroutine[Any, Any, None]] = [one(buyer) for buyer in world.buyers]
    await asyncio.gather(*racing)
    await asyncio.sleep(200)
    assert promises.broken(world.quiet()) == []


def leases(world: World, state: OrderState) -> list[Lease]:
    """The segments of an order in the books of their operators."""
    found = [world.quiet().lease(part, leg) for part, leg in zip(state.terms.parts, state.legs, strict=True)]
    return [lease for lease in found if lease is not None]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)])
def test_97_paths_at_concurrency_32_have_matching_labels(seed: int) -> None:
    world, active = raced(seed, WIDE, wants=97, at_once=32, gbps=1)
    assert len(active) >= 90, "the others were told so"
    mismatched, ends = 0, []
    for state in active:
        sold = [lease.segment for lease in leases(world, state)]
        assert len(sold) == len(state.legs) >= 3
        mismatched += sum(a.z.label != b.a.label for a, b in itertools.pairwise(sold))
        ends += [(end.interface, end.label) for segment in sold for end in (segment.a, segment.z)]
    assert mismatched == 0
    assert len(ends) == len(set(ends)), "a label was given twice"


@pytest.mark.parametrize("seed", range(3))
def test_90_gbps_wanted_ten_times_on_a_port_of_100_is_sold_once(seed: int) -> None:
    room = Room(labels="100-299", enni_bps=1000 * GBPS, inside_bps=100 * GBPS, site_labels="2-4000")
    _, active = raced(seed, room, wants=10, at_once=10, gbps=90)
    assert len(active) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_only_label_wanted_five_times_is_given_once(seed: int) -> None:
    room = Room(labels="100", enni_bps=1000 * GBPS, inside_bps=1000 * GBPS, site_labels="2-4000")
    _, active = raced(seed, room, wants=5, at_once=5, gbps=1)
    assert len(active) == 1

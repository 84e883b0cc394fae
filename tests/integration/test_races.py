"""32 buyers at once for the last of something: nothing is sold twice, no label is wrong, and nobody is left hanging."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from federation.client.lease import active, released
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Problem
from tests.support.federation import ENDS, GBPS, LINE, BrokerPlan, Plan, TinyFederation, tiny_federation

BUYERS = tuple(f"buyer-{number:02}" for number in range(32))
GIGABIT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=3600)
DESK = BrokerPlan(("first", *BUYERS)).patient()
REFUSALS = {"CAPACITY_CHANGED", "LABEL_TAKEN", "NO_FEASIBLE_PATH", "TOO_MANY_REQUESTS", "OPERATOR_REFUSED"}


def line(**members: object) -> tuple[Plan, ...]:
    """The three operators with other ENNIs."""
    return tuple(replace(plan, **members) for plan in LINE)  # type: ignore[arg-type]


async def buys(federation: TinyFederation, buyer: str, intent: Intent) -> OrderView | Problem:
    async with federation.client(buyer) as client:
        try:
            quote = await client.quote(intent)
            return await active(client, await client.order(quote.id))
        except Problem as problem:
            return problem


async def race(federation: TinyFederation, intent: Intent) -> list[OrderView]:
    """Everybody at once; the orders of those who won. Who lost was told why."""
    results = await asyncio.gather(*(buys(federation, buyer, intent) for buyer in BUYERS))
    lost = [one for one in results if isinstance(one, Problem)]
    assert {problem.code for problem in lost} <= REFUSALS, Counter(map(str, lost))
    assert all(problem.outcome in {"none", "undone"} for problem in lost), [p.as_dict() for p in lost]
    return [one for one in results if isinstance(one, OrderView)]


async def check_books(federation: TinyFederation, won: Sequence[OrderView]) -> None:
    """Operators have exactly the products of the winners; labels agree at every interconnect and are never shared."""
    found = await federation.products()
    for name, products in found.items():
        ours = {lease.product for order in won for lease in order.segments if lease.operator_name.lower() == name}
        assert set(products) == ours
    for order in won:
        assert order.state is State.ACTIVE
        for one, two in zip(order.segments, order.segments[1:], strict=False):
            assert one.z.label == two.a.label is not None
    for place in range(len(LINE) - 1):
        labels = [order.segments[place].z.label for order in won]
        assert len(set(labels)) == len(labels)


@pytest.mark.asyncio
async def test_the_last_gigabit_is_sold_once(tmp_path: Path) -> None:
    async with tiny_federation(tmp_path, line(enni_gbps=10), desk=DESK) as federation:
        nine = await buys(federation, "first", msgspec.structs.replace(GIGABIT, bandwidth_bps=9 * GBPS))
        assert isinstance(nine, OrderView)
        won = await race(federation, GIGABIT)
        assert len(won) <= 1
        await check_books(federation, [nine, *won])
        if not won:
            last = await buys(federation, BUYERS[0], GIGABIT)
            assert isinstance(last, OrderView), "holds of those who lost are gone"
            won = [last]
        async with federation.client(BUYERS[0]) as client:
            with pytest.raises(Problem):
                await client.quote(msgspec.structs.replace(GIGABIT, bandwidth_bps=1))


@pytest.mark.asyncio
async def test_the_last_labels_are_held_by_one_each_and_the_same_on_both_sides(tmp_path: Path) -> None:
    async with tiny_federation(tmp_path, line(enni_gbps=100, labels="100-107"), desk=DESK) as federation:
        small = msgspec.structs.replace(GIGABIT, bandwidth_bps=10**7)
        won = await race(federation, small)
        assert 1 <= len(won) <= 8
        await check_books(federation, won)
        rounds = [won]
        while sum(map(len, rounds)) < 8:
            rounds.append(await race(federation, small))
            assert rounds[-1], "labels are free, so somebody gets one"
        everything = [order for some in rounds for order in some]
        await check_books(federation, everything)
        assert {order.segments[0].z.label for order in everything} == set(range(100, 108))
        for buyer in BUYERS:
            async with federation.client(buyer) as client:
                for order in await client.orders():
                    await released(client, order)
        assert not any((await federation.products()).values())

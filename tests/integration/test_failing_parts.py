"""Nodes that are down, killed or late: the answer says who, nothing is left behind, and nothing is half bought."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from federation.client.broker import BrokerClient
from federation.client.lease import active, released
from federation.evidence.verify.stated import check_statement
from schemas.answer import OrderView
from schemas.intent import Intent
from schemas.lease import TERMINAL, State
from schemas.problem import PASSING, Problem
from schemas.request import Extension
from tests.support.federation import ENDS, GBPS, BrokerPlan, TinyFederation, retried, tiny_federation

LONG = bool(os.environ.get("PEERWAY_TEST_LONG"))
SEED = int(os.environ.get("PEERWAY_TEST_SEED", "20261121"))
KILLS = 60 if LONG else 8
INTENT = Intent(a=ENDS[0], z=ENDS[1], bandwidth_bps=GBPS, duration_s=3600)
WHOLE = msgspec.structs.replace(INTENT, bandwidth_bps=10 * GBPS)
SETTLE_POLLS = 24
HOLD_S = 5
WAIT_S = 5


@pytest_asyncio.fixture
async def federation(tmp_path: Path) -> AsyncIterator[TinyFederation]:
    # Short holds: what a killed broker held for a request that it never finished is free again after them.
    async with tiny_federation(tmp_path, desk=BrokerPlan(hold_s=HOLD_S)) as made:
        yield made


@pytest.mark.asyncio
async def test_an_operator_that_is_down_is_named_and_the_others_hold_nothing(federation: TinyFederation) -> None:
    federation.kill("south")
    async with federation.client() as client:
        with pytest.raises(Problem) as caught:
            await client.quote(WHOLE)
        assert caught.value.code in {"OPERATOR_UNREACHABLE", "NO_FEASIBLE_PATH"}
        assert "south" in str(caught.value).lower() + str(caught.value.extra).lower()
        assert caught.value.outcome in {"none", "undone"}
        await federation.start("south")
        held = await retried(lambda: client.quote(WHOLE))
        assert held.state is State.HELD, "north and middle must have let the whole 10 Gb/s go"


@pytest.mark.asyncio
async def test_an_expired_quote_is_refused_and_its_capacity_is_free(tmp_path: Path) -> None:
    async with tiny_federation(tmp_path, desk=BrokerPlan(hold_s=2)) as federation, federation.client() as client:
        quote = await retried(lambda: client.quote(WHOLE))  # a busy machine may take longer than the hold lasts
        while (await client.get_quote(quote.id)).state is State.HELD:
            await asyncio.sleep(0.1)
        with pytest.raises(Problem) as caught:
            await client.order(quote.id)
        assert caught.value.code == "QUOTE_EXPIRED"
        assert (await retried(lambda: client.quote(WHOLE))).state is State.HELD


def kill_points() -> list[tuple[str, str, float]]:
    """What is under way, who is killed, how many seconds after it began: chosen by the seed."""
    chance = random.Random(SEED)
    points = [
        (act, victim) for act in ("order", "extend", "release") for victim in ("broker", "north", "middle", "south")
    ]
    chosen = (
        [points[i % len(points)] for i in chance.sample(range(KILLS), KILLS)] if LONG else chance.sample(points, KILLS)
    )
    return [(act, victim, round(chance.uniform(0, 0.08), 4)) for act, victim in chosen]


@pytest.mark.asyncio
async def test_a_kill_between_any_two_steps_leaves_a_lease_everywhere_or_nowhere(federation: TinyFederation) -> None:
    for act, victim, delay_s in kill_points():
        try:
            await _killed_during(federation, act, victim, delay_s)
        except BaseException as error:
            error.add_note(f"seed {SEED}: {victim} killed {delay_s} s into {act}")
            raise


async def _killed_during(federation: TinyFederation, act: str, victim: str, delay_s: float) -> None:
    async with federation.client() as client:
        quote = await retried(lambda: client.quote(INTENT))
        key = f"{act}-{quote.id}"
        order = None if act == "order" else await active(client, await client.order(quote.id))
        doing = asyncio.ensure_future(_act(client, act, quote.id, order, key))
        await asyncio.sleep(delay_s)
        federation.kill(victim)
        await federation.start(victim)
        first = (await asyncio.gather(doing, return_exceptions=True))[0]
        assert isinstance(first, OrderView | Problem), first
        # The same request under the same key: the first answer, or the first effect.
        again = await retried(lambda: _again(client, act, quote.id, order, key))
        ours = [one for one in await client.orders() if one.quote == quote.id]
        assert [one.id for one in ours] == [again.id], "one quote, one order"
        settled = await _settled(client, again)
        await _everywhere_or_nowhere(federation, settled)
        ended = await _settled(client, await released(client, settled))
        assert ended.state in TERMINAL
        await _everywhere_or_nowhere(federation, ended)
        await _adds_up(client, ended)
        seen = await client.audit()
        assert seen.clean, seen


async def _adds_up(client: BrokerClient, ended: OrderView) -> None:
    """What it came to follows from what was signed, whether it was released, failed or expired."""
    stated = (await client.statement(ended.id)).statement
    check_statement(stated)
    assert ended.bill is not None
    assert stated.total == ended.bill.total
    was_active = any(change.state is State.ACTIVE for change in ended.history)
    assert (stated.active, stated.total.micro > 0) == (was_active, was_active)


async def _again(client: BrokerClient, act: str, quote_id: str, order: OrderView | None, key: str) -> OrderView:
    """Under the same key; an extension whose refusal has bound it under another one."""
    try:
        return await _act(client, act, quote_id, order, key)
    except Problem as problem:
        if act != "extend" or problem.code in PASSING:
            raise
        return await _act(client, act, quote_id, order, None)


async def _act(client: BrokerClient, act: str, quote_id: str, order: OrderView | None, key: str | None) -> OrderView:
    if order is None:
        return await client.order(quote_id, key)
    if act == "extend":
        return await client.extend(order.id, Extension(by_s=600), key)
    return await client.release(order.id, key)


async def _settled(client: BrokerClient, order: OrderView) -> OrderView:
    for _ in range(SETTLE_POLLS):
        if order.state is State.ACTIVE or order.state in TERMINAL:
            return order
        order = await client.get_order(order.id, WAIT_S)
    raise AssertionError(f"not settled: {order}")


async def _everywhere_or_nowhere(federation: TinyFederation, order: OrderView) -> None:
    """What the operators have in service is exactly what the order says."""
    wanted: dict[str, dict[str, str]] = {plan.name: {} for plan in federation.plans}
    if order.state is State.ACTIVE:
        wanted = {lease.operator_name.lower(): {str(lease.product): "active"} for lease in order.segments}
    found = await federation.products()
    for _ in range(SETTLE_POLLS):
        if found == wanted:
            return
        await asyncio.sleep(0.25)
        found = await federation.products()
    assert found == wanted, order

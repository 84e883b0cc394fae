"""Quoting against real operators over HTTP and gRPC: held, raced for, let go, gone around, and after kills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from federation.client.broker import BrokerClient
from schemas.answer import QuoteView
from schemas.intent import Intent
from schemas.lease import State
from schemas.price import Money
from schemas.problem import Outcome, Problem
from tests.support.federation import ENDS, GBPS, MIDDLE, NORTH, SOUTH, BrokerPlan, Plan, TinyFederation, tiny_federation

pytestmark = pytest.mark.asyncio(loop_scope="module")
BUYERS = tuple(f"buyer-{number}" for number in range(32))
SIDE = Plan(
    "side",
    (("bremen", "Bremen", 53.1, 8.8, "DE"), ("zurich", "Zurich", 47.4, 8.5, "CH")),
    {"north": "bremen", "south": "zurich"},
    gbps_hourly_micro=9_000_000,
    labels="100-101",
)
RING = (
    replace(NORTH, meets={"middle": "kiel", "side": "kiel"}),
    MIDDLE,
    replace(SOUTH, meets={"middle": "bolzano", "side": "bolzano"}),
    SIDE,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ring(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TinyFederation]:
    folder = tmp_path_factory.mktemp("ring")
    async with tiny_federation(folder, RING, desk=BrokerPlan(buyers=BUYERS)) as federation:
        yield federation


def intent(gbps: int = 1, **changes: Any) -> Intent:
    base: dict[str, Any] = {"a": ENDS[0], "z": ENDS[1], "bandwidth_bps": gbps * GBPS, "duration_s": 600}
    return Intent(**(base | changes))


OVER_MIDDLE = intent(10, operators_denied=("side",))


async def tried(client: BrokerClient, asked: Intent, key: str) -> QuoteView | Problem:
    try:
        return await client.quote(asked, key)
    except Problem as problem:
        return problem


def over(view: QuoteView) -> list[str]:
    return [segment.operator_name for segment in view.path.segments]


async def test_a_quote_holds_and_a_decline_lets_go(ring: TinyFederation) -> None:
    async with ring.client(BUYERS[0]) as client:
        view = await client.quote(intent(10), "all-of-it")
        assert view.state is State.HELD
        assert over(view) == ["North", "Middle", "South"]
        assert view == await client.quote(intent(10), "all-of-it"), "the same key has the same answer"
        labels = [(segment.a.label, segment.z.label) for segment in view.path.segments]
        assert labels[0][1] == labels[1][0]
        assert labels[1][1] == labels[2][0]
        assert view.total == Money("EUR", sum(segment.total.micro for segment in view.path.segments))
        second = await tried(client, OVER_MIDDLE, "more-of-it")
        assert isinstance(second, Problem)
        assert second.code in {"CAPACITY_CHANGED", "NO_FEASIBLE_PATH"}
        assert second.outcome in {Outcome.NONE, Outcome.UNDONE}
        assert (await client.decline(view.id, "no-thanks")).state is State.DECLINED
        await shown(client, OVER_MIDDLE)
        again = await client.quote(OVER_MIDDLE, "once-more")
        assert over(again) == ["North", "Middle", "South"]
        await client.decline(again.id, "no-thanks-2")


async def shown(client: BrokerClient, asked: Intent, tries: int = 2000) -> None:
    """Wait until the offers show what was let go."""
    for _ in range(tries):
        if (await client.search(asked)).found:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not offered: {asked}")


async def test_thirty_two_buyers_race_for_the_last_labels_and_gigabits(ring: TinyFederation) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(ring.client(buyer)) for buyer in BUYERS]
        await shown(clients[0], OVER_MIDDLE)
        # Side sells two labels, Middle ten gigabits: twelve buyers of one gigabit can win, and no more.
        answers = await asyncio.gather(*(tried(client, intent(), "race") for client in clients))
        pairs = zip(clients, answers, strict=True)
        await asyncio.gather(*(c.decline(view.id, "let-go") for c, view in pairs if isinstance(view, QuoteView)))
    won = [answer for answer in answers if isinstance(answer, QuoteView)]
    lost = [answer for answer in answers if isinstance(answer, Problem)]
    by_middle = [view for view in won if "Middle" in over(view)]
    by_side = [view for view in won if "Side" in over(view)]
    late = any(problem.code == "OPERATOR_UNREACHABLE" for problem in lost)
    assert len(by_middle) == 10 or (late and len(by_middle) < 10), [problem.detail for problem in lost]
    assert len(by_side) <= 2
    assert by_side or late
    # A machine under load may let an operator answer too late; that is no oversell either.
    expected = {"CAPACITY_CHANGED", "LABEL_TAKEN", "NO_FEASIBLE_PATH", "OPERATOR_UNREACHABLE"}
    assert {problem.code for problem in lost} <= expected
    for views in (by_middle, by_side):
        for place in (0, 1):
            labels = [view.path.segments[place].z.label for view in views]
            assert labels == [view.path.segments[place + 1].a.label for view in views]
            assert len(set(labels)) == len(labels), "one label was sold twice"


async def test_a_killed_operator_is_gone_around_and_named_where_there_is_no_other_way(ring: TinyFederation) -> None:
    async with ring.client(BUYERS[1]) as client:
        await shown(client, OVER_MIDDLE)
        await shown(client, intent(operators_denied=("middle",)))
        ring.kill("middle")
        view = await client.quote(intent(), "around")
        assert over(view) == ["North", "Side", "South"]
        found = await tried(client, OVER_MIDDLE, "none")
        assert isinstance(found, Problem)
        assert (found.code, found.outcome) == ("OPERATOR_UNREACHABLE", Outcome.UNDONE)
        assert [failed["operator_name"] for failed in found.extra["failed"]] == ["Middle"]
        await ring.start("middle")
        # All ten gigabits from North to Middle: what "none" held was let go.
        await shown(client, OVER_MIDDLE)
        assert over(await client.quote(OVER_MIDDLE, "after")) == ["North", "Middle", "South"]

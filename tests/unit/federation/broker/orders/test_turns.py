"""Calls to operators take turns: so many at once at each, the most urgent first, and nobody's turn is lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from federation.broker.orders.saga.effects import Act, AskLease, AskOutcome, SendConfirm, SendOrder, SendRelease
from federation.broker.orders.turns import Turns

pytestmark = pytest.mark.asyncio


class Desk:
    """Takes one turn after another, and notes who was there and how many at once."""

    def __init__(self, at_once: int) -> None:
        self.turns, self.gate = Turns(at_once), asyncio.Event()
        self.there: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.came: list[Act] = []

    async def call(self, operator: str, act: Act) -> None:
        async with self.turns.turn(operator, act):
            self.there[operator] += 1
            self.most |= self.there
            self.came.append(act)
            await self.gate.wait()
            self.there[operator] -= 1


async def some_steps() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_no_operator_is_called_more_often_at_once_and_each_has_its_own_turns() -> None:
    desk = Desk(4)
    calls = [asyncio.ensure_future(desk.call(f"o{n % 3}", AskOutcome(leg=0, turn=n))) for n in range(60)]
    await some_steps()
    assert desk.there == {"o0": 4, "o1": 4, "o2": 4}
    desk.gate.set()
    await asyncio.gather(*calls)
    assert desk.most == {"o0": 4, "o1": 4, "o2": 4}
    assert len(desk.came) == 60
    assert not desk.there.total()


async def test_what_brings_an_order_to_its_end_goes_before_what_begins_one() -> None:
    desk = Desk(1)
    waiting = [
        AskOutcome(leg=0, turn=1),
        SendOrder(leg=0, turn=2),
        AskOutcome(leg=0, turn=3),
        SendRelease(leg=0, turn=4),
        SendConfirm(leg=0, turn=5),
        AskLease(leg=0, turn=6),
        SendConfirm(leg=0, turn=7),
    ]
    calls = [asyncio.ensure_future(desk.call("o", act)) for act in (AskOutcome(leg=0, turn=0), *waiting)]
    await some_steps()
    desk.gate.set()
    await asyncio.gather(*calls)
    assert [act.turn for act in desk.came] == [0, 5, 7, 4, 2, 6, 1, 3]


@pytest.mark.parametrize("when", ["before its turn", "with its turn", "in its turn"])
async def test_who_is_cancelled_takes_nobodys_turn(when: str) -> None:
    desk = Desk(1)
    first, second, third = (asyncio.ensure_future(desk.call("o", SendOrder(leg=0, turn=n))) for n in range(3))
    await some_steps()
    if when == "before its turn":
        second.cancel()
    elif when == "with its turn":
        first.cancel()  # gives its turn to the second, which is cancelled before it knows
        await asyncio.sleep(0)
        second.cancel()
    else:
        first.cancel()
    await some_steps()
    desk.gate.set()
    await asyncio.gather(first, second, third, return_exceptions=True)
    assert desk.came[-1].turn == 2
    await asyncio.wait_for(desk.call("o", SendOrder(leg=0, turn=9)), 5)
    assert third.exception() is None

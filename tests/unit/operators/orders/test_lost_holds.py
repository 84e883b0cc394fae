"""A hold that was to be swapped for another while the disk failed, and somebody else has what it gave up: it is lost,
to whoever asks, after a restart too."""

from __future__ import annotations

import asyncio

import pytest

from operators.config import Sales
from operators.orders.fsm import Quote
from operators.orders.sweeping import Sweeper
from schemas.lease import State
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import Hash
from tests.unit.operators.orders.test_approving import Counter
from tests.unit.operators.orders.test_rising import sent

pytestmark = pytest.mark.asyncio


async def held(counter: Counter, label: int, replaces: Hash | None = None) -> Quote:
    record = await counter.ask(instant=True, by=None, label=label, replaces=replaces)
    quote = await counter.world.store.quote(record.id)
    assert quote is not None
    return quote


async def swapped_in_vain() -> tuple[Counter, Quote, Quote]:
    """The hold of label 100 that was lost, and the one that has this label now."""
    counter = Counter(Sales())
    await counter.world.start()
    lost = await held(counter, 100)
    counter.world.store.failing = 1
    swap = asyncio.ensure_future(held(counter, 101, lost.hash))
    others = asyncio.ensure_future(held(counter, 100))
    with pytest.raises(Problem, match="disk is full"):
        await swap
    return counter, lost, await others


async def order(counter: Counter, quote: Quote) -> None:
    await sent(counter, quote, action=Action.ADD, quote_h=quote.hash, path_root="R" * 43)


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_given_up_is_sold_once(restarted: bool) -> None:
    counter, lost, present = await swapped_in_vain()
    if restarted:
        await counter.world.start()
    with pytest.raises(Problem) as told:
        await order(counter, lost)
    assert told.value.code == "HOLD_LOST"
    await order(counter, present)
    assert [lease.segment.z.label for lease in counter.world.shop.leases.values()] == [100]
    await counter.world.pass_time(61)
    counter.world.assert_sound()


async def test_a_sweep_gives_it_to_nobody() -> None:
    counter, lost, present = await swapped_in_vain()
    sweeper = Sweeper(counter.world.shop, lambda orphan: None)
    await sweeper.sweep(0)
    await counter.world.pass_time(0)
    with pytest.raises(Problem, match="declined"):
        await order(counter, lost)
    await order(counter, present)
    row = await counter.world.store.quote(lost.id)
    assert row is not None
    assert row.state is State.DECLINED
    counter.world.assert_sound()


async def test_a_hold_that_a_sweep_finds_only_on_disk_and_that_still_fits_is_one_again() -> None:
    counter = Counter(Sales())
    await counter.world.start()
    quote = await held(counter, 100)
    counter.world.shop.quotes.clear()
    counter.world.shop.inventory.withdraw(quote.id)
    await Sweeper(counter.world.shop, lambda orphan: None).sweep(0)
    counter.world.assert_sound()
    await order(counter, quote)

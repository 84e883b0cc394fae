"""A segment on its way down: written down once where the network is quick, before and after where it is not, and as it
was where the disk fails."""

from __future__ import annotations

import asyncio

import pytest

from operators.config import Sales
from operators.fabric.null import NullDriver
from operators.orders.recovery import bring_back
from operators.orders.timers import RETRY_S
from schemas.lease import State
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import Id
from schemas.sonata.states import OrderState
from tests.support.operator_shop import MemoryStore
from tests.unit.operators.orders.test_approving import Counter
from tests.unit.operators.orders.test_rising import sent


class Watched(MemoryStore):
    """Notes the states in which leases are written down."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[State] = []

    async def commit(self, batch: object) -> None:
        await super().commit(batch)  # type: ignore[arg-type]
        self.states += [lease.state for lease in batch.leases]  # type: ignore[attr-defined]


class SlowDown(NullDriver):
    """Takes nothing down before it is let; `fail` is what it raises then."""

    def __init__(self) -> None:
        super().__init__()
        self.let, self.begun = asyncio.Event(), 0
        self.fail: Exception | None = None
        self.let.set()

    async def take_down(self, product: str) -> None:
        self.begun += 1
        await self.let.wait()
        if self.fail:
            raise self.fail
        await super().take_down(product)


async def up() -> tuple[Counter, Watched, SlowDown, Id]:
    """A segment that is UP: its product."""
    counter, store, driver = Counter(Sales()), Watched(), SlowDown()
    counter.world.store, counter.world.driver = store, driver
    await counter.world.start()
    quote = await store.quote((await counter.ask(instant=True, by=None)).id)
    assert quote is not None
    placed = await sent(counter, quote, action=Action.ADD, quote_h=quote.hash, path_root="R" * 43)
    assert placed.product is not None
    assert store.states == [State.COMMITTED, State.UP]
    store.states.clear()
    return counter, store, driver, placed.product


@pytest.mark.asyncio
async def test_a_quick_network_has_a_release_written_down_once() -> None:
    counter, store, driver, product = await up()
    record = await sent(counter, None, action=Action.RELEASE, product=product)
    assert (record.history[-1].state, record.document is not None) == (OrderState.COMPLETED, True)
    assert (store.states, driver.begun) == ([State.RELEASED], 1)
    history = [entry.state for entry in store.rows["leases"][product].history]
    assert history[-2:] == [State.RELEASING, State.RELEASED]
    counter.world.assert_sound()


@pytest.mark.asyncio
async def test_a_slow_network_has_it_written_down_before_it_is_done() -> None:
    counter, store, driver, product = await up()
    driver.let.clear()
    release = asyncio.ensure_future(sent(counter, None, action=Action.RELEASE, product=product))
    while not store.states:
        await asyncio.sleep(0)
    assert (store.states, release.done()) == ([State.RELEASING], False)
    driver.let.set()
    assert (await release).history[-1].state is OrderState.COMPLETED
    assert (store.states, driver.begun) == ([State.RELEASING, State.RELEASED], 1)
    counter.world.assert_sound()


@pytest.mark.asyncio
async def test_a_network_that_refuses_is_asked_again() -> None:
    counter, store, driver, product = await up()
    driver.fail = OSError("no route")
    record = await sent(counter, None, action=Action.RELEASE, product=product)
    assert (record.history[-1].state, store.states) == (OrderState.IN_PROGRESS, [State.RELEASING])
    counter.world.assert_sound()
    driver.fail = None
    await counter.world.pass_time(RETRY_S)
    assert store.states == [State.RELEASING, State.RELEASED]
    counter.world.assert_sound()


@pytest.mark.parametrize("slow", [False, True])
@pytest.mark.asyncio
async def test_a_disk_that_is_full_leaves_all_as_it_was(slow: bool) -> None:
    counter, store, driver, product = await up()
    store.failing = 1
    if slow:
        driver.let.clear()
    release = asyncio.ensure_future(sent(counter, None, action=Action.RELEASE, product=product))
    while slow and store.failing:
        await asyncio.sleep(0)
    driver.let.set()
    with pytest.raises(Problem, match="disk is full"):
        await release
    assert (store.states, counter.world.shop.leases[product].state) == ([], State.UP)
    counter.world.assert_sound()
    assert (await sent(counter, None, action=Action.RELEASE, product=product)).history[-1].state == "completed"
    counter.world.assert_sound()


@pytest.mark.asyncio
async def test_what_went_down_before_a_crash_without_a_word_is_up_again() -> None:
    counter, _, driver, product = await up()
    await driver.take_down(product)
    await counter.world.start()
    await bring_back(counter.world.shop)
    counter.world.assert_sound()
    assert (await sent(counter, None, action=Action.RELEASE, product=product)).history[-1].state == "completed"
    counter.world.assert_sound()

"""A network that takes minutes: orders are answered at once, segments rise beside the lock of their lease, and are
released, lapse or start again at any time."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from federation.sonata.asking import Ordered, order_body
from federation.sonata.asks import order_ask
from federation.sonata.protocols import Caller, OrderRecord
from operators.config import Sales
from operators.fabric.null import NullDriver
from operators.orders.fsm import Quote
from schemas.lease import State
from schemas.order import Order
from schemas.quote import Action
from schemas.segment import Id
from schemas.sonata.segment import OFFERING
from tests.support.footprints import ENTITY
from tests.support.seams import NOW
from tests.unit.operators.orders.test_approving import BROKER, PROFILE, Counter

SLOW = Sales(up_within_s=100, confirm_within_s=200)


class SlowDriver(NullDriver):
    """Brings nothing up before it is told to; `fail` is what it raises then."""

    def __init__(self) -> None:
        super().__init__()
        self.built, self.begun = asyncio.Event(), 0
        self.fail: Exception | None = None

    async def bring_up(self, product: str, wiring: Any) -> None:
        self.begun += 1
        await self.built.wait()
        if self.fail:
            raise self.fail
        await super().bring_up(product, wiring)


async def ordered() -> tuple[Counter, SlowDriver, Id]:
    """An order at a slow operator: its product."""
    counter, driver = Counter(SLOW), SlowDriver()
    counter.world.driver = driver
    await counter.world.start()
    record = await counter.ask(confirm_within_s=150)
    quote = await counter.world.store.quote(record.id)
    assert quote is not None
    placed = await sent(
        counter, quote, action=Action.ADD, quote_h=quote.hash, path_root="R" * 43, confirm_by=NOW + 1_000
    )
    assert [str(change.state) for change in placed.history] == ["acknowledged", "inProgress"]
    assert placed.expected_at == NOW + 100
    assert placed.product is not None
    lease = counter.world.shop.leases[placed.product]
    assert (lease.state, lease.confirm_by, lease.receipt is not None) == (State.COMMITTED, NOW + 150, True)
    return counter, driver, placed.product


@pytest.mark.asyncio
async def test_an_order_is_answered_before_its_segment_is_up() -> None:
    counter, driver, product = await ordered()
    await counter.world.pass_time(90)
    assert counter.world.shop.leases[product].state is State.COMMITTED
    driver.built.set()
    await asyncio.gather(*counter.world.shop.rising.values())
    await asyncio.sleep(0)
    await counter.world.pass_time(0)
    assert (counter.world.shop.leases[product].state, product in driver.up) == (State.UP, True)
    assert (driver.begun, counter.world.shop.rising) == (1, {})
    counter.world.assert_sound()


@pytest.mark.asyncio
async def test_what_rises_is_released_at_once_and_a_lapse_takes_it_down_free_of_charge() -> None:
    for end in ("release", "lapse"):
        counter, driver, product = await ordered()
        if end == "release":
            await sent(counter, None, action=Action.RELEASE, product=product)
        else:
            await counter.world.pass_time(150)
        lease = await counter.world.store.lease(product)
        assert lease is not None
        assert lease.bill is not None
        assert (lease.state, lease.bill.total.micro) == (State.RELEASED, 0)
        assert (counter.world.shop.rising, driver.up, counter.world.shop.inventory.claims()) == ({}, {}, ())
        counter.world.assert_sound()


@pytest.mark.asyncio
async def test_after_a_restart_it_rises_again_and_a_network_that_fails_is_said_to() -> None:
    counter, driver, product = await ordered()
    await counter.world.shop.lower()
    assert counter.world.shop.rising == {}
    await counter.world.start()
    await counter.world.pass_time(1)
    assert (driver.begun, counter.world.shop.leases[product].state) == (2, State.COMMITTED)
    driver.fail = OSError("no route")
    driver.built.set()
    await asyncio.wait(counter.world.shop.rising.values())
    await asyncio.sleep(0)
    await counter.world.pass_time(0)
    lease = await counter.world.store.lease(product)
    assert lease is not None
    assert lease.state is State.FAILED
    counter.world.assert_sound()


async def sent(counter: Counter, quote: Quote | None, **claims: Any) -> OrderRecord:
    """An order of the broker, of what was quoted or to release."""
    counter.asked += 1
    now = counter.world.clock.now()
    party = {"iss": BROKER, "sub": "b", "aud": ENTITY, "iat": now, "exp": now + 60, "jti": f"order-{counter.asked:016}"}
    order = Order(**party, **claims)
    ordered = Ordered(quote_id=quote.id, segment=quote.segment) if quote else None
    body = order_body(counter.world.gate.token(order), order, PROFILE, ordered, None)
    return await counter.world.desk.order(Caller(BROKER), order_ask(msgspec.json.encode(body), OFFERING))

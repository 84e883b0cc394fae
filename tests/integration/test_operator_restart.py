"""A restart finds everything as it was acknowledged, and makes the steps that time made meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.lease import State
from schemas.quote import Action
from schemas.segment import window
from schemas.sonata.states import OrderState, QuoteState
from tests.support.operator_world import HOUR, UNI_A, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio


async def test_a_held_quote_is_still_held_and_can_be_ordered(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.ask(plan(gbps=60))
    async with world.run():
        assert world.free(UNI_A) == 40
        assert (await world.broker.order(deal)).state is OrderState.COMPLETED
        await world.broker.confirm(deal)


async def test_a_hold_that_ran_out_meanwhile_has_expired(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.ask(plan(gbps=60))
    world.clock.advance(31)
    async with world.run():
        await world.run_due()
        world.assert_nothing_held()
        assert (await world.broker.sonata.get_quote(deal.answer.id)).state is QuoteState.EXPIRED


async def test_what_waits_for_its_confirm_still_does(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        first, second = await world.broker.ask(plan()), await world.broker.ask(plan())
        await world.broker.order(first)
        await world.broker.order(second)
    async with world.run():
        assert (await world.broker.confirm(first)).state is State.ACTIVE
        await world.pass_time(60)
        assert list(world.running.desk.shop.leases) == [first.product]


async def test_a_confirm_that_did_not_come_meanwhile_has_lapsed(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
    world.clock.advance(61)
    async with world.run():
        await world.run_due()
        world.assert_nothing_held()


async def test_a_lease_is_in_force_on_the_network_and_billed_on(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.lease(plan())
        claims = world.running.desk.shop.inventory.claims()
    world.driver.up.clear()
    world.clock.advance(1_000)
    async with world.run():
        assert world.running.desk.shop.inventory.claims() == claims
        released = await world.broker.release(deal)
        assert released.bill is not None
        assert released.bill.lines[1].micro == 250_000
        assert released.prev_h == deal.receipts[-1].prev_h


async def test_the_network_is_told_again_what_is_in_force(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.lease(plan())
    world.driver.up.clear()
    async with world.run():
        await world.broker.sonata.product(deal.product)
        assert list(world.driver.up) == [deal.product]


async def test_a_lease_that_was_to_start_meanwhile_starts(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.ask(plan(start=NOW + 600))
        await world.broker.order(deal)
    world.clock.advance(610)
    async with world.run():
        await world.run_due()
        product = await world.broker.sonata.product(deal.product)
        assert world.broker.note(deal, product.receipt_jws).state is State.UP
        await world.broker.confirm(deal)


async def test_an_extension_that_waits_is_confirmed_after_a_restart(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.lease(plan())
        added = plan(start=NOW + HOUR, duration_s=600)
        longer = await world.broker.ask(added, action=Action.MODIFY, product=deal.product)
        await world.broker.order(longer)
    async with world.run():
        (kept,) = world.running.desk.shop.inventory.claims()
        assert kept.end_s == NOW + HOUR + 600
        extended = await world.broker.confirm(longer)
        assert extended.segment.window == window(NOW, NOW + HOUR + 600)
    async with world.run():
        (claim,) = world.running.desk.shop.inventory.claims()
        assert (claim.start_s, claim.end_s) == (NOW, NOW + HOUR + 600)
        await world.broker.release(longer)
        world.assert_nothing_held()


async def test_a_document_is_replayed_across_a_restart(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
        token = world.broker.confirm_of(deal)
        receipt = await world.broker.send_confirm(token)
    async with world.run():
        assert await world.broker.send_confirm(token) == receipt


async def test_a_second_daemon_on_the_same_data_is_refused(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        with pytest.raises(Exception, match="in use by another process"):
            async with world.run():
                pass


async def test_offers_show_what_is_held_since_before(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        before = world.running.publisher.version
        await world.broker.lease(plan(gbps=60))
    world.clock.advance(5)
    async with world.run():
        assert world.running.publisher.version > before
        pages = world.running.publisher.sheet().pages
        assert f"[{NOW + HOUR},100000000000]".encode() in b"".join(pages)

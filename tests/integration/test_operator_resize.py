"""A real operator on loopback changes the bandwidth of a lease in force: held, ordered, confirmed, or as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from federation.trust.jose import sign_jws
from operators.fabric.null import NullDriver
from schemas.lease import State
from schemas.order import VOID_WITHIN_S
from schemas.price import Line
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import Segment, window
from schemas.sonata.states import OrderState
from tests.support.footprints import GBPS
from tests.support.operator_world import HOUR, UNI_A, Deal, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio
ELSEWHERE = "https://as2.example"


class Stiff(NullDriver):
    """A driver of a network in which nothing changes while it is up."""

    resizes = False


class Stubborn(NullDriver):
    """A driver that refuses `refusing` changes of what is up."""

    refusing = 0

    async def bring_up(self, product: str, wiring: Any) -> None:
        if product in self.up and self.refusing:
            self.refusing -= 1
            raise RuntimeError("the switch says no")
        await super().bring_up(product, wiring)


class Late(NullDriver):
    """A driver that does changes of what is up, and says so only once `late` is over."""

    late: Callable[[], None] | None = None

    async def bring_up(self, product: str, wiring: Any) -> None:
        known = product in self.up
        await super().bring_up(product, wiring)
        if known and self.late is not None:
            over, self.late = self.late, None
            over()


def resized(deal: Deal, gbps: int, now: int) -> dict[str, Any]:
    """What is asked for to give a lease another bandwidth from now on."""
    held: Segment = deal.receipts[-1].segment
    asked = structs.replace(held, bandwidth_bps=gbps * GBPS, window=window(now, held.window.end_s))
    return {"segment": asked, "action": Action.MODIFY, "product": deal.product}


def carried(world: OperatorWorld, deal: Deal) -> int:
    return int(world.driver.up[deal.product].segment.bandwidth_bps) // GBPS


async def changed(world: OperatorWorld, deal: Deal, gbps: int) -> Deal:
    """A lease whose bandwidth was changed."""
    change = await world.broker.ask(**resized(deal, gbps, world.clock.now()))
    await world.broker.order(change)
    await world.broker.confirm(change)
    return change


async def test_more_and_then_less_is_billed_by_the_second(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        world.clock.advance(1_000)
        more = await world.broker.ask(**resized(deal, 40, NOW + 1_000))
        assert (more.held.lines[0], world.free(UNI_A, NOW + 1_000)) == (Line("set_up", 0), 60)
        placed = await world.broker.order(more)
        pending = more.receipts[-1]
        assert (placed.state, pending.segment, pending.confirm_by) == (
            OrderState.IN_PROGRESS, deal.held.segment, NOW + 1_060,
        )  # fmt: skip
        assert (carried(world, deal), world.free(UNI_A, NOW + 1_000)) == (40, 60)
        world.clock.advance(10)
        now40 = await world.broker.confirm(more)
        assert (now40.state, now40.segment.bandwidth_bps, now40.segment.window) == (
            State.ACTIVE, 40 * GBPS, window(NOW, NOW + HOUR),
        )  # fmt: skip
        world.clock.advance(90)
        less = await changed(world, more, 20)
        assert (carried(world, deal), world.free(UNI_A, NOW + 1_100)) == (20, 60), "until that is final"
        await world.pass_time(61 + VOID_WITHIN_S)
        assert world.free(UNI_A, NOW + 2_061) == 80
        bill = (await world.broker.release(less)).bill
        assert bill is not None
        # ports at 250 and bandwidth at 14.4444 (per 1 Gb/s) micro-units a second: 1,010 s of 10, 90 of 40, 961 of 20
        assert [(line.name, line.micro) for line in bill.lines] == [
            ("set_up", 2_000_000),
            ("port", 252_500),
            ("bandwidth", 145_889),
            ("port", 22_500),
            ("bandwidth", 52_000),
            ("port", 240_250),
            ("bandwidth", 277_623),
            ("minimum", 0),
            ("exit", 5_000_000),
        ]
        world.assert_nothing_held()


async def test_what_does_not_fit_is_refused_and_what_is_not_confirmed_lapses(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        refusal = (await world.broker.ask(**resized(deal, 101, NOW))).answer.refusal
        assert refusal is not None
        assert (refusal.code, refusal.extra["free"]) == ("CAPACITY_CHANGED", 90 * GBPS)
        for gbps, field in ((10, "segment.bandwidth_bps"), (20, "segment.window")):
            asked = resized(deal, gbps, NOW)
            if gbps == 20:
                asked["segment"] = structs.replace(asked["segment"], window=window(NOW, NOW + HOUR + 1))
            with pytest.raises(Problem) as caught:
                await world.broker.ask(**asked)
            assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", field)
        more = await world.broker.ask(**resized(deal, 40, NOW))
        await world.broker.order(more)
        assert carried(world, deal) == 40
        await world.pass_time(60)
        assert (carried(world, deal), world.free(UNI_A)) == (10, 90)
        with pytest.raises(Problem):
            await world.broker.confirm(more)
        assert world.running.desk.shop.leases[deal.product].segment == deal.held.segment


@pytest.mark.parametrize("gbps", [4, 40])
async def test_a_change_that_another_did_not_confirm_is_taken_back(tmp_path: Path, gbps: int) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        world.clock.advance(100)
        change = await changed(world, deal, gbps)
        world.clock.advance(50)
        back = await world.broker.confirm(change, void=ELSEWHERE)
        assert (back.state, back.segment) == (State.ACTIVE, deal.held.segment)
        assert (carried(world, deal), world.free(UNI_A)) == (10, 90)
        world.clock.advance(850)
        bill = (await world.broker.release(deal, prev_h=None)).bill
        assert bill is not None
        assert [line.micro for line in bill.lines[1:3]] == [250_000, 144_445], "as if it had never been"


async def test_a_change_that_is_final_is_not_taken_back(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        change = await changed(world, await world.broker.lease(plan()), 4)
        await world.pass_time(60 + VOID_WITHIN_S)
        with pytest.raises(Problem) as caught:
            await world.broker.confirm(change, void=ELSEWHERE)
        assert caught.value.code == "INCOMPATIBLE_STATE"


async def test_a_network_that_cannot_change_sells_no_change(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    world.driver = Stiff()
    async with world.run():
        deal = await world.broker.lease(plan())
        with pytest.raises(Problem) as caught:
            await world.broker.ask(**resized(deal, 20, NOW))
        assert (caught.value.code, caught.value.field) == ("NOT_IMPLEMENTED", "segment.bandwidth_bps")


async def test_a_network_that_says_no_leaves_everything_as_it_was(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    world.driver = driver = Stubborn()
    async with world.run():
        deal = await world.broker.lease(plan())
        driver.refusing = 1
        more = await world.broker.ask(**resized(deal, 40, NOW))
        document = world.broker.order_of(more)
        answer = await world.broker.sonata.order(
            sign_jws(world.broker.key, document), document, world.broker.ordered(more)
        )
        assert answer.refusal is not None
        assert (answer.refusal.code, carried(world, deal)) == ("OPERATOR_REFUSED", 10)
        assert world.running.desk.shop.leases[deal.product].amendment is None


@pytest.mark.parametrize("how", ["lapse", "take back"])
async def test_a_network_that_gave_up_too_late_what_was_not_confirmed_in_time_has_it_again(
    tmp_path: Path, how: str
) -> None:
    world = OperatorWorld(tmp_path)
    world.driver = driver = Late()
    async with world.run():
        deal = await world.broker.lease(plan())
        less = await world.broker.ask(**resized(deal, 4, NOW))
        await world.broker.order(less)
        driver.late = lambda: world.clock.advance(60)
        with pytest.raises(Problem):
            await world.broker.confirm(less)
        if how == "lapse":
            await world.pass_time(1)
        else:
            await world.broker.confirm(less, void=ELSEWHERE)
        assert world.running.desk.shop.leases[deal.product].segment == deal.held.segment
        assert carried(world, deal) == 10, "what is billed is there"


async def test_what_the_network_did_and_denied_is_put_back(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    world.driver = driver = Late()
    async with world.run():
        deal = await world.broker.lease(plan())
        more = await world.broker.ask(**resized(deal, 40, NOW))

        def denied() -> None:
            raise RuntimeError("the switch says no")

        driver.late, document = denied, world.broker.order_of(more)
        answer = await world.broker.sonata.order(
            sign_jws(world.broker.key, document), document, world.broker.ordered(more)
        )
        assert answer.refusal is not None
        assert carried(world, deal) == 10, "nobody has more than is sold"


async def test_a_change_survives_a_restart_at_every_step(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.lease(plan())
        more = await world.broker.ask(**resized(deal, 40, NOW))
    async with world.run():
        await world.broker.order(more)
    world.driver.up.clear()
    async with world.run():
        assert (carried(world, deal), world.free(UNI_A)) == (40, 60)
        await world.broker.confirm(more)
    world.driver.up.clear()
    async with world.run():
        assert (carried(world, deal), world.free(UNI_A)) == (40, 60)
        await world.broker.confirm(more, void=ELSEWHERE)
        assert (carried(world, deal), world.free(UNI_A)) == (10, 90)
        await world.broker.release(deal, prev_h=None)
        world.assert_nothing_held()

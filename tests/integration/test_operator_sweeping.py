"""A real operator whose books, memory or network lost something: each kind of orphan is planted, found, set right."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from operators.cli.main import main
from operators.fabric.driver import Wiring
from operators.orders.keeping import Batch
from operators.orders.orphans import Kind, Orphan
from operators.orders.sweeping import WRONG_FOR_S, Sweeper
from schemas.lease import State
from tests.support.operator_world import HOUR, OperatorWorld, plan

pytestmark = pytest.mark.asyncio


def sweeper_of(world: OperatorWorld) -> tuple[Sweeper, list[str]]:
    noted: list[str] = []
    return Sweeper(world.running.desk.shop, lambda found: noted.append(found.kind.value)), noted


def told(world: OperatorWorld, *arguments: str) -> tuple[int, str]:
    """What the command says, and its exit status."""
    result = CliRunner().invoke(main, ["audit", "--config", str(world.folder / "operator.toml"), *arguments])
    return result.exit_code, result.output


async def test_sound_books_have_no_orphan_and_are_left_alone(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        await world.broker.ask(plan(gbps=1))
        await world.broker.lease(plan(gbps=1))
        sweeper, noted = sweeper_of(world)
        before = world.running.desk.shop.inventory.claims()
        assert (await sweeper.sweep(0), noted) == ((), [])
        assert world.running.desk.shop.inventory.claims() == before
        assert await asyncio.to_thread(told, world) == (0, "0 found\n")


async def test_a_claim_without_a_row_is_given_back(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(gbps=10))
        shop, (sweeper, noted) = world.running.desk.shop, sweeper_of(world)
        claim = shop.inventory.claim(shop.leases[deal.product].claim)
        assert claim is not None
        lost = structs.replace(claim, id="nobody", ends=(), bandwidth_bps=10**9)
        await shop.commit(Batch(claims=[lost]))
        in_memory = structs.replace(lost, id="nobody-either")
        shop.inventory.restore(in_memory)
        status, text = await asyncio.to_thread(told, world)
        assert (status, "2 found" in text, "nobody-either" in text) == (1, True, True)

        assert {one.kind for one in await sweeper.sweep()} == {Kind.CLAIM}
        assert shop.inventory.claim("nobody") is not None, "one round sets nothing right"
        world.clock.advance(WRONG_FOR_S)
        await sweeper.sweep()
        assert noted == ["claim", "claim"]
        assert [one.id for one in shop.inventory.claims()] == [claim.id]
        assert [one.id for one in (await shop.store.live()).claims] == [claim.id]
        assert await sweeper.audit() == ()


async def test_a_person_may_sweep_while_a_round_sets_things_right(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(gbps=10))
        shop, (sweeper, _) = world.running.desk.shop, sweeper_of(world)
        claim = shop.inventory.claim(shop.leases[deal.product].claim)
        assert claim is not None
        shop.inventory.restore(structs.replace(claim, id="one", ends=(), bandwidth_bps=1))
        shop.inventory.restore(structs.replace(claim, id="two", ends=(), bandwidth_bps=1))
        set_right = sweeper._set_right

        async def beside(orphan: Orphan) -> None:
            sweeper._set_right = set_right  # type: ignore[method-assign]
            await sweeper.sweep(0)
            assert await sweeper.sweep(0) == (), "nothing is left"
            await set_right(orphan)

        sweeper._set_right = beside  # type: ignore[method-assign]
        await sweeper.sweep(0)
        await sweeper.sweep(0)
        assert [one.id for one in shop.inventory.claims()] == [claim.id]


async def test_a_lease_or_hold_without_a_claim_gets_it_back(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        held = await world.broker.ask(plan(gbps=1))
        deal = await world.broker.lease(plan(gbps=10))
        shop, (sweeper, noted) = world.running.desk.shop, sweeper_of(world)
        claims = shop.inventory.claims()
        await shop.commit(Batch(freed=[claim.id for claim in claims]))
        assert shop.inventory.claims() == ()
        found = await sweeper.sweep(0)
        assert {(one.kind, one.what) for one in found} == {
            (Kind.UNCLAIMED, held.answer.id), (Kind.UNCLAIMED, deal.product)
        }  # fmt: skip
        assert {claim.id: claim for claim in shop.inventory.claims()} == {claim.id: claim for claim in claims}
        assert (await sweeper.audit(), noted) == ((), ["unclaimed"] * 2)


async def test_rows_that_memory_lost_come_back_and_make_the_step_that_is_due(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        await world.broker.ask(plan(gbps=1))
        deal = await world.broker.lease(plan(gbps=1))
        shop, (sweeper, noted) = world.running.desk.shop, sweeper_of(world)
        shop.quotes.clear()
        lease = shop.leases.pop(deal.product)
        assert [one.kind for one in await sweeper.sweep(0)] == [Kind.FORGOTTEN] * 2
        assert (shop.leases[deal.product], len(shop.quotes), noted) == (lease, 1, ["forgotten"] * 2)
        shop.leases.pop(deal.product)
        world.clock.advance(2 * HOUR)
        await sweeper.sweep(0)
        await world.run_due()
        await world.run_due()
        world.assert_nothing_held()


async def test_a_step_that_no_timer_makes_is_made(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan(gbps=1))
        await world.broker.order(deal)
        shop, (sweeper, _) = world.running.desk.shop, sweeper_of(world)
        assert shop.leases[deal.product].state is State.UP
        shop.timers._heap.clear()
        world.clock.advance(119)
        assert await sweeper.audit() == (), "it may be late for a moment"
        world.clock.advance(1)
        found = await sweeper.sweep(0)
        assert [(one.kind, one.what) for one in found] == [(Kind.OVERDUE, deal.product)]
        assert found[0].broker == world.broker.node.entity
        await world.run_due()
        world.assert_nothing_held()


async def test_what_the_network_carries_for_nobody_is_taken_down_and_what_it_lost_comes_up(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(gbps=1))
        (sweeper, noted), wired = sweeper_of(world), world.driver.up.pop(deal.product)
        await world.driver.bring_up("of-nobody", Wiring(plan(), ("link-b--c",)))
        found = await sweeper.sweep(0)
        assert {(one.kind, one.what) for one in found} == {(Kind.NETWORK, "of-nobody"), (Kind.DARK, deal.product)}
        assert world.driver.up == {deal.product: wired}
        assert (await sweeper.audit(), sorted(noted)) == ((), ["dark", "network"])


async def test_orphans_on_disk_are_found_after_a_restart(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    async with world.run():
        deal = await world.broker.lease(plan(gbps=1))
    with closing(sqlite3.connect(tmp_path / "data" / "operator.sqlite")) as database:
        database.execute("DELETE FROM leases WHERE id = ?", (deal.product,))
        database.commit()
    async with world.run():
        status, text = await asyncio.to_thread(told, world, "--sweep")
        assert (status, "2 found" in text, f"network  {deal.product}" in text) == (1, True, True)
        assert await asyncio.to_thread(told, world) == (0, "0 found\n")
        world.assert_nothing_held()

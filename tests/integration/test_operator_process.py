"""Operators as real processes: ready lines, SIGTERM, `kill -9`, ports in use, and files that are wrong."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from federation.cli.demo.processes import OPERATOR, Launch, Node, Processes, launched
from federation.node.seams import SystemClock
from schemas.lease import State
from schemas.sonata.states import OrderState, ProductStatus
from tests.support.footprints import ENTITY
from tests.support.forks import forked
from tests.support.operator_world import OperatorWorld, plan

pytestmark = pytest.mark.asyncio
START_S = 30


@asynccontextmanager
async def daemon(world: OperatorWorld, launch: Launch = forked) -> AsyncIterator[Node]:
    """One `peerway-operator serve`, with brokers connected to it."""
    async with Processes(world.folder, launch) as processes:
        node = spawn(processes, world.folder / "operator.toml")
        await processes.ready(node)
        async with AsyncExitStack() as stack:
            base = f"https://127.0.0.1:{node.ready[0]['http']}/mefApi/sonata"
            await stack.enter_async_context(world.broker.connected(base, node.ready[0]["grpc"]))
            yield node


def spawn(processes: Processes, *configs: Path) -> Node:
    return processes.start("daemon", [*OPERATOR, *(part for config in configs for part in ("--config", str(config)))])


async def stopped(node: Node, number: int) -> int:
    node.process.send_signal(number)
    return await asyncio.to_thread(node.process.wait, START_S)


def world_now(tmp_path: Path) -> OperatorWorld:
    """A world whose documents are of the real present, since the daemon has the real clock."""
    return OperatorWorld(tmp_path, now=SystemClock().now())


@pytest.mark.parametrize("launch", [launched, forked])
async def test_it_says_when_it_is_ready_and_stops_when_told(tmp_path: Path, launch: Launch) -> None:
    world = world_now(tmp_path)
    async with daemon(world, launch) as running:
        (ready,) = running.ready
        assert ready["ready"] == ENTITY
        assert ready["offers"] == 12
        assert ready["ms"] < 5_000
        assert await stopped(running, signal.SIGTERM) == 0


async def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    world = world_now(tmp_path)
    now = world.clock.now()
    async with daemon(world) as running:
        active = await world.broker.lease(plan(start=now))
        ordered = await world.broker.ask(plan(start=now))
        await world.broker.order(ordered)
        assert await stopped(running, signal.SIGKILL) == -signal.SIGKILL
    async with daemon(world) as running:
        sonata = world.broker.sonata
        assert {p.id for p in await sonata.products(ProductStatus.ACTIVE)} == {active.product, ordered.product}
        again = await sonata.find_order(ordered.order_jti)
        assert again is not None
        assert (again.state, again.product) == (OrderState.COMPLETED, ordered.product)
        assert (await world.broker.confirm(ordered)).state is State.ACTIVE
        for deal in (active, ordered):
            assert (await world.broker.release(deal)).state is State.RELEASED
        assert await sonata.products(ProductStatus.ACTIVE) == ()


async def test_kill_9_in_the_middle_of_many_orders_loses_none_that_was_answered(tmp_path: Path) -> None:
    world = world_now(tmp_path)
    now = world.clock.now()
    async with daemon(world) as running:
        deals = [await world.broker.ask(plan(z="uni-b", gbps=1, start=now)) for _ in range(8)]
        placing = [asyncio.ensure_future(world.broker.order(deal)) for deal in deals]
        await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
        await stopped(running, signal.SIGKILL)
        await asyncio.gather(*placing, return_exceptions=True)
    answered = {deal.product for deal in deals if deal.placed is not None}
    assert answered
    async with daemon(world) as running:
        there = {p.id for p in await world.broker.sonata.products()}
        assert answered <= there
        assert len(there) <= len(deals)


async def test_two_operators_share_a_process(tmp_path: Path) -> None:
    worlds = [world_now(tmp_path / name) for name in ("one", "two")]
    async with Processes(tmp_path, forked) as processes:
        node = spawn(processes, *(world.folder / "operator.toml" for world in worlds))
        await processes.ready(node, len(worlds))
        assert len({line["http"] for line in node.ready} | {line["grpc"] for line in node.ready}) == 4
        assert await stopped(node, signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("operator.toml", "set_up_micro = 2_000_000", "set_up_micro = -2", "route_classes[0].rates.set_up_micro"),
        ("footprint.json", '"pop": "a"', '"pop": "nowhere"', "'nowhere' is not the id of any PoP"),
        ("key.json", '"d"', '"e"', "no private key"),
        ("trust/members", ENTITY, "https://as7.example", "no member of the trust domain"),
    ],
)
async def test_a_file_that_is_wrong_is_named_in_one_line(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    world = world_now(tmp_path)
    path = world.folder / file
    path.write_text(path.read_text().replace(old, new))
    errors = await failed(world)
    assert said in errors
    assert len(errors.strip().splitlines()) == 1


async def failed(world: OperatorWorld) -> str:
    async with Processes(world.folder, forked) as processes:
        node = spawn(processes, world.folder / "operator.toml")
        status = await asyncio.to_thread(node.process.wait, START_S)
        errors = node.log.read_text()
    assert status == 2, errors
    return errors


@pytest.mark.parametrize("listener", ["http", "grpc"])
async def test_a_port_in_use_is_named(tmp_path: Path, listener: str) -> None:
    first, second = world_now(tmp_path / "one"), world_now(tmp_path / "two")
    async with daemon(first) as running:
        path = second.folder / "operator.toml"
        taken = str(running.ready[0][listener])
        path.write_text(path.read_text().replace(f"{listener}_port = 0", f"{listener}_port = {taken}"))
        errors = await failed(second)
        assert taken in errors.splitlines()[-1]
        assert "Traceback" not in errors

"""The mesh of a real operator: sheets, deltas, lease events, and calls that are refused."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import pytest

from federation.node.rpc import SERVER_OPTIONS
from federation.trust.jose import verify_jws
from federation.trust.merkle import merkle_root
from operators.api.mesh import serve_mesh
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.offer import Delta, Manifest, Offer, Page, steps_least
from schemas.problem import Problem
from tests.support.footprints import ENTITY, GBPS
from tests.support.operator_world import HOUR, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio
WAIT_S = 10


def offers(items: tuple[Any, ...]) -> dict[str, Offer]:
    return {item.id: item for item in items if isinstance(item, Offer)}


async def sheet(world: OperatorWorld) -> tuple[Manifest, list[Page]]:
    call = world.broker.mesh.GetSheet(pb.GetSheetRequest(), timeout=WAIT_S)
    parts = [part async for part in call]
    pages = [part.page for part in parts[1:]]
    keys = {world.key.kid: world.key.key.public_key()}
    manifest = verify_jws(parts[0].manifest.decode(), Manifest, keys, now=world.clock.now(), iss=ENTITY)
    assert (manifest.root, manifest.pages) == (merkle_root(pages), len(pages))
    return manifest, [msgspec.json.decode(page, type=Page) for page in pages]


async def test_a_sheet_and_the_deltas_after_it(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        manifest, pages = await sheet(world)
        before = offers(pages[0].items)
        # six pairs of four interfaces, in class any and in class domestic, for all of them are in NL
        assert sorted(before) == [f"{name}:m{index}" for name in ("any", "domestic") for index in range(6)]

        request = pb.WatchOffersRequest(from_version=manifest.version)
        watching = world.broker.mesh.WatchOffers(request, timeout=WAIT_S)
        deal = await world.broker.ask(plan())
        message = await watching.read()
        keys = {world.key.kid: world.key.key.public_key()}
        delta = verify_jws(message.delta.decode(), Delta, keys, now=world.clock.now(), iss=ENTITY)
        assert (delta.from_version, delta.to_version) == (manifest.version, manifest.version + 1)
        after = offers(delta.put)
        sold = [o for o in after.values() if {o.a, o.z} == {"uni-a", "uni-c"} and o.route_class == "any"]
        assert [steps_least(o.free, NOW, NOW + HOUR) for o in sold] == [90 * GBPS]
        # what the offer says is what the quote costs and promises
        assert (sold[0].hourly_micro, sold[0].gbps_hourly_micro) == (
            deal.held.tariff.hourly_micro,
            deal.held.tariff.gbps_hourly_micro,
        )
        assert sold[0].promise == deal.held.promise
        watching.cancel()

        later, pages = await sheet(world)
        assert later.version == delta.to_version
        assert offers(pages[0].items) == before | after


async def test_a_version_that_is_too_old_is_out_of_range(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        call = world.broker.mesh.WatchOffers(pb.WatchOffersRequest(from_version=7), timeout=WAIT_S)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_broker_is_told_of_what_it_did_not_ask_for_and_of_no_lease_of_another(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        calls = [broker.mesh.WatchLeases(pb.WatchLeasesRequest(), timeout=WAIT_S) for broker in world.brokers]
        events = world.running.desk.shop.events
        while sum(map(len, events._watchers.values())) < 2:
            await asyncio.sleep(0)
        deal = await world.broker.lease(plan())
        await world.pass_time(2 * HOUR)
        # What the broker asked for it has read in the answers; that the window is over it is told.
        seen = await calls[0].read()
        assert (seen.product, seen.state, seen.at_ms) == (deal.product, "RELEASED", world.clock.now() * 1000)
        other = asyncio.ensure_future(calls[1].read())
        await asyncio.sleep(0)
        assert not other.done()
        for call in calls:
            call.cancel()
        await asyncio.gather(other, return_exceptions=True)


async def test_calls_without_a_deadline_are_refused(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        mesh = world.broker.mesh
        for call in (mesh.GetSheet(pb.GetSheetRequest()), mesh.WatchLeases(pb.WatchLeasesRequest())):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_port_in_use_is_said_so(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world, AsyncExitStack() as stack:
        tls = world.running.mutual.tls.server_credentials()
        with pytest.raises(Problem, match=f"{world.running.grpc}"):
            await serve_mesh(grpc.aio.server(options=SERVER_OPTIONS), tls, "127.0.0.1", world.running.grpc, stack)

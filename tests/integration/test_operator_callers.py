"""Who gets as far as the operator daemon's handlers, by HTTP and by gRPC, and how often."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import pytest

from federation.node.audit import FILE
from federation.node.callers import WRONG_KEYS
from federation.node.mtls.own import LEAF, Own
from federation.trust.certificates import pem
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshStub
from schemas.problem import Problem
from tests.support.operator_world import BROKER, PLAIN_KEY, PLENTY, OperatorWorld
from tests.support.seams import FixedClock
from tests.support.speaking import BEGIN, Node

pytestmark = pytest.mark.asyncio
WAIT_S = 10
PRODUCTS = "mefApi/sonata/productInventory/v8/product"
STRANGER = "https://stranger.example"


def shown(world: OperatorWorld, leaf_file: Path | None) -> ssl.SSLContext:
    """A client that believes the operator and shows any leaf, or none."""
    context = ssl.create_default_context(cadata=pem(world.node.certificate).decode())
    if leaf_file is not None:
        context.load_cert_chain(leaf_file)
    return context


async def status(world: OperatorWorld, leaf_file: Path | None, key: str | None = None) -> int | None:
    """What Sonata answers; None where TLS ends the connection."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    connector = aiohttp.TCPConnector(ssl=shown(world, leaf_file))
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"{world.origin}/{PRODUCTS}", headers=headers) as response,
        ):
            return response.status
    except (aiohttp.ClientError, ssl.SSLError, ConnectionError):
        return None


@asynccontextmanager
async def calling(world: OperatorWorld, leaf_file: Path | None) -> AsyncIterator[Any]:
    """The mesh, as whoever shows this leaf."""
    pair: tuple[bytes | None, bytes | None] = (None, None)
    if leaf_file is not None:
        secret, found, chain = leaf_file.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        pair = secret, found + chain
    credentials = grpc.ssl_channel_credentials(pem(world.node.certificate), *pair)
    async with grpc.aio.secure_channel(f"127.0.0.1:{world.running.grpc}", credentials) as channel:
        yield MeshStub(channel)


async def mesh_code(world: OperatorWorld, leaf_file: Path | None) -> grpc.StatusCode:
    """How the mesh ends a call of whoever shows this leaf."""
    async with calling(world, leaf_file) as mesh:
        try:
            async for _ in mesh.GetSheet(pb.GetSheetRequest(), timeout=WAIT_S):
                pass
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def expired(node: Node) -> Path:
    """A leaf of this member that ended long ago."""
    folder = node.own.leaf_file.parent
    kept = node.own.leaf_file.read_bytes()
    Own.open(folder, node.entity, ("gone.example",), FixedClock(BEGIN), life_s=86_400)
    old = folder / "expired.pem"
    old.write_bytes((folder / LEAF).read_bytes())
    node.own.leaf_file.write_bytes(kept)
    return old


async def test_a_member_that_is_a_broker_is_let_in(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        for broker in world.brokers:
            assert await status(world, broker.node.own.leaf_file) == 200
            assert await mesh_code(world, broker.node.own.leaf_file) is grpc.StatusCode.OK


async def test_without_a_certificate_nobody_gets_to_the_mesh_and_only_a_key_gets_to_sonata(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        assert await mesh_code(world, None) is grpc.StatusCode.UNAVAILABLE
        assert [await status(world, None, key) for key in (None, "guessed", PLAIN_KEY)] == [401, 401, 200]
        async with world.session.get(f"{world.origin}/peerway/v1/documents/{'h' * 43}") as answer:
            assert answer.status == 401
            assert (await answer.json(content_type=None))["detail"] == "the caller is not known here"


async def test_where_no_plain_buyer_is_configured_tls_itself_asks_for_a_certificate(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    path = tmp_path / "operator.toml"
    path.write_text(path.read_text().replace("[[buyers]]\nname", "# ").replace("key_sha256", "# "))
    async with world.run():
        assert await status(world, None, PLAIN_KEY) is None
        assert await status(world, world.broker.node.own.leaf_file) == 200


async def test_wrong_keys_of_one_address_are_counted_and_members_go_on(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        guesses = [await guessed(world, f"guess-{number}") for number in range(WRONG_KEYS.burst + 5)]
        assert guesses == [401] * WRONG_KEYS.burst + [429] * 5
        assert await guessed(world, PLAIN_KEY) == 429, "or the answer would tell that it is the right one"
        assert await guessed(world, PLAIN_KEY, "127.0.0.2") == 404, "no such document, so the key is known"
        assert await status(world, world.broker.node.own.leaf_file) == 200
        world.clock.advance(1)
        assert [await guessed(world, key) for key in (PLAIN_KEY, "guess", PLAIN_KEY)] == [404, 401, 429]
        assert (tmp_path / "data" / FILE).read_text().count("this key is not known here") <= WRONG_KEYS.burst + 1


async def guessed(world: OperatorWorld, key: str, address: str = "127.0.0.1") -> int:
    """What a bearer key gets from an address, where a document is asked for that is not there."""
    connector = aiohttp.TCPConnector(ssl=shown(world, None), local_addr=(address, 0))
    async with (
        aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {key}"}) as session,
        session.get(f"{world.origin}/peerway/v1/documents/{'h' * 43}") as response,
    ):
        return response.status


async def test_health_is_told_without_a_certificate_where_no_plain_buyer_is_configured(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    path = tmp_path / "operator.toml"
    text = path.read_text().replace("[[buyers]]\nname", "# ").replace("key_sha256", "# ")
    path.write_text(text.replace("grpc_port = 0 }", "grpc_port = 0, health_port = 0 }"))
    async with world.run(), aiohttp.ClientSession() as probe:
        assert world.running.health
        base = f"http://127.0.0.1:{world.running.health}"
        async with probe.get(f"{base}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok"})
        for method, route in (("GET", "/"), ("GET", f"/{PRODUCTS}"), ("POST", "/oauth/token"), ("POST", "/healthz")):
            async with probe.request(method, base + route) as answer:
                assert answer.status in {400, 404}
    with pytest.raises(aiohttp.ClientConnectorError):
        async with aiohttp.ClientSession() as probe:
            await probe.get(f"{base}/healthz")


async def test_a_certificate_goes_before_a_key(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        leaf = world.broker.node.own.leaf_file
        assert [await status(world, leaf, key) for key in (PLAIN_KEY, "guessed")] == [200, 200]
        assert world.running.mutual.judge(ssl.PEM_cert_to_DER_cert(certificate(leaf))) == BROKER


def certificate(leaf_file: Path) -> str:
    _, found, chain = leaf_file.read_text().partition("-----BEGIN CERTIFICATE-----")
    return found + chain


async def test_strangers_and_what_has_expired_do_not_get_past_the_handshake(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        stranger = Node(tmp_path / "stranger", STRANGER, world.clock, seed=9)
        for leaf_file in (stranger.own.leaf_file, expired(world.broker.node)):
            assert await status(world, leaf_file, PLAIN_KEY) is None
            assert await mesh_code(world, leaf_file) is grpc.StatusCode.UNAVAILABLE


async def test_t13_a_members_leaf_in_anothers_name_is_refused_and_the_reason_stays_here(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        evil = world.brokers[1].node.forge(BROKER, tmp_path / "forged.pem")
        assert await status(world, evil, PLAIN_KEY) == 401
        assert await mesh_code(world, evil) is grpc.StatusCode.UNAUTHENTICATED
        told = (tmp_path / "data" / FILE).read_text()
        assert told.count("the certificate does not verify") == 2


async def test_a_member_that_is_no_broker_and_a_broker_that_is_not_served_are_refused(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    path = tmp_path / "operator.toml"
    path.write_text(path.read_text().replace('[[brokers]]\nentity = "https://other.example"\n', ""))
    async with world.run():
        for node, why in ((world.node, "is no broker"), (world.brokers[1].node, "is not among the brokers")):
            assert await status(world, node.own.leaf_file) == 403
            assert await mesh_code(world, node.own.leaf_file) is grpc.StatusCode.PERMISSION_DENIED
            assert (tmp_path / "data" / FILE).read_text().count(why) == 2


async def test_one_callers_haste_is_its_own_by_http_and_grpc_together(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    path = tmp_path / "operator.toml"
    path.write_text(path.read_text().replace(PLENTY, "limits = { calls_per_second = 1, calls_at_once = 4 }"))
    async with world.run():
        hasty, patient = world.brokers
        leaf_file = hasty.node.own.leaf_file
        async with calling(world, leaf_file) as mesh:
            for _ in range(2):
                assert await hasty.sonata.products() == ()
                assert [part async for part in mesh.GetSheet(pb.GetSheetRequest(), timeout=WAIT_S)]
            with pytest.raises(Problem) as http:
                await hasty.sonata.products()
            assert (http.value.code, http.value.retry_after_s) == ("TOO_MANY_REQUESTS", 1)
            with pytest.raises(grpc.aio.AioRpcError) as rpc:
                await mesh.GetSheet(pb.GetSheetRequest(), timeout=WAIT_S).read()
            assert rpc.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert ("retry-after", "1") in tuple(rpc.value.trailing_metadata() or ())
            assert await patient.sonata.products() == ()
            world.clock.advance(1)
            assert await hasty.sonata.products() == ()
            with pytest.raises(Problem):
                await hasty.sonata.products()

"""A hostile operator: addresses that lead inside, certificates in another's name, calls without measure."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
from aiohttp import web

from federation.node.audit import Audit
from federation.node.callers import caller_of, callers, rates, refusals
from federation.node.http import listen, problem_middleware, reply
from federation.node.limits import Buckets, Rate
from federation.node.rpc import CALLS_EACH_MAX, Guard, guarded_server
from federation.node.rpc import caller_of as caller_on_mesh
from federation.trust.certificates import pem
from federation.trust.destinations import Rules
from federation.trust.egress import Egress
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshServicer, MeshStub, add_MeshServicer_to_server
from tests.hostile.control import beaten
from tests.support.seams import CountingEntropy, FixedClock
from tests.support.speaking import BROKER, SURF, Node, members

SECRET = b"the role's credentials"


async def inside(host: str, port: int) -> list[tuple[int, str]]:
    """A name of the attacker's that leads to the machine itself."""
    return [(2, "127.0.0.1")]


@asynccontextmanager
async def metadata_service(folder: Path, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """What a node can reach and nobody outside may: it answers whoever asks."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=SECRET)

    async with AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_get("/{tail:.*}", answer)
        yield await listen(app, "127.0.0.1", 0, stack, context)


async def publishes_an_address_inside(folder: Path) -> None:
    """T10: an endpoint on the address of the machine that reads it."""
    async with metadata_service(folder) as port, Egress(inside) as egress:
        assert await egress.get(f"http://127.0.0.1:{port}/latest/meta-data") == SECRET


async def publishes_a_name_that_leads_inside(folder: Path) -> None:
    """T10: an innocent name, whose answer is an address inside."""
    node = Node(folder, SURF, FixedClock(), seed=5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(node.own.leaf_file)
    roots = ssl.create_default_context(cadata=pem(node.own.certificate).decode())
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(metadata_service(folder, context))
        egress = await stack.enter_async_context(Egress(inside, rules=Rules(ports=frozenset({port})), roots=roots))
        assert await egress.get(f"https://surf.example:{port}/") == SECRET


async def publishes_a_socket_for_grpc(folder: Path) -> None:
    """T10: a target that gRPC would dial, and that is no address at all."""
    async with Egress(inside) as egress:
        found = await egress.target("unix:/run/containers.sock")
    assert found.address.startswith("unix:")


async def speaks_in_another_members_name(folder: Path) -> None:
    """T13: a leaf for another member's entity, by the evil member's own authority; TLS itself accepts it."""
    surf, _, evil = members(folder, FixedClock())
    context = ssl.create_default_context(cadata=pem(surf.own.certificate).decode())
    context.load_cert_chain(evil.forge(BROKER, folder / "forged.pem"))

    async def who(request: web.Request) -> web.Response:
        return reply({"caller": caller_of(request)})

    async with AsyncExitStack() as stack:
        audit = stack.enter_context(Audit(folder, surf.clock, CountingEntropy()))
        app = web.Application(middlewares=[problem_middleware, refusals(audit), callers(surf.judge)])
        app.router.add_get("/who", who)
        port = await listen(app, "127.0.0.1", 0, stack, surf.tls.server_context())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        response = await stack.enter_async_context(session.get(f"https://127.0.0.1:{port}/who", ssl=context))
        body = await response.json(content_type=None)
    if response.status == 401:
        beaten(body["detail"])
    assert body == {"caller": BROKER}


@asynccontextmanager
async def guarded_mesh(node: Node, folder: Path) -> AsyncIterator[int]:
    """A member's mesh behind its guard, which lets everybody call as often as they like."""
    with Audit(folder, node.clock, CountingEntropy()) as audit:
        server = guarded_server(Guard(node.judge, Buckets(Rate(per_second=1000, burst=1000)), audit, node.clock))
        add_MeshServicer_to_server(Echo(), server)
        port = server.add_secure_port("127.0.0.1:0", node.tls.server_credentials())
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)


async def speaks_in_another_members_name_on_the_mesh(folder: Path) -> None:
    """T13: the same leaf over gRPC."""
    surf, _, evil = members(folder, FixedClock())
    forged = evil.forge(BROKER, folder / "forged.pem").read_bytes()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(guarded_mesh(surf, folder))
        shown = grpc.ssl_channel_credentials(pem(surf.own.certificate), forged, forged)
        channel = await stack.enter_async_context(grpc.aio.secure_channel(f"localhost:{port}", shown))
        stub: Any = MeshStub(channel)
        try:
            answer = await stub.WatchLeases(pb.WatchLeasesRequest(), timeout=10).read()
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                beaten(error.details() or "")
            raise
    assert answer.product == BROKER


class Echo(MeshServicer):
    """Says who called."""

    async def WatchLeases(self, request: pb.WatchLeasesRequest, context: Any) -> AsyncIterator[pb.LeaseEvent]:  # noqa: N802
        yield pb.LeaseEvent(product=caller_on_mesh())
        await asyncio.Event().wait()


async def keeps_streams_until_none_are_left(folder: Path) -> None:
    """T16: one member watches over many connections, each stream for an hour."""
    surf, broker, _ = members(folder, FixedClock())
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(guarded_mesh(surf, folder))
        kept = [await _watching(stack, broker, port) for _ in range(3)]
    if sum(kept) == CALLS_EACH_MAX:
        beaten("no more than its share")
    assert sum(kept) == 300


async def _watching(stack: AsyncExitStack, node: Node, port: int) -> int:
    """How many of a hundred streams over one more connection are served."""
    options = (("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "surf.example"))
    credentials = node.tls.channel_credentials(SURF)
    channel = await stack.enter_async_context(grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options))
    stub: Any = MeshStub(channel)
    streams = [stub.WatchLeases(pb.WatchLeasesRequest(), timeout=3600) for _ in range(100)]
    found = await asyncio.gather(*(stream.read() for stream in streams), return_exceptions=True)
    return sum(isinstance(one, pb.LeaseEvent) for one in found)


async def calls_a_hundred_times_a_second(folder: Path) -> None:
    """T16: a member that asks without measure."""
    surf, broker, _ = members(folder, FixedClock())

    async def who(request: web.Request) -> web.Response:
        return reply({})

    async with AsyncExitStack() as stack:
        buckets = Buckets(Rate(per_second=10, burst=10))
        app = web.Application(middlewares=[problem_middleware, callers(surf.judge), rates(buckets, surf.clock)])
        app.router.add_get("/who", who)
        port = await listen(app, "127.0.0.1", 0, stack, surf.tls.server_context())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        found = []
        for _ in range(100):
            async with session.get(f"https://127.0.0.1:{port}/who", ssl=broker.tls.client_context(SURF)) as response:
                found.append(response.status)
    if found != [200] * 100:
        assert found == [200] * 10 + [429] * 90
        beaten("ten calls, and ninety times the advice to wait")

"""Mutual TLS over gRPC on loopback: the guard before every handler, and keys that change while calls go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest

from federation.node.audit import FILE, Audit
from federation.node.limits import Buckets, Rate
from federation.node.mtls.renewed import Address, channel_to
from federation.node.rpc import MESSAGE_BYTES_MAX, Guard, caller_of, guarded_server
from federation.trust.certificates import entity_of, pem, read_certificate
from federation.trust.destinations import Rules
from federation.trust.egress import Egress, Target
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshServicer, MeshStub, add_MeshServicer_to_server
from schemas.problem import Problem
from tests.support.seams import CountingEntropy, FixedClock
from tests.support.speaking import BROKER, EVIL, SURF, Node, members, rotating

pytestmark = pytest.mark.asyncio
PLENTY = Rate(per_second=100_000, burst=100_000)
DEADLINE_S = 10.0


async def say(request: bytes, context: Any) -> bytes:
    """Says who called; `bad` and `odd` fail in the two ways a handler can."""
    if request == b"bad":
        raise Problem("DOCUMENT_INVALID", "iss is not the expected signer", field="text")
    if request == b"odd":
        raise RuntimeError("a secret of the handler")
    return caller_of().encode() + request


SAYING = grpc.method_handlers_generic_handler("test.Echo", {"Say": grpc.unary_unary_rpc_method_handler(say)})


class Echo(MeshServicer):
    """Says who called, in a stream."""

    async def WatchLeases(self, request: pb.WatchLeasesRequest, context: Any) -> AsyncIterator[pb.LeaseEvent]:  # noqa: N802
        for number in range(3):
            yield pb.LeaseEvent(product=caller_of(), state="ACTIVE", at_ms=number)


@asynccontextmanager
async def serving(
    node: Node, folder: Path, *, judge: Callable[[bytes], str] | None = None, rate: Rate = PLENTY
) -> AsyncIterator[int]:
    with Audit(folder, node.clock, CountingEntropy()) as audit:
        guard = Guard(judge or node.judge, Buckets(rate), audit, node.clock)
        server = guarded_server(guard)
        add_MeshServicer_to_server(Echo(), server)
        server.add_generic_rpc_handlers((SAYING,))
        port = server.add_secure_port("127.0.0.1:0", node.tls.server_credentials())
        await server.start()
        try:
            yield port
        finally:
            await server.stop(None)


def target(port: int, name: str = "surf.example") -> Callable[[], Target]:
    return lambda: Target(f"127.0.0.1:{port}", name)


async def said(channel: grpc.aio.Channel, text: bytes = b"", timeout: float | None = DEADLINE_S, **more: Any) -> bytes:
    call: Any = channel.unary_unary("/test.Echo/Say")
    return bytes(await call(text, timeout=timeout, **more))


async def refused(channel: grpc.aio.Channel, text: bytes = b"", timeout: float | None = DEADLINE_S) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await said(channel, text, timeout)
    return caught.value


@asynccontextmanager
async def showing(node: Node, believed: Node, leaf_file: Path | None, port: int) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that shows any leaf, or none."""
    pair: tuple[bytes | None, bytes | None] = (None, None)
    if leaf_file is not None:
        secret, found, chain = leaf_file.read_bytes().partition(b"-----BEGIN CERTIFICATE-----")
        pair = secret, found + chain
    credentials = grpc.ssl_channel_credentials(pem(believed.own.certificate), *pair)
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        yield channel


async def test_the_caller_is_the_entity_of_its_own_authority_in_answers_and_streams(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port:
        held = channel_to(broker.tls, SURF, target(port))
        assert await said(held.get()) == BROKER.encode()
        stub: Any = MeshStub(held.get())
        events = [event async for event in stub.WatchLeases(pb.WatchLeasesRequest(), timeout=DEADLINE_S)]
        assert [(event.product, event.at_ms) for event in events] == [(BROKER, number) for number in range(3)]
        await held.close()


def name_only(leaf: bytes) -> str:
    """The control switched off: whom the leaf names is believed."""
    return entity_of(read_certificate(leaf))


async def test_t13_an_evil_members_leaf_in_anothers_name_passes_tls_and_not_the_check(tmp_path: Path) -> None:
    surf, _, evil = members(tmp_path, FixedClock())
    path = evil.forge(BROKER, tmp_path / "forged.pem")
    async with serving(surf, tmp_path) as port, showing(evil, surf, path, port) as channel:
        error = await refused(channel)
        stub: Any = MeshStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as stream:
            [event async for event in stub.WatchLeases(pb.WatchLeasesRequest(), timeout=DEADLINE_S)]
    assert error.code() is stream.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "the caller is not known here" in error.details()
    assert "does not verify" not in error.details()
    assert "does not verify" in (tmp_path / FILE).read_text()
    async with serving(surf, tmp_path, judge=name_only) as port, showing(evil, surf, path, port) as channel:
        assert await said(channel) == BROKER.encode()


async def test_a_stranger_does_not_get_past_the_handshake(tmp_path: Path) -> None:
    clock = FixedClock()
    surf, _, _ = members(tmp_path, clock)
    stranger = Node(tmp_path / "stranger", "https://stranger.example", clock, seed=7)
    async with serving(surf, tmp_path) as port:
        for leaf_file in (None, stranger.own.leaf_file):
            async with showing(stranger, surf, leaf_file, port) as channel:
                assert (await refused(channel)).code() is grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_is_another_member_is_not_taken_for_the_one_called(tmp_path: Path) -> None:
    _, broker, evil = members(tmp_path, FixedClock())
    async with serving(evil, tmp_path) as port:
        for entity, name, good in (
            (SURF, "surf.example", False),
            (EVIL, "other.example", False),
            (EVIL, "surf.example", True),
        ):
            held = channel_to(broker.tls, entity, target(port, name))
            if good:
                assert await said(held.get()) == BROKER.encode()
            else:
                assert (await refused(held.get())).code() is grpc.StatusCode.UNAVAILABLE
            await held.close()


async def test_a_call_without_a_deadline_is_refused(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port:
        held = channel_to(broker.tls, SURF, target(port))
        error = await refused(held.get(), timeout=None)
        await held.close()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert msgspec.json.decode(error.details())["field"] == "deadline"


async def test_a_handlers_failure_says_no_more_than_it_must(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port:
        held = channel_to(broker.tls, SURF, target(port))
        bad, odd = await refused(held.get(), b"bad"), await refused(held.get(), b"odd")
        await held.close()
    told = msgspec.json.decode(bad.details())
    assert (told["code"], told["detail"]) == ("DOCUMENT_INVALID", "a signed document is not accepted")
    assert "field" not in told
    record = msgspec.json.decode((tmp_path / FILE).read_bytes())
    assert (record["ref"], record["caller"]) == (told["ref"], BROKER)
    assert (record["why"], record["field"]) == ("iss is not the expected signer", "text")
    assert odd.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in odd.details()
    assert "a secret of the handler" in caplog.text


async def test_a_stream_ends_when_its_caller_is_believed_no_more(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    believed = ["as it calls", "at the first message"]

    def judge(leaf: bytes) -> str:
        if not believed:
            raise Problem("UNAUTHENTICATED", "the certificate names no member that is believed")
        believed.pop()
        return surf.judge(leaf)

    async with serving(surf, tmp_path, judge=judge) as port:
        held = channel_to(broker.tls, SURF, target(port))
        stub: Any = MeshStub(held.get())
        stream = stub.WatchLeases(pb.WatchLeasesRequest(), timeout=DEADLINE_S)
        assert (await stream.read()).at_ms == 0
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        await held.close()
    assert caught.value.code().name == "UNAUTHENTICATED"


async def test_what_is_not_served_is_said_so(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path) as port:
        held = channel_to(broker.tls, SURF, target(port))
        stub: Any = MeshStub(held.get())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [part async for part in stub.GetSheet(pb.GetSheetRequest(), timeout=DEADLINE_S)]
        await held.close()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_what_is_too_large_is_refused_by_the_transport(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    options = (("grpc.max_send_message_length", -1), ("grpc.max_metadata_size", 1 << 20))
    async with serving(surf, tmp_path) as port:
        held = channel_to(broker.tls, SURF, target(port), options=options)
        big = await refused(held.get(), bytes(8 * 1024 * 1024))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await said(held.get(), metadata=(("x-filler", "a" * 40_000),))
        assert await said(held.get(), bytes(MESSAGE_BYTES_MAX // 2))
        await held.close()
    assert big.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_one_caller_too_hasty_is_told_to_wait_and_another_is_not(tmp_path: Path) -> None:
    surf, broker, evil = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path, rate=Rate(per_second=1, burst=2)) as port:
        hasty, calm = channel_to(evil.tls, SURF, target(port)), channel_to(broker.tls, SURF, target(port))
        for _ in range(2):
            assert await said(hasty.get()) == EVIL.encode()
        error = await refused(hasty.get())
        assert await said(calm.get()) == BROKER.encode()
        await hasty.close()
        await calm.close()
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert dict(error.trailing_metadata())["retry-after"] == "1"
    assert msgspec.json.decode(error.details())["retry_after_s"] == 1


async def test_leaves_and_authorities_rotate_under_load_without_a_failed_call(tmp_path: Path) -> None:
    surf, broker, evil = members(tmp_path, FixedClock())
    shown: set[bytes] = set()

    def judge(leaf: bytes) -> str:
        shown.add(leaf)
        return surf.judge(leaf)

    async with serving(surf, tmp_path, judge=judge) as port:
        held = channel_to(broker.tls, SURF, target(port), drain_s=DEADLINE_S)
        answers: list[bytes] = []

        async def call(number: int) -> None:
            answers.append(await said(held.get()))

        await rotating(surf, broker, evil, call)
        await held.close()
    assert answers == [BROKER.encode()] * 400
    assert len(shown) == 9, "the server saw every leaf that the broker ever had"


async def test_an_operator_that_moves_is_found_again_where_its_name_leads(tmp_path: Path) -> None:
    surf, broker, _ = members(tmp_path, FixedClock())
    async with serving(surf, tmp_path / "a") as one, serving(surf, tmp_path / "b") as other:
        names = {"surf.example:443": f"127.0.0.1:{one}"}

        async def lookup(host: str, port: int) -> list[tuple[int, str]]:
            return [(2, "127.0.0.1")]

        async with Egress(lookup, rules=Rules(names=names)) as egress:
            address = Address(egress, "surf.example:443")
            held = channel_to(broker.tls, SURF, address, drain_s=0)
            with pytest.raises(Problem, match="not looked up"):
                held.get()
            await address.refresh()
            first = held.get()
            assert await said(first) == BROKER.encode()
            names["surf.example:443"] = f"127.0.0.1:{other}"
            await address.refresh()
            assert await said(held.get()) == BROKER.encode()
            while first.get_state() is not grpc.ChannelConnectivity.SHUTDOWN:
                await asyncio.sleep(0)
            await held.close()


async def test_new_connections_are_judged_by_the_authorities_believed_now(tmp_path: Path) -> None:
    surf, broker, evil = members(tmp_path, FixedClock())
    surf.believe(surf)
    async with serving(surf, tmp_path) as port:
        for trusting, status in (((surf,), "UNAVAILABLE"), ((surf, broker), ""), ((surf, evil), "UNAVAILABLE")):
            surf.believe(*trusting)
            held = channel_to(broker.tls, SURF, target(port))
            if status:
                assert (await refused(held.get())).code().name == status
            else:
                assert await said(held.get()) == BROKER.encode()
            await held.close()

"""The mesh channel against a server that misbehaves: whatever it does, a `Problem` comes out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from federation.broker.peers.mesh import MeshChannel
from federation.node.rpc import CHANNEL_OPTIONS, MESSAGE_BYTES_MAX
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshServicer, add_MeshServicer_to_server
from schemas.problem import Outcome, Problem

pytestmark = pytest.mark.asyncio
OPERATOR = "https://alpha.example"
Act = Callable[[Any], AsyncIterator[Any]]


class Scripted(MeshServicer):
    """Does in every call what the test says."""

    def __init__(self, act: Act) -> None:
        self.act = act
        self.remaining: float | None = None

    async def GetSheet(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.remaining = context.time_remaining()
        async for part in self.act(context):
            yield part

    WatchOffers = WatchLeases = GetSheet  # type: ignore[assignment]


class Plain:
    """A channel without TLS, looked up as often as asked."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.looked_up = 0

    async def refresh(self) -> None:
        self.looked_up += 1

    def channel(self) -> grpc.aio.Channel:
        return self._channel

    async def close(self) -> None:
        await self._channel.close(None)


@asynccontextmanager
async def talking(act: Act) -> AsyncIterator[tuple[MeshChannel, Scripted]]:
    server, scripted = grpc.aio.server(), Scripted(act)
    add_MeshServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = MeshChannel(OPERATOR, Plain(f"127.0.0.1:{port}"))
    try:
        yield channel, scripted
    finally:
        await channel.close()
        await server.stop(None)


def refusing(code: grpc.StatusCode, details: str = "because") -> Act:
    async def act(context: Any) -> AsyncIterator[Any]:
        await context.abort(code, details)
        yield None

    return act


def saying(*parts: Any) -> Act:
    async def act(context: Any) -> AsyncIterator[Any]:
        for part in parts:
            yield part

    return act


MANIFEST = pb.SheetPart(manifest=b"m")
PAGE = pb.SheetPart(page=b"p")


async def test_a_sheet_comes_in_order_and_is_asked_for_with_a_deadline() -> None:
    async with talking(saying(MANIFEST, PAGE, PAGE)) as (channel, scripted):
        assert await channel.sheet() == (b"m", (b"p", b"p"))
        assert scripted.remaining is not None


@pytest.mark.parametrize("parts", [(), (PAGE,), (PAGE, MANIFEST), (MANIFEST, MANIFEST), (MANIFEST, pb.SheetPart())])
async def test_a_sheet_in_another_order_is_refused(parts: tuple[Any, ...]) -> None:
    async with talking(saying(*parts)) as (channel, _):
        with pytest.raises(Problem) as caught:
            await channel.sheet()
        assert (caught.value.code, caught.value.extra) == ("DOCUMENT_INVALID", {"operator": OPERATOR})


async def test_a_message_over_the_limit_is_refused() -> None:
    async with talking(saying(MANIFEST, pb.SheetPart(page=b"x" * (MESSAGE_BYTES_MAX + 1)))) as (channel, _):
        with pytest.raises(Problem, match="larger than 65536 bytes"):
            await channel.sheet()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.OUT_OF_RANGE, "INCOMPATIBLE_STATE"),
        (grpc.StatusCode.UNAUTHENTICATED, "OPERATOR_REFUSED"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS"),
        (grpc.StatusCode.UNAVAILABLE, "OPERATOR_UNREACHABLE"),
        (grpc.StatusCode.INTERNAL, "OPERATOR_UNREACHABLE"),
    ],
)
async def test_a_status_becomes_a_problem(code: grpc.StatusCode, expected: str) -> None:
    async with talking(refusing(code)) as (channel, _):
        with pytest.raises(Problem) as caught:
            async for _ in channel.deltas(1):
                pass
        assert caught.value.code == expected
        assert caught.value.extra["operator"] == OPERATOR


async def test_a_stream_that_reached_its_deadline_just_ends() -> None:
    async with talking(refusing(grpc.StatusCode.DEADLINE_EXCEEDED)) as (channel, _):
        assert [delta async for delta in channel.deltas(1)] == []


@pytest.mark.parametrize(
    "told",
    [
        '{"code": "INTERNAL", "outcome": []}',
        '{"code": "INTERNAL", "retry_after_s": "1\\r\\nX: y", "field": {"deep": 1}}',
        '{"code": ["x"], "detail": {}}',
        "[" * 3_000,
        r'{"code": "INTERNAL", "detail": "\ud800"}',
    ],
)
async def test_details_of_a_status_that_are_made_to_hurt_are_a_problem_too(told: str) -> None:
    async with talking(refusing(grpc.StatusCode.FAILED_PRECONDITION, told)) as (channel, _):
        with pytest.raises(Problem) as caught:
            await channel.sheet()
        json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()
        assert caught.value.field is None
        assert caught.value.retry_after_s is None


async def test_nobody_there_is_looked_up_again_the_next_time() -> None:
    dialling = Plain("127.0.0.1:1")
    channel = MeshChannel(OPERATOR, dialling)
    for _ in range(2):
        with pytest.raises(Problem) as caught:
            await channel.sheet()
        assert caught.value.code == "OPERATOR_UNREACHABLE"
    assert dialling.looked_up == 2
    await channel.close()


async def test_an_endpoint_that_must_not_be_called_is_not() -> None:
    class Refused(Plain):
        async def refresh(self) -> None:
            raise Problem("INVALID_ARGUMENT", "an address behind the name is not public", field="url")

    channel = MeshChannel(OPERATOR, Refused("127.0.0.1:1"))
    with pytest.raises(Problem, match="is not called") as caught:
        await channel.sheet()
    assert (caught.value.code, caught.value.outcome) == ("OPERATOR_UNREACHABLE", Outcome.NONE)
    await channel.close()

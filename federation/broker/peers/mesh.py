"""The mesh as this broker calls it: a gRPC channel per operator; every failure leaves here as a `Problem`.

The channel is asked for with every call, because it is another one after a key was replaced. The operator's name is
looked up before the first call, and again after a call that reached nobody.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeVar

import grpc
import grpc.aio
import msgspec

from federation.node.rpc import MESSAGE_BYTES_MAX
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshStub
from schemas.problem import Outcome, Problem, from_dict

R = TypeVar("R")
SHEET_S: Final = 30.0
STREAM_S: Final = 3600.0
PARTS_MAX: Final = 4096
DETAIL_CHARS_MAX: Final = 500
TOO_LARGE: Final = "larger than max"  # how grpc names a breach of its own limit
_CODES: Final = {
    grpc.StatusCode.OUT_OF_RANGE: "INCOMPATIBLE_STATE",
    grpc.StatusCode.FAILED_PRECONDITION: "INCOMPATIBLE_STATE",
    grpc.StatusCode.NOT_FOUND: "NOT_FOUND",
    grpc.StatusCode.UNAUTHENTICATED: "OPERATOR_REFUSED",
    grpc.StatusCode.PERMISSION_DENIED: "OPERATOR_REFUSED",
    grpc.StatusCode.INVALID_ARGUMENT: "OPERATOR_REFUSED",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "TOO_MANY_REQUESTS",
    grpc.StatusCode.UNIMPLEMENTED: "NOT_IMPLEMENTED",
}


class Dialling(Protocol):
    """How one operator's mesh is reached (`federation.node.mtls.renewed`)."""

    async def refresh(self) -> None:
        """Look the operator up. Raises `Problem`."""
        ...

    def channel(self) -> grpc.aio.Channel:
        """The channel to use now. Raises `Problem`."""
        ...

    async def close(self) -> None:
        """Drop every connection and every call on it."""
        ...


class MeshChannel:
    """Calls one operator's mesh service."""

    def __init__(self, operator: str, dialling: Dialling) -> None:
        self._operator, self._dialling = operator, dialling
        self._found = False
        self._used: tuple[grpc.aio.Channel, Any] | None = None

    async def close(self) -> None:
        """Drop the connection and every call on it."""
        await self._dialling.close()

    async def sheet(self) -> tuple[bytes, tuple[bytes, ...]]:
        """The manifest document and the raw pages that came with it, in order."""
        call = (await self._stub()).GetSheet(pb.GetSheetRequest(), timeout=SHEET_S)
        parts = [part async for part in self._stream(call, lambda part: part, count_max=PARTS_MAX)]
        if not parts or parts[0].WhichOneof("part") != "manifest":
            raise self._invalid("the sheet does not begin with its manifest")
        if any(part.WhichOneof("part") != "page" for part in parts[1:]):
            raise self._invalid("the sheet holds something that is no page")
        return parts[0].manifest, tuple(part.page for part in parts[1:])

    async def deltas(self, from_version: int) -> AsyncGenerator[bytes, None]:
        """Delta documents as they come, for at most `STREAM_S`; then the stream ends and may be opened again."""
        call = (await self._stub()).WatchOffers(pb.WatchOffersRequest(from_version=from_version), timeout=STREAM_S)
        async with aclosing(self._stream(call, lambda part: bytes(part.delta), lasting=True)) as deltas:
            async for delta in deltas:
                yield delta

    async def lease_events(self) -> AsyncGenerator[pb.LeaseEvent, None]:
        """Lease events as they come, for at most `STREAM_S`."""
        call = (await self._stub()).WatchLeases(pb.WatchLeasesRequest(), timeout=STREAM_S)
        async with aclosing(self._stream(call, lambda event: event, lasting=True)) as events:
            async for event in events:
                yield event

    async def _stub(self) -> Any:
        """The service on the present channel. Raises `OPERATOR_UNREACHABLE`: nothing was sent."""
        try:
            if not self._found:
                await self._dialling.refresh()
                self._found = True
            channel = self._dialling.channel()
        except Problem as problem:
            why, extra = f"{self._operator} is not called: {problem.detail}", {"operator": self._operator}
            raise Problem("OPERATOR_UNREACHABLE", why, outcome=Outcome.NONE, extra=extra) from problem
        if self._used is None or self._used[0] is not channel:
            self._used = (channel, MeshStub(channel))
        return self._used[1]

    async def _stream(
        self, call: Any, take: Callable[[Any], R], *, lasting: bool = False, count_max: int | None = None
    ) -> AsyncGenerator[R, None]:
        count = 0
        try:
            async for message in call:
                count += 1
                if count_max is not None and count > count_max:
                    raise self._invalid(f"the sheet has more than {count_max} parts")
                yield take(message)
        except grpc.aio.AioRpcError as error:
            if not (lasting and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED):
                raise self._problem(error) from error
        finally:
            call.cancel()

    def _invalid(self, why: str) -> Problem:
        return Problem("DOCUMENT_INVALID", why, extra={"operator": self._operator})

    def _problem(self, error: grpc.aio.AioRpcError) -> Problem:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and TOO_LARGE in (error.details() or ""):
            return self._invalid(f"a message is larger than {MESSAGE_BYTES_MAX} bytes")
        self._found = self._found and error.code() is not grpc.StatusCode.UNAVAILABLE
        said = _problem_of(error)
        if said is None and error.code() not in _CODES:
            why = f"{self._operator} did not answer ({error.code().name.lower()})"
            return Problem("OPERATOR_UNREACHABLE", why, extra={"operator": self._operator})
        problem = said or Problem(_CODES[error.code()], (error.details() or "no reason given")[:DETAIL_CHARS_MAX])
        return problem.with_outcome(Outcome.NONE, operator=self._operator)


def _problem_of(error: grpc.aio.AioRpcError) -> Problem | None:
    """The problem that an operator of ours puts into the details of a status as JSON, if that is what it is."""
    try:
        body = msgspec.json.decode(error.details() or "")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return from_dict(body) if isinstance(body, dict) and "code" in body else None

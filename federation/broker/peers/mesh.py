"""The mesh as this broker calls it: one gRPC channel per operator; every failure leaves here as a `Problem`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import msgspec

from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshStub
from schemas.problem import Outcome, Problem, from_dict

R = TypeVar("R")
MESSAGE_BYTES_MAX: Final = 64 * 1024
SHEET_S: Final = 30.0
STREAM_S: Final = 3600.0
PARTS_MAX: Final = 4096
DETAIL_CHARS_MAX: Final = 500
TOO_LARGE: Final = "larger than max"  # how grpc names a breach of its own limit
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
)
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


class MeshChannel:
    """Calls one operator's mesh service at `endpoint` (host:port) with a bearer key."""

    def __init__(self, operator: str, endpoint: str, bearer: str, *, timeout_s: float) -> None:
        self._operator = operator
        self._timeout_s = timeout_s
        self._metadata = (("authorization", f"Bearer {bearer}"),)
        self._channel = grpc.aio.insecure_channel(endpoint, options=OPTIONS)
        self._stub: Any = MeshStub(self._channel)

    async def close(self) -> None:
        """Drop the connection and every call on it."""
        await self._channel.close(None)

    async def sheet(self) -> tuple[bytes, tuple[bytes, ...]]:
        """The manifest document and the raw pages that came with it, in order."""
        call = self._stub.GetSheet(pb.GetSheetRequest(), timeout=SHEET_S, metadata=self._metadata)
        parts = [part async for part in self._stream(call, lambda part: part, count_max=PARTS_MAX)]
        if not parts or parts[0].WhichOneof("part") != "manifest":
            raise self._invalid("the sheet does not begin with its manifest")
        if any(part.WhichOneof("part") != "page" for part in parts[1:]):
            raise self._invalid("the sheet holds something that is no page")
        return parts[0].manifest, tuple(part.page for part in parts[1:])

    def deltas(self, from_version: int) -> AsyncGenerator[bytes, None]:
        """Delta documents as they come, for at most `STREAM_S`; then the stream ends and may be opened again."""
        request = pb.WatchOffersRequest(from_version=from_version)
        call = self._stub.WatchOffers(request, timeout=STREAM_S, metadata=self._metadata)
        return self._stream(call, lambda part: bytes(part.delta), lasting=True)

    def lease_events(self) -> AsyncGenerator[pb.LeaseEvent, None]:
        """Lease events as they come, for at most `STREAM_S`."""
        call = self._stub.WatchLeases(pb.WatchLeasesRequest(), timeout=STREAM_S, metadata=self._metadata)
        return self._stream(call, lambda event: event, lasting=True)

    async def confirm(self, document: bytes) -> bytes:
        """Hand in a confirm; its receipt document. A lost answer has the outcome `unknown`."""
        request = pb.ConfirmRequest(confirm=document)
        try:
            answer = await self._stub.Confirm(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self._problem(error, write=True) from error
        return bytes(answer.receipt)

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

    def _problem(self, error: grpc.aio.AioRpcError, *, write: bool = False) -> Problem:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and TOO_LARGE in (error.details() or ""):
            return self._invalid(f"a message is larger than {MESSAGE_BYTES_MAX} bytes")
        said = _problem_of(error)
        if said is None and error.code() not in _CODES:
            outcome = Outcome.UNKNOWN if write else None
            why = f"{self._operator} did not answer ({error.code().name.lower()})"
            return Problem("OPERATOR_UNREACHABLE", why, outcome=outcome, extra={"operator": self._operator})
        problem = said or Problem(_CODES[error.code()], (error.details() or "no reason given")[:DETAIL_CHARS_MAX])
        return problem.with_outcome(Outcome.NONE, operator=self._operator)


def _problem_of(error: grpc.aio.AioRpcError) -> Problem | None:
    """The problem that an operator of ours puts into the details of a status as JSON, if that is what it is."""
    try:
        body = msgspec.json.decode(error.details() or "")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return from_dict(body) if isinstance(body, dict) and "code" in body else None

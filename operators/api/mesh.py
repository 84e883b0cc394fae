"""The mesh service: offer sheets and their deltas, confirms, lease events. Serves `schemas/proto/mesh/v1`.

A `Problem` leaves as a status whose details are its JSON. Calls without a deadline are refused: a stream that nobody
ends would keep its watcher for good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Final

import grpc
import grpc.aio

from federation.node.rpc import SERVER_OPTIONS, Context, refuse
from operators.access.gate import Gate
from operators.catalog.publisher import Behind, Publisher
from operators.orders.desk import Desk
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshServicer, add_MeshServicer_to_server
from schemas.problem import Problem, invalid

GRACE_S: Final = 1.0


class MeshService(MeshServicer):
    """One operator's side of the mesh."""

    def __init__(self, desk: Desk, publisher: Publisher, gate: Gate) -> None:
        self._desk, self._publisher, self._gate = desk, publisher, gate

    async def GetSheet(self, request: pb.GetSheetRequest, context: Context) -> AsyncIterator[pb.SheetPart]:  # noqa: N802
        """The manifest, then its pages in order."""
        await self._caller(context)
        sheet = self._publisher.sheet()
        yield pb.SheetPart(manifest=sheet.manifest.encode())
        for page in sheet.pages:
            yield pb.SheetPart(page=page)

    async def WatchOffers(self, request: pb.WatchOffersRequest, context: Context) -> AsyncIterator[pb.OfferDelta]:  # noqa: N802
        """Deltas from a version on; `OUT_OF_RANGE` where the history does not reach that far."""
        await self._caller(context)
        try:
            async with aclosing(self._publisher.watch(request.from_version)) as deltas:
                async for token in deltas:
                    yield pb.OfferDelta(delta=token.encode())
        except Behind as behind:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(behind))

    async def Confirm(self, request: pb.ConfirmRequest, context: Context) -> pb.ConfirmReply:  # noqa: N802
        """The receipt that answers a confirm."""
        broker = await self._caller(context)
        try:
            receipt = await self._desk.confirm(broker, request.confirm.decode("ascii", errors="replace"))
        except Problem as problem:
            await refuse(context, problem)
        return pb.ConfirmReply(receipt=receipt.encode())

    async def WatchLeases(self, request: pb.WatchLeasesRequest, context: Context) -> AsyncIterator[pb.LeaseEvent]:  # noqa: N802
        """State changes of the caller's leases."""
        broker = await self._caller(context)
        async with aclosing(self._desk.shop.events.watch(broker)) as changes:
            async for change in changes:
                yield pb.LeaseEvent(product=change.product, state=change.state, at_ms=change.at_ms)

    async def _caller(self, context: Context) -> str:
        try:
            if context.time_remaining() is None:
                raise invalid("deadline", "every call carries one")
            metadata = dict(context.invocation_metadata() or ())
            return self._gate.who(str(metadata.get("authorization", "")))
        except Problem as problem:
            await refuse(context, problem)


async def serve_mesh(service: MeshService, host: str, port: int, stack: AsyncExitStack) -> int:
    """Serve until `stack` closes; returns the port. Raises `UNAVAILABLE` where the port is taken."""
    server = grpc.aio.server(options=SERVER_OPTIONS)
    add_MeshServicer_to_server(service, server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError as error:
        detail = f"cannot serve gRPC on {address}; stop what uses the port or configure another"
        raise Problem("UNAVAILABLE", detail) from error
    await server.start()
    stack.push_async_callback(server.stop, GRACE_S)
    return int(bound)

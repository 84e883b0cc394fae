"""The mesh service: offer sheets and their deltas, lease events. Serves `schemas/proto/mesh/v1`.

The guard in front of it knows the caller, and refuses calls without a deadline: a stream that nobody ends would keep
its watcher for good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Final

import grpc
import grpc.aio

from federation.node.rpc import Context, Guard, caller_of, guarded_server
from operators.catalog.publisher import Behind, Publisher
from operators.orders.desk import Desk
from schemas.gen.mesh.v1 import mesh_pb2 as pb
from schemas.gen.mesh.v1.mesh_pb2_grpc import MeshServicer, add_MeshServicer_to_server
from schemas.problem import Problem

GRACE_S: Final = 1.0


class MeshService(MeshServicer):
    """One operator's side of the mesh."""

    def __init__(self, desk: Desk, publisher: Publisher) -> None:
        self._desk, self._publisher = desk, publisher

    async def GetSheet(self, request: pb.GetSheetRequest, context: Context) -> AsyncIterator[pb.SheetPart]:  # noqa: N802
        """The manifest, then its pages in order."""
        sheet = self._publisher.sheet()
        yield pb.SheetPart(manifest=sheet.manifest.encode())
        for page in sheet.pages:
            yield pb.SheetPart(page=page)

    async def WatchOffers(self, request: pb.WatchOffersRequest, context: Context) -> AsyncIterator[pb.OfferDelta]:  # noqa: N802
        """Deltas from a version on; `OUT_OF_RANGE` where the history does not reach that far."""
        try:
            async with aclosing(self._publisher.watch(request.from_version)) as deltas:
                async for token in deltas:
                    yield pb.OfferDelta(delta=token.encode())
        except Behind as behind:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(behind))

    async def WatchLeases(self, request: pb.WatchLeasesRequest, context: Context) -> AsyncIterator[pb.LeaseEvent]:  # noqa: N802
        """State changes of the caller's leases."""
        async with aclosing(self._desk.shop.events.watch(caller_of())) as changes:
            async for change in changes:
                yield pb.LeaseEvent(product=change.product, state=change.state, at_ms=change.at_ms)


def mesh_server(service: MeshService, guard: Guard) -> grpc.aio.Server:
    """The service behind its guard."""
    server = guarded_server(guard)
    add_MeshServicer_to_server(service, server)
    return server


async def serve_mesh(
    server: grpc.aio.Server, tls: grpc.ServerCredentials, host: str, port: int, stack: AsyncExitStack
) -> int:
    """Serve until `stack` closes; returns the port. Raises `UNAVAILABLE` where the port is taken."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_secure_port(address, tls)
    except RuntimeError as error:
        detail = f"cannot serve gRPC on {address}; stop what uses the port or configure another"
        raise Problem("UNAVAILABLE", detail) from error
    await server.start()
    stack.push_async_callback(server.stop, GRACE_S)
    return int(bound)

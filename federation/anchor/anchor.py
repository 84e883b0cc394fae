"""The root of a superior's daemon: its books, its hatch, its public listener."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from federation.anchor.faces import Faces
from federation.anchor.hatch import open_books, open_hatch
from federation.anchor.registrar import Registrar, registrar_of
from federation.node.callers import address_rates
from federation.node.certificate import server_tls
from federation.node.http import listen
from federation.node.limits import Buckets, Rate
from federation.node.process import run_daemon
from federation.node.seams import Clock, SystemClock
from federation.node.settings import ListenTls

# Of one address: a whole federation on one machine asks about all of its members when it starts.
READERS: Final = Rate(per_second=200, burst=4_000)


class Running(NamedTuple):
    """A superior that serves."""

    registrar: Registrar
    port: int


def serve_anchors(folders: Sequence[Path], host: str, ports: Sequence[int], tls: ListenTls | None = None) -> int:
    """Serve the superiors in `folders`, each at its port, until SIGTERM or SIGINT; the exit status of the process.

    `tls` is the certificate of all of them; without one they speak plain HTTP.
    """

    async def main(stop: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            for folder, port in zip(folders, ports, strict=True):
                running = await stack.enter_async_context(anchor(folder, host, port, SystemClock(), tls))
                sys.stdout.write(json.dumps({"ready": running.registrar.me.entity, "http": running.port}) + "\n")
                sys.stdout.flush()
            await stop.wait()

    return run_daemon("peerway", main)


@asynccontextmanager
async def anchor(
    folder: Path, host: str, port: int, clock: Clock, tls: ListenTls | None = None
) -> AsyncIterator[Running]:
    """One superior, from its folder until the block ends. Raises `Problem` where it cannot start."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_books(folder))
        registrar = await registrar_of(database, clock)
        faces = Faces(registrar, clock).app(address_rates(Buckets(READERS), clock))
        bound = await listen(faces, host, port, stack, server_tls(tls, "--certificate"))
        await open_hatch(folder, registrar, clock, stack)
        yield Running(registrar, bound)

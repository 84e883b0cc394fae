"""A hatch: how the person in charge of a node gives it orders while it runs, over a Unix socket in its own folder.

Only the folder's owner can open it. An order is a name and a JSON object, and so is what there is to say about it; a
refusal is the node's own `Problem`.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp import web

from federation.node.http import problem_middleware, read_body, reply
from schemas.problem import Problem, from_dict

ORDER_BYTES_MAX: Final = 256 * 1024
WAIT_S: Final = 30.0
SOCKET_PATH_MAX: Final = 100
FDS: Final = Path("/proc/self/fd")
SOCKET: Final = "hatch.sock"
CarryOut = Callable[[str, bytes], Awaitable[Any]]


async def open_hatch(folder: Path, carry_out: CarryOut, stack: AsyncExitStack) -> None:
    """Have orders to the node of `folder` carried out until `stack` closes: their name, and their body as it came.

    Raises `UNAVAILABLE`.
    """
    app = web.Application(middlewares=[problem_middleware])

    async def take(request: web.Request) -> web.Response:
        return reply(await carry_out(request.match_info["name"], await read_body(request, ORDER_BYTES_MAX)))

    app.router.add_post("/{name}", take)
    path = folder / SOCKET
    path.unlink(missing_ok=True)
    name = stack.enter_context(_short(path))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.UnixSite(runner, name).start()
        path.chmod(0o600)
    except OSError as error:
        raise Problem("UNAVAILABLE", f"cannot open {path} ({error}); a shorter folder name may help") from error
    stack.callback(path.unlink, missing_ok=True)


async def hand_in(folder: Path, name: str, body: bytes) -> dict[str, Any]:
    """What the node of `folder` says about an order. Raises its `Problem`, and `aiohttp.ClientConnectorError` where
    nobody is behind it any more."""
    timeout = aiohttp.ClientTimeout(total=WAIT_S)
    with _short(folder / SOCKET) as short:
        connector = aiohttp.UnixConnector(short)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(f"http://hatch/{name}", data=body) as response,
        ):
            answer = await response.json(content_type=None)
            if response.status != web.HTTPOk.status_code:
                raise from_dict(answer)
            return dict(answer)


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name of the socket that fits where the system takes about a hundred characters, also in a deep folder."""
    if len(os.fsencode(path)) <= SOCKET_PATH_MAX or not FDS.is_dir():
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield str(FDS / str(folder) / path.name)
    finally:
        os.close(folder)

"""Names to addresses, by the operating system's resolver in a few threads of its own."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

# More than strangers can have looked up (one a second) in the half minute that a system's resolver takes to give up on
# a name. Threads are made when they are needed.
LOOKUPS_MAX: Final = 64
Answer = tuple[int, str]


class Dns:
    """Looks names up. At most `LOOKUPS_MAX` at once, and each name once at a time: whoever leads to a resolver that
    hangs holds up a lookup of its own. A thread that waits for one cannot be called back when nobody wants it any more.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="dns")
        self._running: dict[tuple[str, int], asyncio.Future[list[Answer]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[Answer]:
        """Address family and address of every answer. Raises `OSError` where there is none."""
        running = self._running.get((host, port))
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._pool, _lookup, host, port)
            self._running[host, port] = running
            running.add_done_callback(functools.partial(self._over, (host, port)))
        return await asyncio.shield(running)

    def _over(self, name: tuple[str, int], done: asyncio.Future[list[Answer]]) -> None:
        del self._running[name]
        if not done.cancelled():
            done.exception()  # everybody who asked may have gone away, and that is no fault

    def close(self) -> None:
        """Begin no more lookups."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str, port: int) -> list[Answer]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(family), str(address[0])) for family, _, _, _, address in found]

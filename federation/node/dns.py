"""Names to addresses, by the operating system's resolver in a few threads of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

LOOKUPS_MAX: Final = 4
Answer = tuple[int, str]


class Dns:
    """Looks names up. At most `LOOKUPS_MAX` at once: a resolver that hangs holds up nothing but lookups."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(LOOKUPS_MAX, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int) -> Sequence[Answer]:
        """Address family and address of every answer. Raises `OSError` where there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _lookup, host, port)

    def close(self) -> None:
        """Begin no more lookups."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _lookup(host: str, port: int) -> list[Answer]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(family), str(address[0])) for family, _, _, _, address in found]

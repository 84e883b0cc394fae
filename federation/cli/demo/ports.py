"""Addresses that are signed before anything listens on them.

Endpoints stand in signed metadata, so ports are chosen first. Each is held by a bound socket that never listens until
its process has taken it over: with SO_REUSEADDR on both sides the process can bind the same port, and nobody else is
given it meanwhile.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Final, Self

LOOPBACK: Final = "127.0.0.1"


class PortReserve:
    """Hands out free ports of the loopback address and holds them until it is closed."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._held:
            one.close()

    def take(self) -> int:
        """A free port, held."""
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # gRPC asks for it, and then both sides must have it
        held.bind((LOOPBACK, 0))
        self._held.append(held)
        return int(held.getsockname()[1])

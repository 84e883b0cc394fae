"""How long uvicorn waits for a request: by itself for ever, so that whoever sends none could keep every connection."""

from __future__ import annotations

import asyncio
from typing import Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S: Final = 30.0  # from the first byte of a request, or from the connection, to its last
INCOMPLETE: Final = (h11.IDLE, h11.SEND_BODY)


class Impatient(H11Protocol):
    """Closes a connection on which no whole request came in time; single bytes, however many, buy no more of it."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on until the request is whole."""
        super().data_received(data)
        if self.conn.their_state in INCOMPLETE:
            self._wait()
        else:
            self._wait_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(REQUEST_S, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

"""T16 at the listener for agents that speak MCP, which is uvicorn's: who sends no request keeps no connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.broker.api.mcp import IDLE_S, McpListener
from federation.broker.api.patience import REQUEST_S
from tests.support.loops import MovedLoop, run_moved

HEAD = b"POST /mcp HTTP/1.1\r\nHost: x\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"
DRIP = [part for _ in range(4) for part in (b"X-A: 1\r\n", REQUEST_S / 4 + 1)]


async def answering(scope: Any, receive: Any, send: Any) -> None:
    """Says how long the body was, once all of it is there."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    text = b"%d bytes of %s" % (size, scope["client"][0].encode())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
    await send({"type": "http.response.body", "body": text})


async def settled() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


def sends(*parts: bytes | float) -> bytes | None:
    """What a connection answers after these bytes and seconds; none while it answers nothing and stays open."""

    async def main(loop: MovedLoop) -> bytes | None:
        listener = McpListener(answering, "127.0.0.1", 0)
        serving = loop.create_task(listener.serve())
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        await settled()
        for part in parts:
            if isinstance(part, bytes):
                writer.write(part)
            else:
                loop.moved_s += part
            await settled()
        listener.stop()
        found: bytes | None = bytes(reader._buffer)  # type: ignore[attr-defined]  # what is there without a wait
        if not found and not reader.at_eof():
            found = None
        writer.close()
        await serving
        return found

    return run_moved(main)


@pytest.mark.parametrize(
    "parts",
    [
        (b"", REQUEST_S + 1),
        (HEAD, REQUEST_S + 1),
        (HEAD, *DRIP),
        (HEAD + b"Content-Length: 9\r\n\r\nok", REQUEST_S + 1),
    ],
    ids=["nothing", "half a head", "a head in drops", "half a body"],
)
def test_a_request_that_never_ends_is_cut_off(parts: tuple[bytes | float, ...]) -> None:
    assert sends(*parts) == b""


def test_one_that_takes_its_time_is_answered_and_so_is_the_next() -> None:
    assert sends(HEAD, REQUEST_S - 5) is None
    told = sends(HEAD, REQUEST_S - 5, WHOLE.removeprefix(HEAD), IDLE_S - 1, WHOLE)
    assert told is not None
    assert told.count(b"200 OK") == 2


def test_nobody_calls_from_another_address_by_saying_so() -> None:
    told = sends(HEAD + b"X-Forwarded-For: 192.0.2.1\r\nContent-Length: 2\r\n\r\nok")
    assert told is not None
    assert told.endswith(b"2 bytes of 127.0.0.1")

"""T16 at an HTTP listener: what is slow, large or compressed costs a bounded amount of memory, time and work."""

from __future__ import annotations

import asyncio
import gzip
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from federation.node import http
from federation.node.http import (
    BODY_BYTES_MAX,
    BODY_S,
    HANDSHAKE_S,
    IDLE_S,
    listen,
    problem_middleware,
    read_body,
    reply,
)
from federation.trust import jose
from federation.trust.jose import verify_jws
from schemas.order import Order
from schemas.problem import Problem
from tests.support.loops import MovedLoop, run_moved
from tests.support.seams import NOW, FixedClock
from tests.support.speaking import SURF, Node

READ_BYTES = 1 << 20
HEAD = b"POST /take HTTP/1.1\r\nHost: x\r\n"
BIG = 8 * 1024 * 1024


async def take(request: web.Request) -> web.Response:
    return reply({"bytes": len(await read_body(request))})


async def serving(stack: AsyncExitStack, node: Node | None = None) -> int:
    app = web.Application(middlewares=[problem_middleware])
    app.router.add_post("/take", take)
    return await listen(app, "127.0.0.1", 0, stack, node.tls.server_context() if node else None)


async def settled() -> None:
    """Every socket and timer that is ready had its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def sends(*parts: bytes | float, node: Node | None = None) -> bytes:
    """What a connection answers (nothing when it is closed) after these bytes and seconds."""

    async def main(loop: MovedLoop) -> bytes:
        async with AsyncExitStack() as stack:
            port = await serving(stack, node)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            for part in parts:
                if isinstance(part, bytes):
                    writer.write(part)
                    await settled()
                    continue
                await settled()
                loop.moved_s += part
                await settled()
            try:
                return await reader.read(READ_BYTES)
            except ConnectionError:  # closed while bytes of ours were still under way
                return b""

    return run_moved(main)


def stays_open(*parts: bytes | float) -> bool:
    """Whether the connection still answers a request after that."""
    answer = sends(*parts, b"Content-Length: 2\r\nConnection: close\r\n\r\nok")
    return b"200 OK" in answer


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_head_that_never_ends_is_cut_off() -> None:
    assert sends(HEAD, IDLE_S + 1) == b""
    assert sends(b"", IDLE_S + 1) == b""
    assert stays_open(HEAD, IDLE_S - 5)


def test_dripping_bytes_buy_no_more_time() -> None:
    drip = [part for _ in range(4) for part in (b"X-A: 1\r\n", IDLE_S / 4 + 1)]
    assert sends(HEAD, *drip) == b""


def test_a_body_that_never_ends_is_refused_in_time() -> None:
    answer = sends(HEAD + b"Content-Length: 100\r\n\r\n12345", BODY_S + 1, 60.0)
    assert problem(answer)["detail"] == f"did not arrive within {BODY_S:g} s"
    late = sends(HEAD + b"Content-Length: 10\r\nConnection: close\r\n\r\n12345", BODY_S - 5, b"67890")
    assert late.endswith(b'{"bytes":10}')


def test_a_handshake_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    node = Node(tmp_path, SURF, FixedClock(), seed=1)
    assert sends(b"\x16\x03\x01", HANDSHAKE_S + 1, node=node) == b""


def test_a_body_of_8_mb_is_refused_by_its_announced_length_alone() -> None:
    answer = sends(HEAD + b"Content-Length: %d\r\n\r\n" % BIG, 60.0)
    assert problem(answer)["code"] == "PAYLOAD_TOO_LARGE"


def test_a_body_that_does_not_announce_its_length_is_read_no_further_than_allowed() -> None:
    chunk = b"%x\r\n" % (BODY_BYTES_MAX // 2) + bytes(BODY_BYTES_MAX // 2) + b"\r\n"
    answer = sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 4 * chunk, 60.0)
    assert problem(answer)["code"] == "PAYLOAD_TOO_LARGE"


def test_a_header_of_8_mb_is_refused() -> None:
    answer = sends(HEAD + b"Authorization: Bearer " + b"a" * BIG)
    assert answer == b"" or b" 400 " in answer[:20]
    assert len(answer) < 10_000


def test_headers_without_number_are_refused() -> None:
    answer = sends(HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(http.HEADERS_MAX + 2)) + b"\r\n")
    assert b" 400 " in answer[:20]


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"identity, gzip"])
def test_a_compressed_request_is_refused_before_a_byte_is_unpacked(encoding: bytes) -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024 // 100)) * 100
    head = HEAD + b"Content-Encoding: " + encoding + b"\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    answer = sends(head + bomb[: 32 * 1024], 60.0)
    assert problem(answer)["field"] == "Content-Encoding"


def test_a_token_of_8_mb_is_refused_before_anything_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def untouched(*_: object) -> bytes:
        raise AssertionError("work was done")

    monkeypatch.setattr(jose, "b64url_decode", untouched)
    monkeypatch.setattr(jose.json, "loads", untouched)
    with pytest.raises(Problem, match="larger than"):
        verify_jws("a." * (BIG // 2), Order, {}, now=NOW, iss="a", aud="b")

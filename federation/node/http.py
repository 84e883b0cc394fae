"""JSON over HTTP with aiohttp: strict bodies in, RFC 9457 problems out, listeners that say what is wrong."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, NoReturn, TypeVar

import msgspec
from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger

from federation.node.config import explain
from schemas.problem import Outcome, Problem, invalid

T = TypeVar("T")
B = TypeVar("B", bytes, bytearray)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY_BYTES_MAX: Final = 64 * 1024
HEADER_BYTES_MAX: Final = 8190
HEADERS_MAX: Final = 64
BODY_S: Final = 10.0
HANDSHAKE_S: Final = 10.0
# How long a connection may be without a complete request head: longer than clients keep one for later use.
IDLE_S: Final = 30.0
LINGER_S: Final = 2.0
SHUTDOWN_S: Final = 5.0
PROBLEM_TYPE: Final = "application/problem+json"
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
log = logging.getLogger(__name__)


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Render every failure as problem+json; what is not a `Problem` becomes `INTERNAL` without detail."""
    try:
        return await handler(request)
    except Problem as problem:
        return render_problem(problem, write=request.method in WRITES)
    except web.HTTPException as error:
        return render_problem(_foreign(error, request))
    except Exception:
        log.exception("unexpected fault in %s %s", request.method, request.path)
        outcome = Outcome.UNKNOWN if request.method in WRITES else None
        fault = Problem("INTERNAL", "the fault is in this node's log, not in your request", outcome=outcome)
        return render_problem(fault)


def render_problem(problem: Problem, *, write: bool = False) -> web.Response:
    """One problem as a response. A failed write that says nothing else was refused before it did anything."""
    if write and problem.outcome is None:
        problem = problem.with_outcome(Outcome.NONE)
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else {}
    if problem.code == "UNAUTHENTICATED":
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(problem.as_dict())
    return web.Response(body=body, status=problem.status, content_type=PROBLEM_TYPE, headers=headers)


def _foreign(error: web.HTTPException, request: web.Request) -> Problem:
    if error.status == web.HTTPNotFound.status_code:
        return Problem("NOT_FOUND", f"no resource at {request.path}")
    if error.status == web.HTTPRequestEntityTooLarge.status_code:
        return _too_large(BODY_BYTES_MAX)
    if error.status == web.HTTPMethodNotAllowed.status_code:
        return Problem("INVALID_ARGUMENT", f"{request.method} is not possible on {request.path}")
    return Problem("INVALID_ARGUMENT", error.reason)


async def json_body(request: web.Request, kind: type[T], bytes_max: int = BODY_BYTES_MAX) -> T:
    """The body as `kind`. Raises `Problem` for anything malformed, too large, of another shape or unknown."""
    return decode(await read_body(request, bytes_max), kind)


async def read_body(request: web.Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The raw body, at most `bytes_max` bytes; compressed bodies are refused."""
    if "Content-Encoding" in request.headers:
        raise invalid("Content-Encoding", "compressed bodies are not accepted")
    if (request.content_length or 0) > bytes_max:
        raise _too_large(bytes_max)
    try:
        if request.content.is_eof():  # it came with its head, as small ones do
            return _sized(request.content.read_nowait(), bytes_max)
        body = bytearray()
        async with asyncio.timeout(BODY_S):
            while chunk := await request.content.readany():
                body += chunk
                _sized(body, bytes_max)
    except TimeoutError as error:
        raise invalid("body", f"did not arrive within {BODY_S:g} s") from error
    except (ClientError, ConnectionError) as error:
        raise invalid("body", "ended before it was complete") from error
    return bytes(body)


def _sized(body: B, bytes_max: int) -> B:
    if len(body) > bytes_max:
        raise _too_large(bytes_max)
    return body


def decode(body: bytes, kind: type[T]) -> T:
    """Strict JSON: UTF-8, no member twice, no NaN; unknown members refused where `kind` forbids them."""
    data = parse(body)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        key, why = explain(error, kind)
        raise invalid(key or "body", why) from error


def parse(body: bytes) -> Any:
    """JSON as plain values, which can be written again. Raises `Problem`.

    What comes out as the very same bytes when it is written again holds no member twice and no half of a character;
    whatever is spelled otherwise is read in the strict way, which is slower and says what is wrong.
    """
    try:
        data = msgspec.json.decode(body)
        if msgspec.json.encode(data) == body:
            return data
    except (ValueError, RecursionError):
        pass
    return _parse_strictly(body)


def _parse_strictly(body: bytes) -> Any:
    try:
        # As text: json.loads would also guess UTF-16 from bytes, and let halves of characters pass.
        data = json.loads(body.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        _check_writable(data)
    except RecursionError as error:
        raise invalid("body", "no valid JSON: nested too deeply") from error
    except ValueError as error:
        raise invalid("body", f"no valid JSON: {error}") from error
    return data


def reply(answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """`answer` as JSON."""
    body = msgspec.json.encode(answer)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


async def listen(
    app: web.Application, host: str, port: int, stack: AsyncExitStack, tls: ssl.SSLContext | None = None
) -> int:
    """Serve `app` until `stack` closes, with TLS where a context is given; returns the port.

    Raises `UNAVAILABLE` where the port is taken. Compressed requests stay as they are, for nobody to unpack.
    """
    server_logger.addFilter(_quoting_nobody)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=IDLE_S,
        lingering_time=LINGER_S,
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        max_headers=HEADERS_MAX,
        auto_decompress=False,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None, "set up just now"
    handshake_s = None if tls is None else HANDSHAKE_S
    try:
        server = await asyncio.get_running_loop().create_server(
            runner.server, host, port, ssl=tls, ssl_handshake_timeout=handshake_s, backlog=128
        )
    except OSError as error:
        raise port_problem(host, port, error) from error
    stack.callback(server.close)
    return int(server.sockets[0].getsockname()[1])


def _quoting_nobody(record: logging.LogRecord) -> bool:
    """What is no HTTP is no fault of ours, and its error quotes the line at fault, which may hold a caller's key."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
        record.msg, record.args = f"{record.getMessage()}: it is not HTTP", ()
    return True


def bind_socket(host: str, port: int) -> socket.socket:
    """A listening socket for a server that wants one, such as uvicorn. Raises `UNAVAILABLE` where the port is taken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise port_problem(host, port, error) from error


def port_problem(host: str, port: int, error: OSError) -> Problem:
    """What a person is told when a listener cannot start."""
    if error.errno == errno.EADDRINUSE:
        return Problem("UNAVAILABLE", f"port {port} on {host} is in use; stop what uses it or configure another")
    return Problem("UNAVAILABLE", f"cannot listen on {host}:{port} ({error.strerror})")


def _too_large(bytes_max: int) -> Problem:
    return Problem("PAYLOAD_TOO_LARGE", f"the body is larger than {bytes_max} bytes", field="body")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"member '{twice}' stands twice")
    return found


def _check_writable(data: Any) -> None:
    """Escapes can spell half a character, which no answer could repeat."""
    try:
        msgspec.json.encode(data)
    except UnicodeEncodeError:
        raise ValueError("an escape stands for half a character") from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")

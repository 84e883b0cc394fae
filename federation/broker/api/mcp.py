"""MCP over streamable HTTP for the buyers of this broker: a Starlette app of the SDK, served by uvicorn in our loop.

A buyer is known as over HTTP, by its agent's token and proof or by a bearer key, which is never passed on. The app
keeps no session: each request stands alone, so a client of either protocol era may reconnect at any time.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

from federation.broker.api.exchange import Exchange
from federation.broker.api.patience import Impatient
from federation.broker.api.tls import origins_of
from federation.broker.api.tools import tool_server
from federation.broker.authority.door import Door, Origins
from federation.broker.authority.power import Buyer
from federation.broker.config import BrokerConfig
from federation.node.http import BODY_BYTES_MAX, PROBLEM_TYPE, bind_socket
from federation.node.seams import Entropy
from federation.tokens.access import Call
from schemas.problem import Problem

LOOPBACK_HOSTS: Final = ("127.0.0.1:*", "localhost:*", "[::1]:*")
SHUTDOWN_S: Final = 3
POLICY_VIOLATION: Final = 1008  # RFC 6455 section 7.4.1
IDLE_S: Final = 5
POST: Final = "POST"


_PRESENT: Final[ContextVar[Exchange]] = ContextVar("exchange")


def mcp_app(
    exchange_of: Callable[[Buyer], Exchange], door: Door, config: BrokerConfig, entropy: Entropy
) -> Callable[..., Awaitable[None]]:
    """The ASGI app at /mcp, behind the door. `config.listen.mcp_hosts` names it beside loopback, against DNS
    rebinding."""
    server = tool_server(_PRESENT.get, entropy)
    hosts = [*LOOPBACK_HOSTS, *config.listen.mcp_hosts]
    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
    app = server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=BODY_BYTES_MAX,
        transport_security=security,
    )
    return Guarded(app, exchange_of, door, origins_of(config.listen))


class Guarded:
    """An ASGI app that nobody reaches who is no buyer; the app finds the buyer's exchange in `_PRESENT`."""

    def __init__(self, app: Any, exchange_of: Callable[[Buyer], Exchange], door: Door, origins: Origins) -> None:
        self._app, self._exchange_of, self._door, self._origins = app, exchange_of, door, origins

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the lifespan of the app."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})  # MCP is spoken over HTTP alone
            return
        call = self._call(scope)
        try:
            self._door.pace((scope.get("client") or ("",))[0])
            if call.method != POST:
                await _no_stream(send)
                return
            buyer = await self._door.who(call)
        except Problem as problem:
            await self._refuse(problem, send)
            return
        present = _PRESENT.set(self._exchange_of(buyer))
        try:
            await self._app(scope, receive, self._telling(send) if call.proof else send)
        finally:
            _PRESENT.reset(present)

    def _call(self, scope: Any) -> Call:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        single = {name: values[0] for name, values in headers.items() if len(values) == 1}
        url = self._origins.url(single.get("host", ""), scope["path"])
        return Call(single.get("authorization"), single.get("dpop"), scope["method"], url)

    def _telling(self, send: Any) -> Callable[[Any], Awaitable[None]]:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_raw(self._door.nonce())]}
            await send(message)

        return told

    async def _refuse(self, problem: Problem, send: Any) -> None:
        body = msgspec.json.encode(problem.as_dict())
        headers = {"Content-Type": PROBLEM_TYPE, "Content-Length": str(len(body))}
        if problem.retry_after_s:
            headers["Retry-After"] = str(problem.retry_after_s)
        if problem.code == "UNAUTHENTICATED":
            headers |= self._door.challenge(problem)
        await send({"type": "http.response.start", "status": problem.status, "headers": _raw(headers)})
        await send({"type": "http.response.body", "body": body})


async def _no_stream(send: Any) -> None:
    """Nothing is ever sent but answers. A stream to listen at would be kept open for nothing, by whoever likes, and for
    longer than its mandate lasts; 405 is how a server says that it has none."""
    await send({"type": "http.response.start", "status": 405, "headers": _raw({"Allow": POST, "Content-Length": "0"})})
    await send({"type": "http.response.body"})


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


class McpListener:
    """uvicorn on a socket of ours. `serve` runs until `stop`; signals stay with the daemon."""

    def __init__(self, app: Any, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._socket = bind_socket(host, port)
        config = uvicorn.Config(
            app,
            http=Impatient,
            proxy_headers=False,  # or whoever calls from this machine would say from which address
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
            timeout_keep_alive=IDLE_S,
        )
        config.load()
        config.ssl = tls
        self._server = _SignalFree(config)
        self.port: int = self._socket.getsockname()[1]

    async def serve(self) -> None:
        """Answer until `stop` is called."""
        await self._server.serve([self._socket])

    def stop(self) -> None:
        """Take no more, finish what is under way, return from `serve`."""
        self._server.should_exit = True


class _SignalFree(uvicorn.Server):
    """uvicorn takes SIGINT and SIGTERM for itself; here they belong to `run_daemon`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

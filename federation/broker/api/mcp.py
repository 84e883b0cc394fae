"""MCP over streamable HTTP for the buyers of this broker: a Starlette app of the SDK, served by uvicorn in our loop.

A buyer is known by the same bearer key as over HTTP; the key authenticates the call and is never passed on. The app
keeps no session: each request stands alone, so a client of either protocol era may reconnect at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

from federation.broker.api.exchange import Exchange
from federation.broker.api.tools import tool_server
from federation.broker.config import BrokerConfig
from federation.node.bearer import Keyring
from federation.node.http import BODY_BYTES_MAX, bind_socket
from federation.node.seams import Entropy
from schemas.problem import Problem

if TYPE_CHECKING:
    from starlette.applications import Starlette

LOOPBACK_HOSTS: Final = ("127.0.0.1:*", "localhost:*", "[::1]:*")
SHUTDOWN_S: Final = 3
IDLE_S: Final = 5


class BuyerVerifier:
    """A `TokenVerifier` of the SDK over the broker's keyring."""

    def __init__(self, buyers: Keyring[str]) -> None:
        self._buyers = buyers

    async def verify_token(self, token: str) -> AccessToken | None:
        """The buyer behind a key, or None."""
        try:
            buyer = self._buyers.who(f"Bearer {token}")
        except Problem:
            return None
        return AccessToken(token=token, client_id=buyer, scopes=[])


def mcp_app(
    exchange_of: Callable[[str], Exchange], buyers: Keyring[str], config: BrokerConfig, entropy: Entropy
) -> Starlette:
    """The ASGI app at /mcp. `config.listen.mcp_hosts` names it beside loopback, against DNS rebinding."""

    def present() -> Exchange:
        token = get_access_token()
        if token is None:
            raise Problem("UNAUTHENTICATED", "send the header 'Authorization: Bearer KEY'")
        return exchange_of(token.client_id)

    # Keys are this broker's own, made for it alone: there is no audience in them to compare.
    auth = AuthSettings(issuer_url=AnyHttpUrl(config.entity), resource_server_url=None, validate_token_resource=False)
    server = tool_server(present, entropy, auth=auth, token_verifier=BuyerVerifier(buyers))
    hosts = [*LOOPBACK_HOSTS, *config.listen.mcp_hosts]
    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
    return server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=BODY_BYTES_MAX,
        transport_security=security,
    )


class McpListener:
    """uvicorn on a socket of ours. `serve` runs until `stop`; signals stay with the daemon."""

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._socket = bind_socket(host, port)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=SHUTDOWN_S, timeout_keep_alive=IDLE_S
        )
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

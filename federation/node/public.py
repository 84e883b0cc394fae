"""The public listener of a node: anybody may read what the node says of itself, and nothing else (DESIGN section 4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from federation.node.health import add_health
from federation.node.http import BODY_BYTES_MAX, problem_middleware

WELL_KNOWN: Final = "/.well-known/openid-federation"
STATEMENT_TYPE: Final = "application/entity-statement+jwt"
Document = Callable[[], Awaitable[str]]


def public_app(entity: str, configuration: Document, *guard: Middleware) -> web.Application:
    """An application that serves the entity's configuration where others look for it (OpenID Federation section 9).

    `configuration` gives the present one, signed. More public documents are added with `publish`; `guard` stands in
    front of all of them. Beside them it says that the node serves.
    """
    app = web.Application(middlewares=[problem_middleware, *guard], client_max_size=BODY_BYTES_MAX)
    publish(app, base_path(entity) + WELL_KNOWN, configuration, STATEMENT_TYPE)
    add_health(app)
    return app


def publish(app: web.Application, path: str, document: Document, content_type: str) -> None:
    """Serve one signed document under `path`."""

    async def answer(_request: web.Request) -> web.Response:
        return signed(await document(), content_type)

    app.router.add_get(path, answer)


def signed(token: str, content_type: str) -> web.Response:
    """A signed document as an answer."""
    return web.Response(body=token.encode("ascii"), content_type=content_type)


def base_path(entity: str) -> str:
    """The path of an entity id, under which its public documents lie."""
    return urlsplit(entity).path.rstrip("/")

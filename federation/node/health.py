"""Whether a node serves, for whatever watches over its process: an orchestrator shows no certificate and no key.

`GET /healthz` is answered on every public listener, and at `listen.health_port` where an operator has one: there alone,
and in plain HTTP. Listeners open when a node has recovered and close when it stops, so an answer says that it serves.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from federation.node.http import BODY_BYTES_MAX, problem_middleware, reply

HEALTH: Final = "/healthz"


def health_app(*guard: Middleware) -> web.Application:
    """An application that answers this question alone; `guard` stands in front."""
    app = web.Application(middlewares=[problem_middleware, *guard], client_max_size=BODY_BYTES_MAX)
    add_health(app)
    return app


def add_health(app: web.Application) -> None:
    """Answer it here as well."""
    app.router.add_get(HEALTH, _healthy)


async def _healthy(_: web.Request) -> web.Response:
    return reply({"status": "ok"})

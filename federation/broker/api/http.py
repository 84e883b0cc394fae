"""The broker over HTTP with aiohttp: who is calling, what they ask, and the answer with its headers.

`Server-Timing` says how long the broker took, and the search alone; `x-correlator` comes back as it was sent, or is
made here, so that a buyer's log and the broker's can be joined.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from federation.broker.api.exchange import Exchange
from federation.broker.api.openapi import description
from federation.broker.api.operations import BASE, OPERATIONS, Call, Operation
from federation.broker.config import Limits
from federation.node.bearer import Keyring
from federation.node.http import Handler, problem_middleware, reply
from federation.node.seams import Clock, Entropy
from schemas.answer import SearchAnswer
from schemas.problem import invalid

CORRELATOR: Final = "x-correlator"
CORRELATOR_SHAPE: Final = re.compile(r"[A-Za-z0-9_:;./<>{}\-]{1,128}")
log = logging.getLogger(__name__)


class HttpFace:
    """Makes the application. `exchange_of` gives the exchange as a buyer of that name sees it."""

    def __init__(
        self,
        exchange_of: Callable[[str], Exchange],
        buyers: Keyring[str],
        limits: Limits,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._exchange_of, self._buyers, self._limits = exchange_of, buyers, limits
        self._clock, self._entropy = clock, entropy

    def app(self) -> web.Application:
        """The application: every operation, the health probe and the OpenAPI document."""
        # The outermost first: even a problem's answer gets its correlator.
        app = web.Application(middlewares=[self._headers, problem_middleware], client_max_size=self._limits.body_bytes)
        for operation in OPERATIONS:
            app.router.add_route(operation.method, BASE + operation.path, self._handler(operation))
        document = msgspec.json.encode(description())
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/openapi.json", _constant(document))
        return app

    def _handler(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            buyer = self._buyers.who(request.headers.get("Authorization"))
            if unknown := set(request.query) - set(operation.query):
                raise invalid(min(unknown), f"no such query parameter on {operation.method} {operation.path}")
            call = Call(request, self._exchange_of(buyer), self._limits)
            answer = await operation.run(call)
            return reply(answer, operation.status, _answer_headers(operation, answer))

        return handle

    @web.middleware
    async def _headers(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        begun_us = self._clock.now_us()
        given = request.headers.get(CORRELATOR, "")
        correlator = given if CORRELATOR_SHAPE.fullmatch(given) else self._entropy.token()
        response = await handler(request)
        took_ms = max(0, self._clock.now_us() - begun_us) / 1000
        parts = [response.headers.get("Server-Timing", ""), f"total;dur={took_ms:.3f}"]
        response.headers["Server-Timing"] = ", ".join(part for part in parts if part)
        response.headers[CORRELATOR] = correlator
        log.info("%s %s %d %.1f ms %s", request.method, request.path, response.status, took_ms, correlator)
        return response


def _answer_headers(operation: Operation, answer: Any) -> dict[str, str]:
    if isinstance(answer, SearchAnswer):
        return {"Server-Timing": f"search;dur={answer.took_us / 1000:.3f}"}
    if operation.status == web.HTTPCreated.status_code:
        return {"Location": f"{BASE}{operation.path}/{answer.id}"}
    return {}


async def _healthy(_: web.Request) -> web.StreamResponse:
    return reply({"status": "ok"})


def _constant(body: bytes) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return handle

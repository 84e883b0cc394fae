"""The broker over HTTP with aiohttp: who is calling, what they ask, and the answer with its headers.

`Server-Timing` says how long the broker took, and the search alone; `x-correlator` comes back as it was sent, or is
made here, so that a buyer's log and the broker's can be joined.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from federation.broker.api.exchange import Exchange
from federation.broker.api.openapi import description
from federation.broker.api.operations import BASE, OPERATIONS, Call, Operation
from federation.broker.authority.door import TOKEN_PATH, Door, Origins
from federation.broker.authority.power import Buyer
from federation.broker.config import Limits
from federation.node.http import Handler, problem_middleware, reply
from federation.node.limits import AtOnce
from federation.node.seams import Clock, Entropy
from federation.tokens.access import Call as AgentCall
from federation.tokens.endpoint import Connection
from federation.tokens.http import dpop_connection, mount
from schemas.answer import QuotePending, SearchAnswer
from schemas.problem import Problem, invalid

CORRELATOR: Final = "x-correlator"
TOLD: Final = web.RequestKey("told", dict[str, str])  # headers about authentication, for whatever the answer is
CORRELATOR_SHAPE: Final = re.compile(r"[A-Za-z0-9_:;./<>{}\-]{1,128}")
log = logging.getLogger(__name__)


LOCAL: Final = Origins("http")
BEGINNING: Final = frozenset({"quote", "extend", "resize"})  # what asks operators to hold more


class Seams(NamedTuple):
    """Time and ids."""

    clock: Clock
    entropy: Entropy


class HttpFace:
    """Makes the application. `exchange_of` gives the exchange as a buyer sees it, `door` says who that is, `origins` by
    which names agents call."""

    def __init__(
        self,
        exchange_of: Callable[[Buyer], Exchange],
        door: Door,
        limits: Limits,
        seams: Seams,
        origins: Origins = LOCAL,
    ) -> None:
        self._exchange_of, self._door, self._limits = exchange_of, door, limits
        self._clock, self._entropy, self._origins = seams.clock, seams.entropy, origins
        self._writes = AtOnce(limits.quotes_at_once, "quotes, orders and releases")

    def app(self) -> web.Application:
        """The application: every operation, the token endpoint, the health probe and the OpenAPI document."""
        # The outermost first: even a problem's answer gets its correlator.
        layers = [self._headers, problem_middleware, self._paced]
        app = web.Application(middlewares=layers, client_max_size=self._limits.body_bytes)
        for operation in OPERATIONS:
            app.router.add_route(operation.method, BASE + operation.path, self._handler(operation))
        mount(app, TOKEN_PATH, self._door.tokens, self._connection, self._clock, record=self._door.no_token)
        document = msgspec.json.encode(description())
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/openapi.json", _constant(document))
        return app

    def _handler(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            buyer = await self._who(request)
            if unknown := set(request.query) - set(operation.query):
                raise invalid(min(unknown), f"no such query parameter on {operation.method} {operation.path}")
            call = Call(request, self._exchange_of(buyer), self._limits)
            with self._at_once(operation, buyer):
                answer = await operation.run(call)
            status = web.HTTPAccepted.status_code if isinstance(answer, QuotePending) else operation.status
            return reply(answer, status, _answer_headers(operation, answer))

        return handle

    def _at_once(self, operation: Operation, buyer: Buyer) -> AbstractContextManager[None]:
        """What begins something is refused while its buyer has many writes under way, also of those that end something.
        These go on, so that what was begun is done in time."""
        if not operation.write:
            return nullcontext()
        return self._writes.one(buyer.name, at_any_rate=operation.name not in BEGINNING)

    async def _who(self, request: web.Request) -> Buyer:
        proof = dpop_connection(request).proof
        call = AgentCall(request.headers.get("Authorization"), proof, request.method, self._url(request))
        request[TOLD] = self._door.nonce() if proof is not None else {}
        try:
            return await self._door.who(call)
        except Problem as problem:
            if problem.code == "UNAUTHENTICATED":
                request[TOLD] = self._door.challenge(problem)
            raise

    def _connection(self, request: web.Request) -> Connection:
        return dpop_connection(request)._replace(url=self._url(request))

    def _url(self, request: web.Request) -> str:
        return self._origins.url(request.host, request.url.raw_path)

    @web.middleware
    async def _paced(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._door.pace(request.remote or "")
        return await handler(request)

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
        response.headers.update(request.get(TOLD, {}))
        log.info("%s %s %d %.1f ms %s", request.method, request.path, response.status, took_ms, correlator)
        return response


def _answer_headers(operation: Operation, answer: Any) -> dict[str, str]:
    if isinstance(answer, SearchAnswer):
        return {"Server-Timing": f"search;dur={answer.took_us / 1000:.3f}"}
    if isinstance(answer, QuotePending):
        return {"Location": f"{BASE}/quotes/{answer.id}"}
    if operation.status == web.HTTPCreated.status_code:
        return {"Location": f"{BASE}{operation.path}/{answer.id}"}
    return {}


async def _healthy(_: web.Request) -> web.StreamResponse:
    return reply({"status": "ok"})


def _constant(body: bytes) -> Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return handle

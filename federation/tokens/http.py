"""A token endpoint over HTTP: a form of at most 64 KiB in, JSON out, nothing cached (RFC 6749 sections 3.2 and 5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from federation.node.http import read_body, reply
from federation.node.seams import Clock
from federation.tokens.endpoint import Connection, TokenAnswer, TokenEndpoint, refused, single_valued
from federation.tokens.refusal import TokenRefused
from schemas.problem import Problem

FORM: Final = "application/x-www-form-urlencoded"
FIELDS_MAX: Final = 16
NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
log = logging.getLogger(__name__)

ConnectionOf = Callable[[web.Request], Connection]
Record = Callable[[str | None, str], None]


def logged(caller: str | None, reason: str) -> None:
    """To the log of the node."""
    log.info("token refused to %s: %s", caller or "an agent", reason)


def mount(
    app: web.Application,
    path: str,
    endpoint: TokenEndpoint,
    connection_of: ConnectionOf,
    clock: Clock,
    *,
    record: Record = logged,
) -> None:
    """Serve `endpoint` at POST `path`. `connection_of` tells what the listener knows of a caller; `record` keeps the
    reason of a refusal with who it was, where that is known."""

    async def handle(request: web.Request) -> web.StreamResponse:
        connection = connection_of(request)
        try:
            answer = await endpoint.answer(await read_form(request), connection, clock.now())
        except TokenRefused as refusal:
            answer = refused(refusal)
        except Problem as problem:
            answer = unavailable(problem)
        if answer.reason:
            record(connection.entity, answer.reason)
        return reply(answer.body, answer.status, {**NOT_KEPT, **answer.headers})

    app.router.add_post(path, handle)


async def read_form(request: web.Request) -> dict[str, str]:
    """The body as a form without a repeated field. Raises `TokenRefused`."""
    if request.content_type != FORM:
        raise TokenRefused("invalid_request", f"send {FORM}")
    try:
        body = (await read_body(request)).decode("ascii")
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True, max_num_fields=FIELDS_MAX, errors="strict")
    except (Problem, ValueError) as error:
        raise TokenRefused("invalid_request", f"no form: {error}") from error
    return single_valued(pairs)


def dpop_connection(request: web.Request) -> Connection:
    """An agent's connection: its one `DPoP` header (RFC 9449 section 4.3, check 1)."""
    proofs = request.headers.getall("DPoP", [])
    return Connection(proof=proofs[0] if len(proofs) == 1 else None)


def unavailable(problem: Problem) -> TokenAnswer:
    """Our own lack (a store that cannot write, a filter that is full): a retry may help, and no token was given."""
    headers = {"Retry-After": str(problem.retry_after_s)} if problem.retry_after_s else {}
    return TokenAnswer(503, {"error": "temporarily_unavailable"}, headers, problem.detail)

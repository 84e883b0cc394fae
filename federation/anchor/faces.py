"""What anybody may ask of a superior (OpenID Federation 1.1, section 8), over HTTP.

Errors have the form of section 8.9. Only GET, but for the status of a mark, whose form is read here under a cap of its
own. Everything answered is signed but the lists, which are hints.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Middleware

from federation.anchor.books import Enrolled
from federation.anchor.registrar import FETCH, HISTORY, LIST, MARK, MARK_STATUS, MARKED, STATUS, Registrar
from federation.node.http import BODY_BYTES_MAX, read_body, reply
from federation.node.public import STATEMENT_TYPE, base_path, public_app, publish, signed
from federation.node.seams import Clock
from schemas.problem import Problem, invalid

STATUS_TYPE: Final = "application/statuslist+jwt"
MARK_TYPE: Final = "application/trust-mark+jwt"
MARK_STATUS_TYPE: Final = "application/trust-mark-status-response+jwt"
HISTORY_TYPE: Final = "application/jwk-set+jwt"
ERRORS: Final = {404: "not_found", 500: "server_error", 503: "temporarily_unavailable"}
log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faces:
    """The public endpoints of one superior."""

    def __init__(self, registrar: Registrar, clock: Clock) -> None:
        self._registrar, self._clock = registrar, clock

    def app(self, *guard: Middleware) -> web.Application:
        """The application, under the path of the entity id; `guard` stands in front of everything."""
        registrar, entity = self._registrar, self._registrar.me.entity
        app, base = public_app(entity, registrar.configuration, *guard), base_path(entity)
        publish(app, base + STATUS, registrar.status, STATUS_TYPE)
        publish(app, base + HISTORY, registrar.history, HISTORY_TYPE)
        for path, handler in ((FETCH, self._fetch), (LIST, self._list), (MARK, self._mark), (MARKED, self._marked)):
            app.router.add_get(base + path, _explained(handler))
        app.router.add_post(base + MARK_STATUS, _explained(self._mark_status))
        return app

    async def _fetch(self, request: web.Request) -> web.Response:
        """Section 8.1."""
        return signed(await self._registrar.statement(_one(request, "sub")), STATEMENT_TYPE)

    async def _list(self, request: web.Request) -> web.Response:
        """Section 8.2."""
        types, found = request.query.getall("entity_type", []), await self._registrar.members()
        if _wanted(request, "intermediate"):
            found = [member for member in found if member.intermediate]
        if _wanted(request, "trust_marked") or "trust_mark_type" in request.query:
            found = await self._with_marks(found, request.query.get("trust_mark_type"))
        return reply([member.entity for member in found if set(types) <= {*member.types, "federation_entity"}])

    async def _with_marks(self, found: list[Enrolled], wanted: str | None) -> list[Enrolled]:
        now, rows = self._clock.now(), await self._registrar.marks()
        marked = {row.subject for row in rows if row.counts(now) and wanted in {None, row.type}}
        return [member for member in found if member.entity in marked]

    async def _mark(self, request: web.Request) -> web.Response:
        """Section 8.6."""
        return signed(await self._registrar.mark_of(_one(request, "trust_mark_type"), _one(request, "sub")), MARK_TYPE)

    async def _marked(self, request: web.Request) -> web.Response:
        """Section 8.5."""
        wanted, only, now = _one(request, "trust_mark_type"), request.query.get("sub"), self._clock.now()
        rows = [row for row in await self._registrar.marks() if row.type == wanted and row.counts(now)]
        return reply(sorted({row.subject for row in rows if only in {None, row.subject}}))

    async def _mark_status(self, request: web.Request) -> web.Response:
        """Section 8.4."""
        body = await read_body(request, BODY_BYTES_MAX)
        form = parse_qs(body.decode("ascii", errors="replace"), max_num_fields=4)
        if len(form.get("trust_mark", ())) != 1:
            raise invalid("trust_mark", "expected one mark, form encoded")
        return signed(await self._registrar.mark_status(form["trust_mark"][0].strip()), MARK_STATUS_TYPE)


def _explained(handler: Handler) -> Handler:
    """The handler with its problems in the form of section 8.9."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            status = problem.status if problem.status in {404, 413, 500, 503} else 400
            return reply({"error": ERRORS.get(status, "invalid_request"), "error_description": str(problem)}, status)
        except ValueError as error:
            return reply({"error": "invalid_request", "error_description": str(error)}, 400)
        except Exception:
            log.exception("unexpected fault in %s %s", request.method, request.path)
            told = "the fault is in this node's log, not in your request"
            return reply({"error": ERRORS[500], "error_description": told}, 500)

    return answer


def _one(request: web.Request, name: str) -> str:
    values = request.query.getall(name, [])
    if len(values) != 1:
        raise invalid(name, "expected exactly once")
    return values[0]


def _wanted(request: web.Request, name: str) -> bool:
    """A filter that is asked for: one that is false, or left out, filters nothing."""
    text = request.query.get(name, "false")
    if text not in {"true", "false"}:
        raise invalid(name, "expected true or false")
    return text == "true"

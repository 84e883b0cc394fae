"""What anybody may ask of a superior (OpenID Federation 1.1, section 8), over HTTP.

Errors have the form of section 8.9. Only GET, but for the status of a mark, whose form is read here under a cap of its
own. Everything answered is signed but the lists, which are hints.
"""

from __future__ import annotations

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
        if wanted := request.query.get("intermediate"):
            found = [member for member in found if member.intermediate == _flag("intermediate", wanted)]
        if {"trust_marked", "trust_mark_type"} & set(request.query):
            found = await self._with_marks(found, request)
        return reply([member.entity for member in found if set(types) <= {*member.types, "federation_entity"}])

    async def _with_marks(self, found: list[Enrolled], request: web.Request) -> list[Enrolled]:
        wanted_type, now = request.query.get("trust_mark_type"), self._clock.now()
        rows = [row for row in await self._registrar.marks() if row.counts(now)]
        marked = {row.subject for row in rows if wanted_type is None or row.type == wanted_type}
        wanted = _flag("trust_marked", request.query.get("trust_marked", "true"))
        return [member for member in found if (member.entity in marked) or not wanted]

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
            error = {404: "not_found", 503: "temporarily_unavailable"}.get(problem.status, "invalid_request")
            status = problem.status if problem.status in {404, 413, 503} else 400
            return reply({"error": error, "error_description": str(problem)}, status=status)
        except ValueError as error:
            return reply({"error": "invalid_request", "error_description": str(error)}, status=400)

    return answer


def _one(request: web.Request, name: str) -> str:
    values = request.query.getall(name, [])
    if len(values) != 1:
        raise invalid(name, "expected exactly once")
    return values[0]


def _flag(name: str, text: str) -> bool:
    if text not in {"true", "false"}:
        raise invalid(name, "expected true or false")
    return text == "true"

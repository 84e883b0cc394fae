"""The operator's HTTP face: Sonata under its own base, `/peerway/v1/documents`, where confirms are handed in, with
`/{hash}` below it, and `/peerway/v1/log/inclusion`, `/oauth/token`, `/healthz`.

What stands in front of every handler (`guard`) lets known callers through, and is inside of what renders failures:
Sonata has error bodies of its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from federation.node.callers import LEAF, caller_of, leaf_of
from federation.node.health import add_health
from federation.node.http import BODY_BYTES_MAX, problem_middleware, read_body, reply
from federation.sonata.envelopes import SellerProfile
from federation.sonata.seller import BASE, seller_app
from federation.tokens.endpoint import Connection, TokenEndpoint
from federation.tokens.http import Record, mount
from operators.config import Contact
from operators.orders.desk import Desk
from schemas.evidence import LogEvidence
from schemas.problem import Problem, invalid, not_found
from schemas.segment import Hash

PEERWAY: Final = "/peerway/v1"
RIGHTS: Final = "/oauth"
JOSE: Final = "application/jose"
HASH: Final = re.compile(r"[A-Za-z0-9_\-]{43}")
HASHES_MAX: Final = 64
PENDING_S: Final = 2
Inclusions = Callable[[Sequence[Hash]], Awaitable[LogEvidence | None]]


def operator_app(
    desk: Desk,
    contact: Contact,
    guard: Sequence[Middleware],
    tokens: TokenEndpoint,
    record: Record,
    *,
    inclusions: Inclusions,
) -> web.Application:
    """The whole application of one operator; `record` keeps why a token was refused, `inclusions` is its log's."""
    app = web.Application(middlewares=[problem_middleware], client_max_size=BODY_BYTES_MAX)
    add_health(app)
    ours = web.Application(middlewares=[*guard])
    documents = _Documents(desk, inclusions)
    ours.router.add_post("/documents", documents.confirm)
    ours.router.add_get("/documents/{hash}", documents.get)
    ours.router.add_get("/log/inclusion", documents.inclusion)
    app.add_subapp(PEERWAY, ours)
    rights = web.Application(middlewares=[*guard])
    mount(rights, "/token", tokens, _connection, desk.shop.signer.clock, record=record)
    app.add_subapp(RIGHTS, rights)
    profile = SellerProfile(name=contact.name, number=contact.number, email_address=contact.email)
    app.add_subapp(BASE, seller_app(desk, profile, guard))
    return app


def _connection(request: web.Request) -> Connection:
    return Connection(entity=caller_of(request) if LEAF in request else None, x5t=request.get(LEAF))


class _Documents:
    """Confirms handed in; signed documents by hash, and where they stand in the log, for the parties they concern."""

    def __init__(self, desk: Desk, inclusions: Inclusions) -> None:
        self._desk, self._inclusions = desk, inclusions

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["hash"]
        if not HASH.fullmatch(name):
            raise not_found("this document")
        return web.Response(text=await self._desk.document(caller_of(request), name), content_type=JOSE)

    async def confirm(self, request: web.Request) -> web.Response:
        """A `confirm+jwt` handed in by a member: the `receipt+jwt` that answers it. The same again has the same."""
        leaf_of(request)  # whoever is known by a key signs no documents
        token = (await read_body(request)).decode("ascii", errors="replace")
        return web.Response(text=await self._desk.confirm(caller_of(request), token), content_type=JOSE)

    async def inclusion(self, request: web.Request) -> web.Response:
        """`?hash=...&hash=...`: where documents of the caller stand in the log, all below one witnessed checkpoint.

        `UNAVAILABLE`, and when to ask again, as long as none covers them.
        """
        names = request.query.getall("hash", [])
        if not 0 < len(names) <= HASHES_MAX:
            raise invalid("hash", f"expected 1 to {HASHES_MAX} of them")
        for name in names:
            if not HASH.fullmatch(name):
                raise not_found("this document")
            await self._desk.document(caller_of(request), name)
        found = await self._inclusions(names)
        if found is None:
            raise Problem("UNAVAILABLE", "no checkpoint that others signed covers it yet", retry_after_s=PENDING_S)
        return reply(found)

"""The operator's HTTP face: Sonata under its own base, `/peerway/v1/documents/{hash}`, `/healthz`."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from federation.node.http import problem_middleware, reply
from federation.sonata.envelopes import SellerProfile
from federation.sonata.seller import BASE, seller_app
from operators.access.gate import Gate
from operators.config import Contact
from operators.orders.desk import Desk
from schemas.problem import not_found

DOCUMENTS: Final = "/peerway/v1/documents"
HASH: Final = re.compile(r"[A-Za-z0-9_\-]{43}")


def operator_app(desk: Desk, gate: Gate, contact: Contact) -> web.Application:
    """The whole application of one operator."""
    app = web.Application(middlewares=[problem_middleware])
    documents = _Documents(desk, gate)
    app.router.add_get("/healthz", _health)
    app.router.add_get(f"{DOCUMENTS}/{{hash}}", documents.get)
    profile = SellerProfile(name=contact.name, number=contact.number, email_address=contact.email)
    app.add_subapp(BASE, seller_app(desk, gate.who, profile))
    return app


async def _health(_: web.Request) -> web.Response:
    return reply({"status": "ok"})


class _Documents:
    """Signed documents by hash, for the parties they concern."""

    def __init__(self, desk: Desk, gate: Gate) -> None:
        self._desk, self._gate = desk, gate

    async def get(self, request: web.Request) -> web.Response:
        broker = self._gate.who(request.headers.get("Authorization"))
        name = request.match_info["hash"]
        if not HASH.fullmatch(name):
            raise not_found("this document")
        return web.Response(text=await self._desk.document(broker, name), content_type="application/jose")

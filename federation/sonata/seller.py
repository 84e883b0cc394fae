"""The seller's routes over a `SegmentDesk`: who is it, what does it ask, what does the desk say, how is that written.

Three APIs under one base: quoteManagement/v10, productOrderingManagement/v11, productInventory/v8. Operations that the
standard leaves optional and this seller does not offer (charge, change of dates, PATCH) answer 501.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware

from federation.node.callers import LEAF, caller_of
from federation.node.http import read_body
from federation.sonata import asks, envelopes
from federation.sonata.envelopes import Json, SellerProfile
from federation.sonata.errors import Fault, Issue, fault_of
from federation.sonata.hub import hub_ask
from federation.sonata.listing import (
    CANCEL_FILTERS,
    ORDER_FILTERS,
    PAGE_MAX,
    PARTIES,
    PRODUCT_FILTERS,
    QUOTE_FILTERS,
    Filters,
    wanted,
)
from federation.sonata.protocols import GRANT_HEADER, Caller, Listing, SegmentDesk, Wanted
from schemas.problem import Problem
from schemas.sonata import inventory, order, quote
from schemas.sonata.hub import TOLD

R = TypeVar("R")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CONTENT_TYPE: Final = "application/json;charset=utf-8"
BASE: Final = "/mefApi/sonata"
BUYER_ID_CHARS_MAX: Final = 200
NOT_OFFERED: Final = ((order.API, ("charge", "modifyProductOrderItemRequestedDeliveryDate")),)
log = logging.getLogger(__name__)


def seller_app(desk: SegmentDesk, profile: SellerProfile, guard: Sequence[Middleware]) -> web.Application:
    """The application to mount at `BASE`, behind middlewares that know the caller (`federation.node.callers`)."""
    app = web.Application(middlewares=[_errors, *guard])
    seller = _Seller(desk, profile)
    app.add_routes(seller.routes())
    return app


class _Seller:
    def __init__(self, desk: SegmentDesk, profile: SellerProfile) -> None:
        self._desk = desk
        self._profile = profile

    def routes(self) -> list[web.RouteDef]:
        """Every operation of the three APIs, those not offered included."""
        q, o, i = f"/{quote.API}", f"/{order.API}", f"/{inventory.API}"
        absent = [
            web.route("*", f"/{api}/{resource}{rest}", self.not_offered)
            for api, resources in NOT_OFFERED
            for resource in resources
            for rest in ("", "/{id}")
        ]
        return [
            web.post(f"{q}/quote", self.create_quote),
            web.get(f"{q}/quote", self.list_quotes),
            web.get(f"{q}/quote/{{id}}", self.get_quote),
            web.post(f"{q}/cancelQuote", self.cancel_quote),
            web.post(f"{q}/declineQuote", self.decline_quote),
            web.post(f"{o}/productOrder", self.create_order),
            web.get(f"{o}/productOrder", self.list_orders),
            web.get(f"{o}/productOrder/{{id}}", self.get_order),
            web.patch(f"{o}/productOrder/{{id}}", self.not_offered),
            web.post(f"{o}/cancelProductOrder", self.create_cancel),
            web.get(f"{o}/cancelProductOrder", self.list_cancels),
            web.get(f"{o}/cancelProductOrder/{{id}}", self.get_cancel),
            web.get(f"{i}/product", self.list_products),
            web.get(f"{i}/product/{{id}}", self.get_product),
            *(route for api in TOLD for route in self._hub(api)),
            *absent,
        ]

    def _hub(self, api: str) -> list[web.RouteDef]:
        """The hub of one API."""

        async def register(request: web.Request) -> web.Response:
            caller = self._caller(request)
            record = await self._desk.subscribe(caller, hub_ask(await read_body(request), api))
            return _answer(envelopes.hub_envelope(record), 201)

        async def find(request: web.Request) -> web.Response:
            record = await self._desk.find_hub(self._caller(request), api, request.match_info["id"])
            return _answer(envelopes.hub_envelope(record))

        async def remove(request: web.Request) -> web.Response:
            await self._desk.unsubscribe(self._caller(request), api, request.match_info["id"])
            return web.Response(status=204)

        one = f"/{api}/hub/{{id}}"
        return [web.post(f"/{api}/hub", register), web.get(one, find), web.delete(one, remove)]

    async def create_quote(self, request: web.Request) -> web.Response:
        caller = self._caller(request)
        ask = asks.quote_ask(await read_body(request), self._profile.offering)
        record = await self._desk.quote(caller, ask)
        return _answer(envelopes.quote_envelope(record, self._profile), 201)

    async def list_quotes(self, request: web.Request) -> web.Response:
        caller, want = self._listing(request, QUOTE_FILTERS)
        page = await self._desk.quotes(caller, want)
        return _page(request, page, [envelopes.quote_summary(record) for record in page.records])

    async def get_quote(self, request: web.Request) -> web.Response:
        record = await self._desk.find_quote(self._caller(request), request.match_info["id"])
        return _answer(envelopes.quote_envelope(record, self._profile))

    async def cancel_quote(self, request: web.Request) -> web.Response:
        caller, raw = self._caller(request), await read_body(request)
        operation = asks.quote_operation(raw)
        await self._desk.cancel_quote(caller, operation.quote_id)
        return _answer(asks.read_object(raw))

    async def decline_quote(self, request: web.Request) -> web.Response:
        caller, raw = self._caller(request), await read_body(request)
        operation = asks.quote_operation(raw)
        await self._desk.decline(caller, operation.quote_id)
        return _answer(asks.read_object(raw))

    async def create_order(self, request: web.Request) -> web.Response:
        caller = self._caller(request)
        ask = asks.order_ask(await read_body(request), self._profile.offering)
        record = await self._desk.order(caller, ask)
        return _answer(envelopes.order_envelope(record, self._profile), 201)

    async def list_orders(self, request: web.Request) -> web.Response:
        caller, want = self._listing(request, ORDER_FILTERS)
        page = await self._desk.orders(caller, want)
        return _page(request, page, [envelopes.order_summary(record) for record in page.records])

    async def get_order(self, request: web.Request) -> web.Response:
        record = await self._desk.find_order(self._caller(request), request.match_info["id"])
        return _answer(envelopes.order_envelope(record, self._profile))

    async def create_cancel(self, request: web.Request) -> web.Response:
        caller = self._caller(request)
        record = await self._desk.cancel(caller, asks.cancel_ask(await read_body(request)))
        return _answer(envelopes.cancel_envelope(record, self._profile), 201)

    async def list_cancels(self, request: web.Request) -> web.Response:
        caller, want = self._listing(request, CANCEL_FILTERS)
        page = await self._desk.cancels(caller, want)
        return _page(request, page, [envelopes.cancel_summary(record) for record in page.records])

    async def get_cancel(self, request: web.Request) -> web.Response:
        record = await self._desk.find_cancel(self._caller(request), request.match_info["id"])
        return _answer(envelopes.cancel_envelope(record, self._profile))

    async def list_products(self, request: web.Request) -> web.Response:
        caller, want = self._listing(request, PRODUCT_FILTERS)
        page = await self._desk.products(caller, want)
        return _page(request, page, [envelopes.product_summary(record) for record in page.records])

    async def get_product(self, request: web.Request) -> web.Response:
        record = await self._desk.find_product(self._caller(request), request.match_info["id"])
        return _answer(envelopes.product_envelope(record, self._profile))

    async def not_offered(self, request: web.Request) -> web.Response:
        self._caller(request)
        raise _not_implemented(request)

    def _listing(self, request: web.Request, filters: Filters) -> tuple[Caller, Wanted]:
        return self._known(request), wanted(request.query.items(), filters)

    def _caller(self, request: web.Request) -> Caller:
        """The caller of anything but a list, whose query holds nothing else than who is meant."""
        caller = self._known(request)
        if unknown := set(request.query) - PARTIES:
            raise Fault(400, Issue("invalidQuery", f"only {', '.join(sorted(PARTIES))} may stand here, not {unknown}"))
        return caller

    def _known(self, request: web.Request) -> Caller:
        buyer_id = request.query.get("buyerId")
        if buyer_id is not None and not 0 < len(buyer_id) <= BUYER_ID_CHARS_MAX:
            raise Fault(400, Issue("invalidQuery", f"buyerId must have 1 to {BUYER_ID_CHARS_MAX} characters"))
        x5t = request.get(LEAF)
        if x5t is None:
            return Caller(caller_of(request), buyer_id)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grants = tuple(grant.strip() for grant in request.headers.get(GRANT_HEADER, "").split(",") if grant.strip())
        return Caller(caller_of(request), buyer_id, x5t, token if scheme.lower() == "bearer" else None, grants)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure as an error body of Sonata's; what is no operating error is logged and answered without detail."""
    try:
        return await handler(request)
    except Fault as fault:
        return _render(fault)
    except Problem as problem:
        if problem.code == "UNAUTHENTICATED" and "Authorization" not in request.headers:
            return _render(Fault(401, Issue("missingCredentials", problem.detail)))
        return _render(fault_of(problem, _resource(request), write=request.method == "POST"))
    except web.HTTPMethodNotAllowed:
        return _render(_not_implemented(request))
    except web.HTTPNotFound:
        return _render(Fault(404, Issue("notFound", "no resource at this address")))
    except (ConnectionError, web.RequestPayloadError):
        return _render(Fault(400, Issue("invalidBody", "the body broke off or is badly encoded")))
    except Exception:
        log.exception("unexpected fault in %s %s", request.method, request.path)
        return _render(Fault(500, Issue("internalError", "the fault is in this seller's log, not in your request")))


def _not_implemented(request: web.Request) -> Fault:
    return Fault(501, Issue("notImplemented", f"this seller does not offer {request.method} {_resource(request)}"))


def _resource(request: web.Request) -> str:
    """The resource of a path `/<api>/<major>/<resource>[/<id>]`, whatever it is mounted under."""
    route = request.match_info.route.resource
    parts = (route.canonical if route else request.path).removesuffix("/{id}").split("/")
    return parts[-1]


def _render(fault: Fault) -> web.Response:
    headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
    if fault.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(status=fault.status, body=fault.body(), headers={"Content-Type": CONTENT_TYPE, **headers})


def _answer(envelope: Json, status: int = 200) -> web.Response:
    return web.Response(status=status, body=envelopes.encode(envelope), headers={"Content-Type": CONTENT_TYPE})


def _page(request: web.Request, page: Listing[R], found: list[Json]) -> web.Response:
    offset, limit = int(request.query.get("offset", "0")), request.query.get("limit")
    more = offset + len(found) < page.total
    cut = limit is None or int(limit) > PAGE_MAX
    headers = {
        "X-Total-Count": str(page.total),
        "X-Result-Count": str(len(found)),
        "X-Pagination-Throttled": "true" if more and cut else "false",
        "Content-Type": CONTENT_TYPE,
    }
    return web.Response(body=envelopes.encode(found), headers=headers)

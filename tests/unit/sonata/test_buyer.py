"""The buyer against sellers that are slow, broken, foreign or hostile: every failure says what it left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web

from federation.node.http import listen
from federation.sonata.asking import Ordered, order_body, quote_body
from federation.sonata.buyer import SonataBuyer
from schemas.order import Order
from schemas.problem import Outcome, Problem
from schemas.quote import Action, Rfq
from schemas.sonata.states import OrderState, QuoteState
from tests.support.seams import NOW
from tests.support.sonata_world import BROKER, PROFILE, SELLER, segment

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CLAIMS: dict[str, Any] = {"iss": BROKER, "sub": "s", "aud": SELLER, "iat": NOW, "exp": NOW + 60}
RFQ = Rfq(**CLAIMS, jti="jti-of-this-rfq-00001", segment=segment())
ORDER = Order(**CLAIMS, jti="jti-of-this-order-001", action=Action.ADD)
TOKEN = "e30.e30.c2ln"


@asynccontextmanager
async def seller(handler: Handler, **limits: Any) -> AsyncIterator[SonataBuyer]:
    """A buyer of a seller that answers everything with `handler`."""
    async with AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        port = await listen(app, "127.0.0.1", 0, stack)
        session = await stack.enter_async_context(ClientSession())
        yield SonataBuyer(lambda: session, f"http://127.0.0.1:{port}/base/", PROFILE, bearer="key", **limits)


def saying(status: int, body: object, **headers: str) -> Handler:
    """Always this answer; bytes go as they are."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, body=text, headers=headers)

    return handler


async def failure(call: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await call
    return caught.value


@pytest.mark.asyncio
async def test_a_seller_that_is_silent_costs_the_deadline_and_no_more() -> None:
    async def silent(request: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    async with seller(silent, deadline_s=0.05) as buyer:
        write = await failure(buyer.quote(TOKEN, RFQ))
        assert (write.code, write.outcome) == ("OPERATOR_UNREACHABLE", Outcome.UNKNOWN)
        assert "0.05 s" in write.detail
        assert (await failure(buyer.product("p"))).outcome is None


@pytest.mark.asyncio
async def test_a_trickling_answer_meets_the_same_deadline() -> None:
    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    async with seller(trickle, deadline_s=0.1) as buyer:
        assert (await failure(buyer.decline("q"))).outcome is Outcome.UNKNOWN


@pytest.mark.asyncio
async def test_a_seller_that_is_not_there_did_nothing() -> None:
    async with ClientSession() as session:
        buyer = SonataBuyer(lambda: session, "http://127.0.0.1:1/base", PROFILE, bearer="key")
        problem = await failure(buyer.order(TOKEN, ORDER, Ordered(quote_id="q", segment=segment())))
    assert (problem.code, problem.outcome) == ("OPERATOR_UNREACHABLE", Outcome.NONE)


@pytest.mark.asyncio
async def test_a_connection_that_breaks_leaves_it_open() -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with seller(hang_up) as buyer:
        problem = await failure(buyer.order(TOKEN, ORDER, Ordered(quote_id="q", segment=segment())))
    assert (problem.code, problem.outcome) == ("OPERATOR_UNREACHABLE", Outcome.UNKNOWN)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"id":1}', b"\xff", b"[" * 90_000])
@pytest.mark.asyncio
async def test_an_answer_that_is_not_sonata_leaves_it_open(body: bytes) -> None:
    async with seller(saying(201, body)) as buyer:
        problem = await failure(buyer.quote(TOKEN, RFQ))
    assert (problem.code, problem.outcome) == ("OPERATOR_UNREACHABLE", Outcome.UNKNOWN)


@pytest.mark.asyncio
async def test_a_huge_answer_is_not_read_to_its_end() -> None:
    async with seller(saying(201, b" " * 3000), answer_bytes_max=2000) as buyer:
        problem = await failure(buyer.quote(TOKEN, RFQ))
    assert "larger than 2000 bytes" in problem.detail


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed() -> None:
    asked = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with seller(elsewhere) as buyer:
        problem = await failure(buyer.quote(TOKEN, RFQ))
    assert asked == ["/base/quoteManagement/v10/quote"]
    assert (problem.code, problem.outcome) == ("OPERATOR_REFUSED", Outcome.NONE)


FOREIGN = {
    "code": "invalidValue",
    "reason": "no such speed",
    "propertyPath": "/quoteItem/0",
    "message": "see the manual",
}


@pytest.mark.parametrize(
    ("status", "body", "code", "outcome"),
    [
        (400, {"code": "invalidBody", "reason": "bad"}, "INVALID_ARGUMENT", Outcome.NONE),
        (401, {"code": "invalidCredentials", "reason": "who?"}, "UNAUTHENTICATED", Outcome.NONE),
        (403, {"code": "accessDenied", "reason": "no"}, "POLICY_DENIED", Outcome.NONE),
        (404, {"code": "notFound", "reason": "no"}, "NOT_FOUND", Outcome.NONE),
        (422, [FOREIGN, FOREIGN], "OPERATOR_REFUSED", Outcome.NONE),
        (429, b"slow down", "OPERATOR_REFUSED", Outcome.NONE),
        (500, {"code": "internalError", "reason": "oops"}, "UNAVAILABLE", Outcome.UNKNOWN),
        (501, {"code": "notImplemented", "reason": "no"}, "NOT_IMPLEMENTED", Outcome.NONE),
        (502, b"<html>bad gateway", "UNAVAILABLE", Outcome.UNKNOWN),
    ],
)
@pytest.mark.asyncio
async def test_a_foreign_error_becomes_one_of_ours(status: int, body: object, code: str, outcome: Outcome) -> None:
    async with seller(saying(status, body, **{"Retry-After": "30"})) as buyer:
        problem = await failure(buyer.quote(TOKEN, RFQ))
    assert (problem.code, problem.outcome, problem.retry_after_s) == (code, outcome, 30)
    if status == 422:
        assert "invalidValue: no such speed /quoteItem/0" in problem.detail


def foreign_quote(**changes: Any) -> dict[str, Any]:
    item = {"id": "i", "state": "unableToProvide", "product": {}, "stateChange": [], "unknownMember": 1}
    return {"id": "q", "state": "unableToProvide", "quoteItem": [item | changes], "anotherMember": {}}


@pytest.mark.asyncio
async def test_a_foreign_refusal_is_read_as_far_as_it_says_anything() -> None:
    errors = [{"code": "otherIssue", "value": "street closed"}, {"propertyPath": "/x"}]
    async with seller(saying(201, foreign_quote(terminationError=errors))) as buyer:
        answer = await buyer.quote(TOKEN, RFQ)
    assert answer.refusal is not None
    assert (answer.refusal.code, answer.refusal.outcome) == ("OPERATOR_REFUSED", Outcome.NONE)
    assert "otherIssue street closed" in answer.refusal.detail


@pytest.mark.asyncio
async def test_a_quote_of_a_plain_seller_has_no_document() -> None:
    offered = foreign_quote(state="approved.orderable") | {
        "state": "approved.orderable",
        "validFor": {"endDateTime": "2026-11-18T12:00:00+01:00"},
    }
    async with seller(saying(201, offered)) as buyer:
        answer = await buyer.quote(TOKEN, RFQ)
    assert (answer.state, answer.quote_jws, answer.refusal, answer.item_id) == (QuoteState.ORDERABLE, None, None, "i")
    assert answer.valid_until is not None


@pytest.mark.asyncio
async def test_what_is_sent_names_key_buyer_and_document() -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        body = await request.json()
        item = {"id": "1", "state": "failed", "product": {"id": "p"}}
        assert body["externalId"] == ORDER.jti
        return web.json_response({"id": "o", "state": "failed", "productOrderItem": [item]}, status=201)

    async with seller(handler) as buyer:
        answer = await buyer.order(TOKEN, ORDER, Ordered(quote_id="q", segment=segment()), project_id="path-1")
    assert answer.state is OrderState.FAILED
    assert answer.refusal is not None
    assert seen[0].headers["Authorization"] == "Bearer key"
    assert seen[0].query == {"buyerId": "s"}


@pytest.mark.asyncio
async def test_ids_of_a_seller_cannot_leave_their_place_in_the_path() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"code": "notFound", "reason": request.raw_path}, status=404)

    async with seller(handler) as buyer:
        problem = await failure(buyer.product("../../admin?x=1#y"))
        assert "/base/productInventory/v8/product/..%2F..%2Fadmin%3Fx=1%23y" in problem.detail
        for name in ("", ".", ".."):
            assert (await failure(buyer.get_order(name))).detail == f"'{name}' is no id"


def test_only_a_release_repeats_no_quote() -> None:
    with pytest.raises(AssertionError, match="only a release"):
        order_body(TOKEN, ORDER, PROFILE, None, None)
    with pytest.raises(AssertionError, match="has no id yet"):
        quote_body(TOKEN, Rfq(**CLAIMS, jti="j", segment=segment(), product="p"), PROFILE, None)


@pytest.mark.asyncio
async def test_a_list_longer_than_asked_for_is_not_taken() -> None:
    page = [{"id": f"p-{number}", "status": "active"} for number in range(101)]
    async with seller(saying(200, page)) as buyer:
        problem = await failure(buyer.products())
        assert (problem.code, problem.outcome) == ("OPERATOR_UNREACHABLE", None)
        assert "lists 101 where 100 were asked for" in problem.detail

"""What a seller says to a request that it cannot take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from federation.sonata.errors import fault_of
from schemas.problem import CATALOGUE, Problem
from schemas.sonata.errors import CODES
from tests.support.sonata_world import BROKER, KEYS, PLAIN, plain_order, plain_quote, world

QUOTE, ORDER, PRODUCT = "quoteManagement/v10/quote", "productOrderingManagement/v11/productOrder", "productInventory/v8"
CONFIGURATION = "/quoteItem/0/product/productConfiguration"


def edited(pointer: str, value: object) -> dict[str, Any]:
    """A good quote request with one member set, or left out if `value` is Ellipsis."""
    body: Any = plain_quote()
    *parents, last = [int(part) if part.isdigit() else part for part in pointer.split("/")[1:]]
    place = body
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return dict(body)


@pytest.mark.parametrize(
    ("pointer", "value", "code"),
    [
        ("/surprise", 1, "unexpectedProperty"),
        ("/quoteItem/0/a~b", 1, "unexpectedProperty"),
        ("/quoteItem/0/state", "x", "unexpectedProperty"),
        ("/instantSyncQuote", ..., "missingProperty"),
        ("/quoteItem/0/product", ..., "missingProperty"),
        ("/quoteItem/0/product/productOffering", ..., "missingProperty"),
        (CONFIGURATION, ..., "missingProperty"),
        (f"{CONFIGURATION}/@type", ..., "missingProperty"),
        (f"{CONFIGURATION}/bandwidthBps", ..., "missingProperty"),
        (f"{CONFIGURATION}/end", ..., "missingProperty"),
        (f"{CONFIGURATION}/@type", "urn:mef:lso:spec:sonata:access-eline-ovc:v5.0.0:all", "invalidValue"),
        (f"{CONFIGURATION}/bandwidthBps", 0, "invalidValue"),
        (f"{CONFIGURATION}/bandwidthBps", -5, "invalidValue"),
        (f"{CONFIGURATION}/bandwidthBps", 10**40, "invalidValue"),
        (f"{CONFIGURATION}/bandwidthBps", 10**15, "invalidValue"),
        (f"{CONFIGURATION}/bandwidthBps", "1G", "invalidValue"),
        (f"{CONFIGURATION}/bandwidthBps", 1.5, "invalidValue"),
        (f"{CONFIGURATION}/mtu", 9, "invalidValue"),
        (f"{CONFIGURATION}/a/label", 5000, "invalidValue"),
        (f"{CONFIGURATION}/a/interface", "no spaces", "invalidFormat"),
        (f"{CONFIGURATION}/start", "tomorrow", "invalidFormat"),
        (f"{CONFIGURATION}/start", "2026-11-18T11:06:40", "invalidFormat"),
        (f"{CONFIGURATION}/start", "2036-11-18T11:06:40Z", "invalidValue"),
        (f"{CONFIGURATION}/quote", "a.b.c", "unexpectedProperty"),
        (f"{CONFIGURATION}/receipt", "a.b.c", "unexpectedProperty"),
        (f"{CONFIGURATION}/order", "a.b.c", "unexpectedProperty"),
        (f"{CONFIGURATION}/rfq", "not a token", "invalidFormat"),
        ("/quoteItem", [], "invalidValue"),
        ("/quoteItem/0/action", "remove", "invalidValue"),
        ("/quoteItem/0/action", "delete", "invalidValue"),
        ("/quoteItem/0/product/id", "p-1", "unexpectedProperty"),
        ("/quoteItem/0/product/productOffering/id", "access", "referenceNotFound"),
        ("/externalId", None, "invalidValue"),
    ],
)
@pytest.mark.asyncio
async def test_a_bad_member_is_named(pointer: str, value: object, code: str) -> None:
    async with world() as w:
        reply = await w.send("POST", QUOTE, edited(pointer, value))
    assert reply.status == 422
    assert [(issue["code"], issue["propertyPath"]) for issue in reply.json] == [(code, _named(pointer))]
    assert 0 < len(reply.json[0]["reason"]) <= 255


def _named(pointer: str) -> str:
    return pointer.replace("~", "~0")


@pytest.mark.asyncio
async def test_all_that_is_missing_is_listed() -> None:
    body = edited(f"{CONFIGURATION}/start", ...)
    del body["quoteItem"][0]["product"]["productConfiguration"]["a"]
    async with world() as w:
        reply = await w.send("POST", QUOTE, body)
    assert [issue["propertyPath"] for issue in reply.json] == [f"{CONFIGURATION}/a", f"{CONFIGURATION}/start"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"description":"\\ud800"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 50_000,
        b"{}" + b" " * 70_000,
    ],
)
@pytest.mark.asyncio
async def test_a_body_that_is_no_object_is_400(body: bytes) -> None:
    async with world() as w:
        for path in (
            QUOTE,
            ORDER,
            "quoteManagement/v10/declineQuote",
            "productOrderingManagement/v11/cancelProductOrder",
        ):
            reply = await w.send("POST", path, body)
            assert (reply.status, reply.json["code"]) == (400, "invalidBody")


@pytest.mark.parametrize("rest", [b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\nabc", b"Content-Length: 50\r\n\r\n{"])
@pytest.mark.asyncio
async def test_a_body_that_breaks_off_is_no_fault_of_ours(rest: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        url = urlsplit(w.url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        head = f"POST {url.path}/{QUOTE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS[PLAIN]}\r\n"
        writer.write(head.encode() + rest)
        await writer.drain()
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert b"500" not in answer[:20]
    assert "federation.sonata.seller" not in {record.name for record in caplog.records}


@pytest.mark.asyncio
async def test_callers_must_be_known() -> None:
    async with world() as w:
        missing = await w.send("POST", QUOTE, plain_quote(), entity=None)
        assert (missing.status, missing.json["code"]) == (401, "missingCredentials")
        assert missing.headers["WWW-Authenticate"] == "Bearer"
        async with w.session.get(f"{w.url}/{QUOTE}", headers={"Authorization": "Bearer guess"}) as wrong:
            assert (wrong.status, (await wrong.json())["code"]) == (401, "invalidCredentials")
        hub = await w.send("POST", "quoteManagement/v10/hub", {}, entity=None)
        assert hub.status == 401


@pytest.mark.asyncio
async def test_a_fault_of_ours_shows_nothing_of_it() -> None:
    async with world() as w:
        w.desk.fail = RuntimeError("secret detail")
        reply = await w.send("POST", QUOTE, plain_quote())
        assert (reply.status, reply.json["code"]) == (500, "internalError")
        assert b"secret" not in reply.body


@pytest.mark.asyncio
async def test_busy_says_when_to_come_back() -> None:
    async with world() as w:
        w.desk.fail = Problem("UNAVAILABLE", "the store is full", retry_after_s=7)
        reply = await w.send("POST", QUOTE, plain_quote())
        assert (reply.status, reply.headers["Retry-After"]) == (500, "7")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "productOrderingManagement/v11/productOrder/1"),
        ("GET", "productOrderingManagement/v11/charge"),
        ("PATCH", "productOrderingManagement/v11/charge/1"),
        ("POST", "productOrderingManagement/v11/modifyProductOrderItemRequestedDeliveryDate"),
        ("DELETE", QUOTE),
        ("PUT", f"{ORDER}/1"),
    ],
)
@pytest.mark.asyncio
async def test_what_is_not_offered_is_501(method: str, path: str) -> None:
    async with world() as w:
        reply = await w.send(method, path)
        assert (reply.status, reply.json["code"]) == (501, "notImplemented")


@pytest.mark.parametrize(
    "path", ["quoteManagement/v9/quote", "quoteManagement/v10/quotes", f"{QUOTE}/a/b", f"{QUOTE}/no"]
)
@pytest.mark.asyncio
async def test_what_is_not_there_is_404(path: str) -> None:
    async with world() as w:
        reply = await w.send("GET", path)
        assert (reply.status, reply.json["code"]) == (404, "notFound")


ORDERED = "/productOrderItem/0"
SPOILED_ORDERS: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (
    (f"{ORDERED}/quoteItem", lambda item: item.pop("quoteItem")),
    (f"{ORDERED}/quoteItem/quoteId", lambda item: item["quoteItem"].update(quoteId="x")),
    (f"{ORDERED}/quoteItem/id", lambda item: item["quoteItem"].update(id="x")),
    (
        f"{ORDERED}/requestedItemTerm/endOfTermAction",
        lambda item: item["requestedItemTerm"].update(endOfTermAction="autoRenew"),
    ),
    (
        f"{ORDERED}/requestedItemTerm/duration",
        lambda item: item["requestedItemTerm"].update(duration={"amount": 12, "units": "months"}),
    ),
    (
        f"{ORDERED}/product/productConfiguration",
        lambda item: item["product"]["productConfiguration"].update(bandwidthBps=2),
    ),
    (
        f"{ORDERED}/product/productConfiguration/rfq",
        lambda item: item["product"]["productConfiguration"].update(rfq="a.b.c"),
    ),
)


@pytest.mark.asyncio
async def test_an_order_repeats_its_quote() -> None:
    async with world() as w:
        quote = (await w.send("POST", QUOTE, plain_quote())).json
        good = plain_order(quote)
        for pointer, spoil in SPOILED_ORDERS:
            bad = json.loads(json.dumps(good))
            spoil(bad["productOrderItem"][0])
            reply = await w.send("POST", ORDER, bad)
            assert [issue["propertyPath"] for issue in reply.json] == [pointer]
        assert (await w.send("POST", ORDER, good)).status == 201
        used = await w.send("POST", ORDER, good)
        assert (used.status, json.loads(used.json[0]["message"])["code"]) == (422, "QUOTE_USED")


@pytest.mark.asyncio
async def test_an_envelope_must_say_what_its_document_says() -> None:
    async with world() as w:
        token, rfq = w.rfq()
        body = plain_quote(externalId=rfq.jti)
        body["quoteItem"][0]["product"]["productConfiguration"] |= {"rfq": token}
        for change in ({}, {"externalId": "another"}):
            reply = await w.send("POST", QUOTE, body | change, entity=BROKER)
            assert [issue["propertyPath"] for issue in reply.json] == [f"{CONFIGURATION}/rfq"]
            assert "the segment" in reply.json[0]["reason"]


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_problem_has_a_place_in_sonata(code: str, write: bool) -> None:
    fault = fault_of(Problem(code, "x" * 400, field="limits.loss_ppb"), "quote", write=write)
    assert fault.issues[0].code in CODES[fault.status]
    body = json.loads(fault.body())
    assert isinstance(body, list) == (fault.status == 422)
    if fault.status == 422:
        assert body[0]["propertyPath"] == f"{CONFIGURATION}/limits/lossPpb"


def test_a_field_of_no_known_place_has_no_pointer() -> None:
    for field in ("segments", "x", ""):
        assert fault_of(Problem("INVALID_ARGUMENT", "no", field=field), "quote", write=True).issues[0].pointer is None


@pytest.mark.asyncio
async def test_nothing_but_the_parties_stands_in_a_query() -> None:
    async with world() as w:
        assert (await w.send("POST", QUOTE, plain_quote(), query="buyerId=b&sellerId=s")).status == 201
        for query in ("dryRun=true", "buyerId=", f"buyerId={'b' * 300}"):
            assert (await w.send("POST", QUOTE, plain_quote(), query=query)).status == 400
        assert (await w.send("GET", f"{PRODUCT}/product/x", entity=PLAIN, query="fields=id")).status == 400

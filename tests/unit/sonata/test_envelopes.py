"""What a seller answers: an echo of what was sent, and its own members beside it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.support.seams import NOW
from tests.support.sonata_world import BROKER, END, START, plain_order, plain_quote, world

QUOTE, ORDER = "quoteManagement/v10/quote", "productOrderingManagement/v11/productOrder"
CANCEL, PRODUCT = "productOrderingManagement/v11/cancelProductOrder", "productInventory/v8/product"
CONTACT = {"role": "buyerContactInformation", "name": "B", "number": "1", "emailAddress": "b@b.example"}
PLACE = {"role": "x", "place": {"@type": "GeographicSiteRef", "id": "site-1", "href": "https://elsewhere.example"}}


def echoed(sent: Any, answered: Any, own: frozenset[str] = frozenset()) -> bool:
    """Whether all that was sent stands in the answer, in lists at the front; `own` members may differ."""
    if isinstance(sent, dict):
        return all(name in own or echoed(value, answered[name], own) for name, value in sent.items())
    if isinstance(sent, list):
        return all(echoed(one, other, own) for one, other in zip(sent, answered, strict=False))
    return bool(sent == answered)


@pytest.mark.asyncio
async def test_a_quote_echoes_what_was_sent_and_adds_its_own() -> None:
    sent = plain_quote(
        externalId="x-1",
        projectId="p-1",
        description="größer ☃",
        relatedContactInformation=[CONTACT],
        instantSyncQuote=False,
    )
    sent["quoteItem"][0] |= {"agreementName": "frame", "dealReference": "d", "relatedContactInformation": [CONTACT]}
    sent["quoteItem"][0]["product"]["place"] = [PLACE]
    async with world() as w:
        answer = (await w.send("POST", QUOTE, sent)).json
        assert (await w.send("GET", f"{QUOTE}/{answer['id']}")).json == answer
    assert echoed(sent, answer)
    assert answer["relatedContactInformation"] == [
        CONTACT,
        {
            "role": "sellerContactInformation",
            "name": "Seller NOC",
            "number": "+31-30-0000000",
            "emailAddress": "noc@seller.example",
        },
    ]
    assert (answer["state"], answer["quoteLevel"]) == ("approved.orderable", "firm")
    assert answer["stateChange"] == [{"state": "approved.orderable", "changeDate": START}]
    assert answer["effectiveQuoteCompletionDate"] == answer["quoteDate"] == START
    assert answer["validFor"] == {"endDateTime": "2026-11-18T11:07:10Z"}
    item = answer["quoteItem"][0]
    assert (item["state"], item["subjectToFeasibilityCheck"]) == ("approved.orderable", False)
    assert item["quoteItemTerm"][0]["duration"] == {"amount": 3600, "units": "seconds"}
    assert item["quoteItemInstallationInterval"] == {"amount": 0, "units": "seconds"}
    assert "quote" not in item["product"]["productConfiguration"]


@pytest.mark.asyncio
async def test_prices_are_exact_decimals() -> None:
    async with world() as w:
        raw = (await w.send("POST", QUOTE, plain_quote())).body
    assert b'{"unit":"EUR","value":0.333333}' in raw
    answer = json.loads(raw, parse_float=Decimal)
    prices = {
        p["name"]: (p["priceType"], p["price"]["dutyFreeAmount"]) for p in answer["quoteItem"][0]["quoteItemPrice"]
    }
    assert prices == {
        "set_up": ("nonRecurring", {"unit": "EUR", "value": Decimal("5.00")}),
        "port": ("recurring", {"unit": "EUR", "value": Decimal("1.25")}),
        "bandwidth": ("recurring", {"unit": "EUR", "value": Decimal("0.333333")}),
        "exit": ("usageBased", {"unit": "EUR", "value": Decimal("7.00")}),
    }
    assert answer["note"][0]["text"].startswith("Total over the window: 6.583333 EUR (set_up 5.00, port 1.25,")


@pytest.mark.asyncio
async def test_a_budgetary_quote_is_a_price_and_no_more() -> None:
    async with world() as w:
        answer = (await w.send("POST", QUOTE, plain_quote(buyerRequestedQuoteLevel="budgetary"))).json
        assert (await w.send("POST", QUOTE, plain_quote())).json["state"] == "approved.orderable"
    item = answer["quoteItem"][0]
    assert (answer["state"], answer["quoteLevel"], item["state"]) == ("answered", "budgetary", "answered")
    assert {"validFor"} <= set(answer)
    assert {"quoteItemPrice", "quoteItemTerm"} <= set(item)


@pytest.mark.asyncio
async def test_an_order_tells_its_whole_history_at_once() -> None:
    async with world() as w:
        quote = (await w.send("POST", QUOTE, plain_quote())).json
        sent = plain_order(quote, relatedBuyerPON="PON-1")
        answer = (await w.send("POST", ORDER, sent)).json
        assert (await w.send("GET", f"{ORDER}/{answer['id']}")).json == answer
        accepted = (await w.send("GET", f"{QUOTE}/{quote['id']}")).json
    assert echoed(sent, answer)
    assert [change["state"] for change in answer["stateChange"]] == ["acknowledged", "inProgress", "completed"]
    item = answer["productOrderItem"][0]
    assert [change["state"] for change in item["stateChange"]] == ["acknowledged", "inProgress", "completed"]
    assert answer["completionDate"] == item["completionDate"] == START
    assert item["itemTerm"] == [item["requestedItemTerm"]]
    assert "receipt" not in item["product"]["productConfiguration"]
    assert answer["relatedContactInformation"][-1]["role"] == "sellerContact"
    assert [change["state"] for change in accepted["stateChange"]] == ["approved.orderable", "accepted"]
    assert accepted["quoteItem"][0]["state"] == "approved.orderable"


@pytest.mark.asyncio
async def test_a_plain_buyer_buys_and_reads_its_labels_in_the_inventory() -> None:
    async with world() as w:
        quote = (await w.send("POST", QUOTE, plain_quote())).json
        order = (await w.send("POST", ORDER, plain_order(quote))).json
        product = (await w.send("GET", f"{PRODUCT}/{order['productOrderItem'][0]['product']['id']}")).json
    assert product["status"] == "active"
    assert product["productConfiguration"] == {
        "@type": "urn:peerway:spec:segment:v1",
        "a": {"interface": "uni-1", "label": 100},
        "z": {"interface": "enni-1", "label": 100},
        "bandwidthBps": 10**9,
        "mtu": 1500,
        "start": START,
        "end": END,
        "routeClass": "any",
    }
    assert product["productOrderItem"] == [{"productOrderId": order["id"], "productOrderItemId": "1"}]
    assert product["billingAccount"] == {"id": "BA-9"}
    assert product["productOffering"] == {"id": "segment"}


@pytest.mark.asyncio
async def test_a_refused_quote_says_so_in_sonatas_words_and_ours() -> None:
    async with world() as w:
        await w.send("POST", QUOTE, plain_quote())
        answer = (await w.send("POST", QUOTE, plain_quote())).json
    assert (answer["state"], answer["quoteItem"][0]["state"]) == ("unableToProvide", "unableToProvide")
    assert not {"validFor", "quoteLevel", "note"} & set(answer)
    (error,) = answer["quoteItem"][0]["terminationError"]
    assert (error["code"], error["propertyPath"]) == ("otherIssue", "/quoteItem/0")
    assert json.loads(error["value"]) == {
        "code": "LABEL_TAKEN",
        "detail": "label 100 is taken",
        "field": "segment.a.label",
        "interface": "uni-1",
        "free": "101,102,103",
    }


@pytest.mark.asyncio
async def test_an_order_in_progress_says_when_it_should_be_done_and_why_it_was_not() -> None:
    cancel = {"relatedContactInformation": [CONTACT], "cancellationReason": "changed my mind"}
    async with world() as w:
        w.desk.defer = True
        quote = (await w.send("POST", QUOTE, plain_quote())).json
        order = (await w.send("POST", ORDER, plain_order(quote))).json
        assert order["productOrderItem"][0]["expectedCompletionDate"] == "2026-11-18T11:07:40Z"
        done = await w.send("POST", CANCEL, cancel | {"productOrder": {"productOrderId": order["id"]}})
        assert (done.status, done.json["state"]) == (201, "done")
        assert (await w.send("GET", f"{CANCEL}/{done.json['id']}")).json == done.json
        assert done.json["relatedContactInformation"][-1]["role"] == "cancelProductOrderSellerContact"
        order = (await w.send("GET", f"{ORDER}/{order['id']}")).json
    assert (order["state"], order["cancellationReason"], order["cancellationDate"]) == (
        "cancelled",
        "changed my mind",
        START,
    )
    assert [change["state"] for change in order["stateChange"]][2:] == [
        "assessingCancellation",
        "pendingCancellation",
        "cancelled",
    ]
    item = order["productOrderItem"][0]
    assert [change["state"] for change in item["stateChange"]] == ["acknowledged", "inProgress", "pending", "cancelled"]


@pytest.mark.asyncio
async def test_the_documents_stand_where_the_schema_says() -> None:
    async with world() as w:
        product, rfq = await w.bought()
        listed = (await w.send("GET", QUOTE, entity=BROKER, query=f"externalId={rfq.jti}")).json
        quote = (await w.send("GET", f"{QUOTE}/{listed[0]['id']}", entity=BROKER)).json
        item = (await w.send("GET", f"{PRODUCT}/{product}", entity=BROKER)).json
    configuration = quote["quoteItem"][0]["product"]["productConfiguration"]
    assert {"rfq", "quote"} <= set(configuration)
    assert "receipt" in item["productConfiguration"]
    assert quote["quoteDate"] == START
    assert rfq.segment.window.start_s == NOW

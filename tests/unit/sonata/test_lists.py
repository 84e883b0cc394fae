"""Lists: filters as declared, pages in a stable order, counts in headers."""

from __future__ import annotations

import pytest

from schemas.segment import moment
from schemas.sonata.states import ProductStatus
from tests.support.seams import NOW
from tests.support.sonata_world import PLAIN, World, plain_order, plain_quote, world

QUOTE, ORDER = "quoteManagement/v10/quote", "productOrderingManagement/v11/productOrder"
CANCEL, PRODUCT = "productOrderingManagement/v11/cancelProductOrder", "productInventory/v8/product"


async def counted(w: World, path: str, query: str) -> int:
    reply = await w.send("GET", path, query=query)
    assert reply.status == 200, reply.body
    assert int(reply.headers["X-Result-Count"]) == len(reply.json)
    return int(reply.headers["X-Total-Count"])


@pytest.mark.asyncio
async def test_pages_are_stable_and_counted() -> None:
    async with world() as w:
        for number in range(7):
            await w.send("POST", QUOTE, plain_quote(externalId=f"x-{number}"))
            w.clock.advance(1)
        whole = await w.send("GET", QUOTE)
        assert [found["externalId"] for found in whole.json] == [f"x-{number}" for number in range(7)]
        assert whole.headers["X-Pagination-Throttled"] == "false"
        paged = []
        for offset in (0, 3, 6, 9):
            page = await w.send("GET", QUOTE, query=f"offset={offset}&limit=3")
            assert page.headers["X-Total-Count"] == "7"
            assert page.headers["X-Pagination-Throttled"] == "false"
            paged += page.json
        assert paged == whole.json
        assert (await w.send("GET", QUOTE, query="offset=99")).json == []


@pytest.mark.asyncio
async def test_a_page_that_the_seller_cuts_says_so() -> None:
    async with world() as w:
        for _ in range(101):
            await w.send("POST", QUOTE, plain_quote())
        for query, count, cut in (("", 100, "true"), ("limit=500", 100, "true"), ("limit=100", 100, "false")):
            reply = await w.send("GET", QUOTE, query=query)
            assert (len(reply.json), reply.headers["X-Pagination-Throttled"]) == (count, cut)
        rest = await w.send("GET", QUOTE, query="offset=100")
        assert (len(rest.json), rest.headers["X-Pagination-Throttled"]) == (1, "false")


@pytest.mark.asyncio
async def test_quotes_are_filtered() -> None:
    async with world() as w:
        await w.send("POST", QUOTE, plain_quote(externalId="x", projectId="p", requestedQuoteCompletionDate=iso(5)))
        w.clock.advance(10)
        await w.send("POST", QUOTE, plain_quote(buyerRequestedQuoteLevel="budgetary"))
        for query, count in {
            "state=approved.orderable": 1,
            "state=unableToProvide": 1,
            "state=accepted": 0,
            "externalId=x": 1,
            "externalId=y": 0,
            "projectId=p": 1,
            "quoteLevel=budgetary": 1,
            f"quoteDate.gt={iso(0)}": 1,
            f"quoteDate.lt={iso(1)}": 1,
            f"quoteDate.gt={iso(-1)}&quoteDate.lt={iso(11)}": 2,
            f"effectiveQuoteCompletionDate.gt={iso(9)}": 1,
            f"requestedQuoteCompletionDate.lt={iso(6)}": 1,
            f"expectedQuoteCompletionDate.gt={iso(0)}": 0,
            "buyerId=b&sellerId=s": 2,
        }.items():
            assert (query, await counted(w, QUOTE, query)) == (query, count)


@pytest.mark.asyncio
async def test_orders_cancellations_and_products_are_filtered() -> None:
    async with world() as w:
        quote = (await w.send("POST", QUOTE, plain_quote())).json
        order = (await w.send("POST", ORDER, plain_order(quote) | {"externalId": "o-1"})).json
        product = order["productOrderItem"][0]["product"]["id"]
        w.desk.defer = True
        other = plain_quote()
        other["quoteItem"][0]["product"]["productConfiguration"]["a"] = {"interface": "uni-1"}
        quote = (await w.send("POST", QUOTE, other)).json
        waiting = (await w.send("POST", ORDER, plain_order(quote))).json
        contact = {"role": "cancelProductOrderContact", "name": "B", "number": "1", "emailAddress": "b@b.example"}
        undo = {"productOrder": {"productOrderId": waiting["id"]}, "relatedContactInformation": [contact]}
        await w.send("POST", CANCEL, undo)
        for path, query, count in (
            (ORDER, "externalId=o-1", 1),
            (ORDER, "state=completed", 1),
            (ORDER, "state=cancelled", 1),
            (ORDER, f"completionDate.gt={iso(-1)}", 1),
            (ORDER, f"cancellationDate.lt={iso(1)}", 1),
            (ORDER, f"itemRequestedCompletionDate.gt={iso(-1)}", 2),
            (CANCEL, f"productOrderId={waiting['id']}", 1),
            (CANCEL, f"productOrderId={order['id']}", 0),
            (CANCEL, "cancellationReasonType=commercial", 1),
            (PRODUCT, "status=active", 1),
            (PRODUCT, "status=cancelled", 1),
            (PRODUCT, f"productOrderId={order['id']}", 1),
            (PRODUCT, "billingAccountId=BA-9", 2),
            (PRODUCT, "productOfferingId=segment&externalId=o-1", 1),
            (PRODUCT, "geographicSiteId=s", 0),
            (PRODUCT, f"startDate.lt={iso(1)}", 2),
        ):
            assert (path, query, await counted(w, path, query)) == (path, query, count)
        assert [found.id for found in await w.buyer(PLAIN).products(ProductStatus.ACTIVE)] == [product]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("externalID=x", "invalidQuery"),
        ("state=", "missingQueryValue"),
        ("state=ready", "invalidQuery"),
        ("limit=0", "invalidQuery"),
        ("limit=-1", "invalidQuery"),
        ("limit=ten", "invalidQuery"),
        ("limit=٣", "invalidQuery"),
        ("offset=99999999999999999999", "invalidQuery"),
        ("quoteDate.gt=yesterday", "invalidQuery"),
        ("quoteDate=2026-11-18T11:06:40Z", "invalidQuery"),
        ("externalId=a&externalId=b", "invalidQuery"),
    ],
)
@pytest.mark.asyncio
async def test_a_filter_that_is_not_understood_is_refused(query: str, code: str) -> None:
    async with world() as w:
        reply = await w.send("GET", QUOTE, query=query)
        assert (reply.status, reply.json["code"]) == (400, code)


def iso(seconds: int) -> str:
    """RFC 3339, so many seconds after the clock's start."""
    return moment(NOW + seconds).isoformat().replace("+00:00", "Z")

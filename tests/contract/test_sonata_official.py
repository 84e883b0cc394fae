"""Everything both ends say, against the official LSO Sonata files of release Kylie.

A purchase in all its turns runs through an inspecting proxy; then the inspector is shown to bite.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from federation.sonata.asking import Ordered
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import Limits
from schemas.sonata import hub, inventory, order, parts, quote, states
from schemas.sonata.errors import CODES
from tests.support.sonata_official import FILES, Inspector, components, needs_official, validate, validate_request
from tests.support.sonata_world import BROKER, START, World, plain_order, plain_quote, segment, world

pytestmark = needs_official
QUOTE, ORDER, INVENTORY, QUOTE_EVENTS, ORDER_EVENTS = FILES
# What a purchase, its refusals and its mistakes must have shown to the inspector.
SEEN = {
    ("createQuote", 201),
    ("createQuote", 400),
    ("createQuote", 401),
    ("createQuote", 422),
    ("createQuote", 500),
    ("listQuote", 200),
    ("listQuote", 400),
    ("retrieveQuote", 200),
    ("retrieveQuote", 404),
    ("declineQuote", 200),
    ("declineQuote", 422),
    ("cancelQuote", 422),
    ("registerListener", 201),
    ("registerListener", 422),
    ("retrieveHub", 200),
    ("unregisterListener", 204),
    ("unregisterListener", 404),
    ("createProductOrder", 201),
    ("createProductOrder", 422),
    ("listProductOrder", 200),
    ("retrieveProductOrder", 200),
    ("retrieveProductOrder", 404),
    ("patchProductOrder", 501),
    ("createCancelProductOrder", 201),
    ("createCancelProductOrder", 422),
    ("listCancelProductOrder", 200),
    ("retrieveCancelProductOrder", 200),
    ("listCharge", 501),
    ("createModifyProductOrderItemRequestedDeliveryDate", 501),
    ("listProduct", 200),
    ("listProduct", 400),
    ("retrieveProduct", 200),
    ("retrieveProduct", 404),
}


@pytest.mark.asyncio
async def test_all_that_both_ends_say_fits_the_official_schemas() -> None:
    async with world(inspected=True) as w:
        await whole_life(w)
        await plain_life(w)
        await refusals(w)
        await mistakes(w)
        assert w.inspector is not None
        assert w.inspector.violations == []
        assert set(w.inspector.seen) >= SEEN


async def whole_life(w: World) -> None:
    buyer = w.buyer()
    product, rfq = await w.bought()
    added = segment(start=rfq.segment.window.end_s, end=rfq.segment.window.end_s + 600)
    token, more = w.rfq(added, action=Action.MODIFY, product=product, limits=Limits(latency_us=5_000))
    offered = await buyer.quote(token, more, project_id="path-1")
    ordered = Ordered(quote_id=offered.id, segment=added, limits=more.limits)
    await buyer.order(*w.order(offered.quote_jws, action=Action.MODIFY, product=product), ordered)
    for _ in range(2):
        await buyer.product(product)
        await buyer.products()
        w.desk.confirm(product)
    assert await buyer.find_quote(more.jti) is not None
    await buyer.order(*w.order(None, action=Action.RELEASE, product=product))
    await buyer.product(product)

    w.desk.defer = True
    for end in (w.desk.break_down, None):
        token, rfq = w.rfq()
        offered = await buyer.quote(token, rfq)
        answer = await buyer.order(*w.order(offered.quote_jws), Ordered(quote_id=offered.id, segment=rfq.segment))
        assert answer.product is not None
        await buyer.product(answer.product)
        if end is None:
            cancelled = await buyer.cancel(answer.id, "a sibling failed")
            await w.send("GET", f"{ORDER}/cancelProductOrder/{cancelled.id}", entity=BROKER)
        else:
            end(answer.product)
        await buyer.get_order(answer.id)
        await buyer.product(answer.product)
    w.desk.defer = False
    for listing in (f"{QUOTE}/quote", f"{ORDER}/productOrder", f"{ORDER}/cancelProductOrder", f"{INVENTORY}/product"):
        await w.send("GET", listing, entity=BROKER, query="limit=3&offset=1")


async def plain_life(w: World) -> None:
    offered = (await w.send("POST", f"{QUOTE}/quote", plain_quote(externalId="x-1", note=[NOTE]))).json
    made = (await w.send("POST", f"{ORDER}/productOrder", plain_order(offered))).json
    product = made["productOrderItem"][0]["product"]["id"]
    await w.send("GET", f"{INVENTORY}/product/{product}")
    release = plain_order(offered, action="delete", product={"id": product})
    del release["productOrderItem"][0]["quoteItem"]
    assert (await w.send("POST", f"{ORDER}/productOrder", release)).status == 201
    budgetary = plain_quote(buyerRequestedQuoteLevel="budgetary")
    assert (await w.send("POST", f"{QUOTE}/quote", budgetary)).json["state"] == "answered"
    offered = (await w.send("POST", f"{QUOTE}/quote", plain_quote(description="x"))).json
    await w.send("POST", f"{QUOTE}/declineQuote", {"quoteId": offered["id"], "reason": "too dear"})


async def refusals(w: World) -> None:
    buyer = w.buyer()
    first = await buyer.quote(*w.rfq())
    token, rfq = w.rfq()
    assert (await buyer.quote(token, rfq)).refusal is not None
    w.clock.advance(31)
    for call in (
        lambda: buyer.get_quote("nothing"),
        lambda: buyer.get_order("nothing"),
        lambda: buyer.product("nothing"),
        lambda: buyer.decline("nothing"),
        lambda: buyer.cancel("nothing", "why"),
        lambda: buyer.order(*w.order(first.quote_jws), Ordered(quote_id=first.id, segment=rfq.segment)),
    ):
        with pytest.raises(Problem):
            await call()


async def mistakes(w: World) -> None:
    await w.send("POST", f"{QUOTE}/quote", b"{")
    await w.send("POST", f"{QUOTE}/quote", b"x" * 70_000)
    await w.send("POST", f"{QUOTE}/quote", {}, entity=None)
    await w.send("POST", f"{QUOTE}/quote", plain_quote(surprise=1))
    await w.send("POST", f"{QUOTE}/quote", plain_quote(quoteItem=[]))
    w.desk.fail = RuntimeError("a bug")
    await w.send("POST", f"{QUOTE}/quote", plain_quote())
    offered = (await w.send("POST", f"{QUOTE}/quote", plain_quote())).json
    await w.send("POST", f"{QUOTE}/cancelQuote", {"quoteId": offered["id"]})
    await w.send("GET", f"{QUOTE}/quote", query="state=nonsense")
    await w.send("GET", f"{INVENTORY}/product", query="externalID=x")
    await w.send("POST", f"{QUOTE}/hub", {"callback": "https://b.example", "query": "eventType=nonsense"})
    for api in (QUOTE, ORDER):
        hub = (await w.send("POST", f"{api}/hub", {"callback": "https://b.example"})).json["id"]
        for method in ("GET", "DELETE", "DELETE"):
            await w.send(method, f"{api}/hub/{hub}")
    await w.send("PATCH", f"{ORDER}/productOrder/1", {})
    await w.send("GET", f"{ORDER}/charge")
    await w.send("POST", f"{ORDER}/modifyProductOrderItemRequestedDeliveryDate", {})


NOTE = {"id": "1", "author": "a", "date": START, "source": "buyer", "text": "hello"}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda q: q.pop("state"), "'state' is a required property"),
        (lambda q: q.update(state="ready"), "'ready' is not one of"),
        (lambda q: q.update(extra=1), "Unevaluated properties"),
        (lambda q: q.update(quoteDate="yesterday"), "is not a 'date-time'"),
        (lambda q: q.update(externalId=None), "None is not of type 'string'"),
        (lambda q: q["quoteItem"][0].update(price=1), "Unevaluated properties"),
        (lambda q: q["quoteItem"][0]["product"].update(name="x"), "Unevaluated properties"),
        (lambda q: q["quoteItem"][0]["quoteItemPrice"][0]["price"]["dutyFreeAmount"].update(value="1"), "'number'"),
        (
            lambda q: q["quoteItem"][0]["product"]["productConfiguration"].update(colour="red"),
            "'colour' was unexpected",
        ),
        (
            lambda q: q["quoteItem"][0]["product"]["productConfiguration"].update({"@type": "urn:x"}),
            "no schema is agreed",
        ),
    ],
)
@pytest.mark.asyncio
async def test_the_inspector_bites(spoil: Any, complaint: str) -> None:
    async with world() as w:
        envelope = (await w.send("POST", f"{QUOTE}/quote", plain_quote())).json
    validate(QUOTE, "createQuote", 201, json.dumps(envelope).encode())
    spoil(envelope)
    with pytest.raises(AssertionError, match=complaint):
        validate(QUOTE, "createQuote", 201, json.dumps(envelope).encode())


def test_the_inspector_knows_statuses_media_and_requests() -> None:
    with pytest.raises(AssertionError, match="declares no 429"):
        validate(QUOTE, "createQuote", 429, b"{}")
    with pytest.raises(AssertionError, match="declared is application/json;charset=utf-8"):
        validate(QUOTE, "createQuote", 401, b"{}", "text/html")
    with pytest.raises(AssertionError, match="'quoteItem' is a required property"):
        validate_request(QUOTE, "createQuote", b'{"buyerRequestedQuoteLevel":"firm","instantSyncQuote":true}')


@pytest.mark.asyncio
async def test_the_proxy_reports_what_a_seller_says_wrongly() -> None:
    async with world(inspected=True) as w:
        inspector = w.inspector
        assert isinstance(inspector, Inspector)
        inspector._upstream += "/nowhere"
        await w.send("GET", f"{QUOTE}/quote")
        assert len(inspector.violations) == 1
        inspector.violations.clear()


# Struct, API, official schema. Strict ones take every declared member; what a buyer reads may be part of it.
STRICT = (
    (quote.QuoteCreate, QUOTE, "Quote_Create"),
    (quote.QuoteItemCreate, QUOTE, "MEFQuoteItem_Create"),
    (quote.QuoteOperation, QUOTE, "QuoteOperationData"),
    (hub.Subscription, QUOTE, "EventSubscriptionInput"),
    (hub.Subscription, ORDER, "EventSubscriptionInput"),
    (order.OrderCreate, ORDER, "ProductOrder_Create"),
    (order.OrderItemCreate, ORDER, "MEFProductOrderItem_Create"),
    (order.CancelCreate, ORDER, "CancelProductOrder_Create"),
    (order.OrderRef, ORDER, "MEFProductOrderRef"),
    (order.QuoteItemRef, ORDER, "MEFQuoteItemRef"),
    (order.CoordinatedAction, ORDER, "MEFOrderItemCoordinatedAction"),
    (parts.ProductValue, ORDER, "MEFProductRefOrValueOrder"),
    (parts.ProductValue, QUOTE, "MEFProductRefOrValueQuote"),
    (parts.Contact, QUOTE, "RelatedContactInformation"),
    (parts.ContactInformation, QUOTE, "ContactInformation"),
    (parts.FieldedAddress, QUOTE, "FieldedAddressRepresentation"),
    (parts.FormattedAddress, QUOTE, "FormattedAddressRepresentation"),
    (parts.GeographicPoint, QUOTE, "GeographicPointRepresentation"),
    (parts.PlaceLabel, QUOTE, "LabelRepresentation"),
    (parts.RelatedPlace, QUOTE, "RelatedPlaceRefOrQueryWithSubUnit"),
    (parts.SubUnit, QUOTE, "SubUnit"),
    (parts.OfferingRef, QUOTE, "ProductOfferingRef"),
    (parts.ProductRelationship, QUOTE, "ProductRelationship"),
    (parts.ItemRelationship, QUOTE, "QuoteItemRelationship"),
    (parts.ItemRelationship, ORDER, "OrderItemRelationship"),
    (parts.QualificationRef, QUOTE, "ProductOfferingQualificationItemRef"),
    (parts.Note, QUOTE, "Note"),
    (parts.Duration, QUOTE, "Duration"),
    (parts.ItemTerm, QUOTE, "MEFItemTerm"),
    (parts.ItemPrice, QUOTE, "QuotePrice"),
    (parts.ItemPrice, INVENTORY, "ProductPrice"),
    (parts.Price, QUOTE, "Price"),
    (parts.SonataMoney, QUOTE, "Money"),
    (parts.TerminationError, QUOTE, "TerminationError"),
    (parts.Reference, ORDER, "MEFBillingAccountRef"),
)
READ = (
    (quote.Quote, QUOTE, "Quote"),
    (quote.QuoteItem, QUOTE, "QuoteItem"),
    (quote.QuoteFound, QUOTE, "Quote_Find"),
    (quote.ValidFor, QUOTE, "TimePeriod"),
    (hub.Hub, QUOTE, "EventSubscription"),
    (hub.Hub, ORDER, "EventSubscription"),
    (hub.Event, QUOTE_EVENTS, "QuoteStateChangeEvent"),
    (hub.Event, ORDER_EVENTS, "ProductOrderStateChangeEvent"),
    (order.ProductOrder, ORDER, "ProductOrder"),
    (order.OrderItem, ORDER, "ProductOrderItem"),
    (order.OrderFound, ORDER, "ProductOrder_Find"),
    (order.Cancel, ORDER, "CancelProductOrder"),
    (inventory.Product, INVENTORY, "MEFProduct"),
    (inventory.ProductFound, INVENTORY, "MEFProduct_Find"),
    (inventory.OrderItemRef, INVENTORY, "MEFProductOrderItemRef"),
)
ENUMS = (
    (states.QuoteState, QUOTE, "MEFQuoteStateType"),
    (states.QuoteItemState, QUOTE, "MEFQuoteItemStateType"),
    (states.OrderState, ORDER, "MEFProductOrderStateType"),
    (states.OrderItemState, ORDER, "MEFProductOrderItemStateType"),
    (states.CancelState, ORDER, "MEFChargeableTaskStateType"),
    (states.ProductStatus, INVENTORY, "MEFProductStatusType"),
    (parts.TimeUnit, QUOTE, "TimeUnit"),
    (parts.ItemAction, QUOTE, "MEFProductActionType"),
    (parts.QuoteLevel, QUOTE, "MEFBuyerQuoteLevel"),
    (parts.EndOfTerm, QUOTE, "MEFEndOfTermAction"),
)


@pytest.mark.parametrize(("kind", "api", "name"), STRICT, ids=lambda value: getattr(value, "__name__", value))
def test_what_we_take_is_all_that_is_declared(kind: type[msgspec.Struct], api: str, name: str) -> None:
    declared, required = members(api, name)
    fields = msgspec.structs.fields(kind)
    assert {field.encode_name for field in fields} == declared
    assert {field.encode_name for field in fields if field.required} >= required


@pytest.mark.parametrize(("kind", "api", "name"), READ, ids=lambda value: getattr(value, "__name__", value))
def test_what_we_read_is_declared(kind: type[msgspec.Struct], api: str, name: str) -> None:
    declared, _ = members(api, name)
    assert {field.encode_name for field in msgspec.structs.fields(kind)} <= declared


@pytest.mark.parametrize(("kind", "api", "name"), ENUMS, ids=lambda value: getattr(value, "__name__", value))
def test_states_are_the_official_ones(kind: Iterable[str], api: str, name: str) -> None:
    assert {str(value) for value in kind} == set(components(api)[name]["enum"])


@pytest.mark.parametrize("status", sorted(CODES))
def test_error_codes_are_the_official_ones(status: int) -> None:
    if status == 409:
        code = components(ORDER)["Error409"]["allOf"][1]["properties"]["code"]
    else:
        code = components(ORDER)[f"Error{status}"]["allOf"][1]["properties"]["code"]
    name = code.get("$ref", "").rpartition("/")[2]
    assert CODES[status] == set((components(ORDER)[name] if name else code)["enum"])


def members(api: str, name: str) -> tuple[set[str], set[str]]:
    """The members that an official schema declares, through allOf and $ref, and those it requires."""
    return _members(api, components(api)[name])


def _members(api: str, schema: dict[str, Any]) -> tuple[set[str], set[str]]:
    if "$ref" in schema:
        return members(api, schema["$ref"].rpartition("/")[2])
    declared, required = set(schema.get("properties", {})), set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        more, needed = _members(api, part)
        declared, required = declared | more, required | needed
    return declared, required

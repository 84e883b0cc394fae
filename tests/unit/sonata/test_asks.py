"""Asks: what an envelope is taken for, and whether the documents in it agree with it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec import structs

from federation.sonata.asking import Ordered, cancel_body, order_body, quote_body
from federation.sonata.asks import (
    cancel_ask,
    check_order,
    check_ordered,
    check_rfq,
    order_ask,
    quote_ask,
    same_segment,
)
from federation.sonata.envelopes import encode
from federation.sonata.errors import Fault
from federation.sonata.histories import quote_history
from federation.sonata.protocols import Change, OrderAsk, QuoteAsk, QuoteRecord
from schemas.lease import State
from schemas.order import Order
from schemas.price import Tariff, TimeBand
from schemas.problem import Problem
from schemas.quote import Action, Rfq
from schemas.segment import End, Limits
from schemas.sonata.amounts import item_prices
from schemas.sonata.segment import limits_of
from tests.support.seams import NOW
from tests.support.sonata_world import BROKER, PROFILE, SELLER, plain_order, plain_quote, segment

CLAIMS: dict[str, Any] = {"iss": BROKER, "sub": "s", "aud": SELLER, "iat": NOW, "exp": NOW + 60}
RFQ = Rfq(**CLAIMS, jti="jti-of-this-rfq-00001", segment=segment(), limits=Limits(latency_us=9))
MORE = structs.replace(RFQ, action=Action.MODIFY, product="p-1")
ORDER = Order(**CLAIMS, jti="jti-of-this-order-001", action=Action.ADD)
RELEASE = structs.replace(ORDER, action=Action.RELEASE, product="p-1")
TOKEN = "e30.e30.c2ln"


def asked(rfq: Rfq) -> QuoteAsk:
    return quote_ask(encode_struct(quote_body(TOKEN, rfq, PROFILE, "path-1")), "segment")


def ordered(order: Order, rfq: Rfq = RFQ) -> OrderAsk:
    repeated = None if order.action is Action.RELEASE else Ordered(quote_id="q-1", segment=rfq.segment)
    return order_ask(encode_struct(order_body(TOKEN, order, PROFILE, repeated, "path-1")), "segment")


def encode_struct(body: Any) -> bytes:
    return encode(json.loads(msgspec.json.encode(body)))


@pytest.mark.parametrize("rfq", [RFQ, MORE])
def test_a_quote_is_asked_as_the_rfq_says(rfq: Rfq) -> None:
    ask = asked(rfq)
    assert (ask.action, ask.segment, ask.limits, ask.product) == (rfq.action, rfq.segment, rfq.limits, rfq.product)
    assert (ask.external_id, ask.project_id, ask.firm, ask.rfq) == (rfq.jti, "path-1", True, TOKEN)
    check_rfq(ask, rfq)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"jti": "another-jti-000000001"}, "externalId"),
        ({"action": Action.MODIFY}, "action"),
        ({"product": "p-2"}, "product id"),
        ({"segment": segment(a=102)}, "the segment"),
        ({"limits": Limits(latency_us=10)}, "the limits"),
    ],
)
def test_an_rfq_that_differs_from_its_envelope_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(Problem, match=named) as caught:
        check_rfq(asked(RFQ), structs.replace(RFQ, **change))
    assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", "rfq")


def test_an_rfq_in_a_budgetary_request_is_refused() -> None:
    with pytest.raises(Problem, match="must be firm"):
        check_rfq(structs.replace(asked(RFQ), firm=False), RFQ)


@pytest.mark.parametrize(
    ("order", "rfq"), [(ORDER, RFQ), (structs.replace(ORDER, action=Action.MODIFY, product="p-1"), MORE)]
)
def test_an_order_is_asked_as_its_document_says(order: Order, rfq: Rfq) -> None:
    ask = ordered(order, rfq)
    assert (ask.action, ask.segment, ask.product, ask.order) == (order.action, rfq.segment, order.product, TOKEN)
    assert (ask.quote_id, ask.quote_item_id, ask.external_id) == ("q-1", "1", order.jti)
    check_order(ask, order)


def test_an_order_repeats_the_limits_of_its_quote() -> None:
    body = order_body(TOKEN, ORDER, PROFILE, Ordered(quote_id="q", segment=RFQ.segment, limits=RFQ.limits), None)
    written = body.product_order_item[0].product.product_configuration
    assert written is not msgspec.UNSET
    assert limits_of(written) == RFQ.limits


def test_a_release_is_its_product_and_its_document() -> None:
    ask = ordered(RELEASE)
    assert (ask.action, ask.product, ask.order) == (Action.RELEASE, "p-1", TOKEN)
    assert (ask.quote_id, ask.quote_item_id, ask.segment) == (None, None, None)
    check_order(ask, RELEASE)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"jti": "another-jti-000000001"}, "externalId"),
        ({"action": Action.ADD}, "action"),
        ({"product": "p"}, "product"),
    ],
)
def test_an_order_that_differs_from_its_envelope_is_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(Problem, match=named):
        check_order(ordered(RELEASE), structs.replace(RELEASE, **change))


def test_an_order_takes_what_was_quoted() -> None:
    ask = asked(RFQ)
    history = quote_history([Change(State.HELD, NOW)])
    quote = QuoteRecord(id="q-1", raw=ask.raw, created_at=NOW, history=history, segment=ask.segment)
    check_ordered(ordered(ORDER), quote)
    for spoiled in (
        {"quote_item_id": "2"},
        {"action": Action.MODIFY},
        {"product": "p-1"},
        {"segment": segment(a=102)},
        {"segment": segment(end=NOW + 60)},
        {"segment": None},
    ):
        with pytest.raises(Problem):
            check_ordered(structs.replace(ordered(ORDER), **spoiled), quote)
    with pytest.raises(Problem):
        check_ordered(ordered(ORDER), structs.replace(quote, segment=None))


def test_a_label_left_open_matches_the_one_held() -> None:
    held = segment(a=100, z=101)
    assert same_segment(segment(a=None, z=None), held)
    assert same_segment(segment(a=None, z=101), held)
    assert not same_segment(segment(a=101, z=None), held)
    assert not same_segment(structs.replace(held, a=End("uni-2", None)), held)


def test_a_cancellation_names_an_order_and_a_reason() -> None:
    ask = cancel_ask(encode_struct(cancel_body("o-1", "a sibling failed", PROFILE)))
    assert (ask.order_id, ask.why) == ("o-1", "a sibling failed")


def test_one_item_at_a_time() -> None:
    quote = plain_quote()
    order = plain_order({"id": "q", "quoteItem": [quote["quoteItem"][0] | {"quoteItemTerm": [{}]}]})
    for body, name, read in ((quote, "quoteItem", quote_ask), (order, "productOrderItem", order_ask)):
        body[name] = [body[name][0] | {"requestedItemTerm": TERM} if name != "quoteItem" else body[name][0]] * 2
        with pytest.raises(Fault) as caught:
            read(encode(body), "segment")
        assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [("tooManyRecords", f"/{name}")]


TERM = {"name": "x", "duration": {"amount": 1, "units": "months"}, "endOfTermAction": "autoDisconnect"}


@pytest.mark.parametrize("extra", [{"mtu": 1500}, {"receipt": TOKEN}, {"bandwidthBps": 1}])
def test_a_release_carries_nothing_else(extra: dict[str, Any]) -> None:
    body = json.loads(encode_struct(order_body(TOKEN, RELEASE, PROFILE, None, None)))
    body["productOrderItem"][0]["product"]["productConfiguration"] |= extra
    with pytest.raises(Fault) as caught:
        order_ask(encode(body), "segment")
    assert caught.value.issues[0].pointer == f"/productOrderItem/0/product/productConfiguration/{next(iter(extra))}"


def test_a_release_names_its_product() -> None:
    body = json.loads(encode_struct(order_body(TOKEN, RELEASE, PROFILE, None, None)))
    body["productOrderItem"][0]["product"] = {}
    with pytest.raises(Fault) as caught:
        order_ask(encode(body), "segment")
    assert [(issue.code, issue.pointer) for issue in caught.value.issues] == [
        ("missingProperty", "/productOrderItem/0/product/id")
    ]


def test_time_bands_stand_in_the_description_of_a_price() -> None:
    band = TimeBand(from_minute=480, to_minute=1080, factor_ppm=1_500_000, days=(1, 2))
    tariff = Tariff(currency="EUR", minimum_micro=2_000_000, zone="Europe/Amsterdam", bands=(band,))
    told = {price.name: price for price in item_prices(tariff, segment())}
    assert set(told) == {"port", "bandwidth", "minimum"}
    assert told["port"].description == (
        "billed to the second; times 1.50 from 08:00 to 18:00 Europe/Amsterdam on weekdays 1,2"
    )

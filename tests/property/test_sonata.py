"""What must hold for every history, every amount and every body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.sonata import asks
from federation.sonata.answers import error_of
from federation.sonata.errors import Fault
from federation.sonata.histories import order_history, product_history, quote_history
from federation.sonata.listing import ORDER_FILTERS, PRODUCT_FILTERS, QUOTE_FILTERS, wanted
from federation.sonata.protocols import Change
from schemas.lease import TRANSITIONS, State
from schemas.price import Tariff, TermFactor
from schemas.sonata import amounts, states
from schemas.sonata.errors import CODES
from schemas.sonata.segment import URN
from tests.support.seams import NOW
from tests.support.sonata_world import plain_order, plain_quote, segment, world

T = TypeVar("T")


@st.composite
def leases(draw: st.DrawFn) -> list[Change[State]]:
    """A walk through the table of leases, at times that never go back."""
    state: State = draw(st.sampled_from((State.HELD, State.QUOTED)))
    at = NOW
    walked = [Change(state, at)]
    for _ in range(draw(st.integers(0, 8))):
        if not TRANSITIONS[state]:
            break
        state = draw(st.sampled_from(tuple(sorted(TRANSITIONS[state]))))
        at += draw(st.integers(0, 5))
        walked.append(Change(state, at, draw(st.sampled_from(["", "because"]))))
    return walked


spans = st.lists(st.tuples(st.integers(NOW, NOW + 40), st.none() | st.integers(0, 20)), max_size=1).map(
    lambda found: [(start, None if after is None else start + after) for start, after in found]
)


def legal(told: tuple[Change[Any], ...], table: Mapping[Any, frozenset[Any]], first: frozenset[Any]) -> bool:
    names = [change.state for change in told]
    return (not names or names[0] in first) and all(to in table[at] for at, to in pairwise(names))


@given(leases(), spans)
def test_every_history_is_one_that_sonata_allows(lease: list[Change[State]], pending: list[Any]) -> None:
    quote, order = quote_history(lease), order_history(lease)
    product = product_history(lease, pending)
    assert legal(quote, states.QUOTE, states.QUOTE_FIRST)
    assert quote
    assert legal(order, states.ORDER, frozenset({states.OrderState.ACKNOWLEDGED}))
    assert legal(product, states.PRODUCT, frozenset({states.ProductStatus.PENDING_ACTIVE}))
    for told in (quote, order, product):
        assert [change.at for change in told] == sorted(change.at for change in told)


@given(leases())
def test_histories_end_where_the_lease_does(lease: list[Change[State]]) -> None:
    walked = {change.state for change in lease}
    product = product_history(lease)
    assert bool(product) == bool(order_history(lease)) == (State.COMMITTED in walked)
    if not product:
        return
    over = lease[-1].state in {State.RELEASED, State.FAILED}
    gone = {states.ProductStatus.TERMINATED, states.ProductStatus.CANCELLED}
    assert (product[-1].state in gone) == over
    assert (states.ProductStatus.ACTIVE in {change.state for change in product}) == (State.UP in walked)
    if over:
        assert (product[-1].state is states.ProductStatus.TERMINATED) == (State.UP in walked)
        completed = order_history(lease)[-1].state is states.OrderState.COMPLETED
        assert completed == (State.UP in walked)


@given(st.integers(0, 10**24))
def test_an_amount_is_exact_and_reads_back(micro: int) -> None:
    value = amounts.decimal(micro)
    assert Fraction(value) == Fraction(micro, 10**6)
    assert "E" not in str(value)
    assert value.as_tuple().exponent in {-2, -6}
    assert Fraction(Decimal(str(value))) * 10**6 == micro


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 10**9))
def test_hourly_prices_are_the_tariff_rounded_up_once(hourly: int, gbps: int, factor: int) -> None:
    tariff = Tariff(
        currency="EUR", hourly_micro=hourly, gbps_hourly_micro=gbps, terms=(TermFactor(min_s=0, factor_ppm=factor),)
    )
    sold = segment()
    exact = Fraction(gbps * sold.bandwidth_bps * factor, 10**15)
    assert exact <= amounts.rate(tariff, sold) < exact + 1
    assert hourly * factor <= amounts.port_micro(tariff, sold) * 10**6 < hourly * factor + 10**6


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([URN, "add", "a.b.c"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["@type", "id", "a", "rfq", "quote"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
QUOTED = {"id": "q", "quoteItem": [plain_quote()["quoteItem"][0] | {"quoteItemTerm": [{}]}]}


@st.composite
def spoiled(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """A good body with one place, however deep, replaced by or given anything."""
    body = json.loads(json.dumps(good))
    place: Any = body
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from([*keys, "more"] if isinstance(place, dict) else keys or [0]))
        inner = place[key] if key in keys else None
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            place = inner
            continue
        if isinstance(place, list) and not keys:
            place.append(draw(json_values))
        else:
            place[key] = draw(json_values)
        return json.dumps(body).encode()


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | spoiled(plain_quote()))
def test_any_quote_request_is_an_ask_or_a_clean_refusal(body: bytes) -> None:
    ask = read(lambda: asks.quote_ask(body, "segment"), {400, 422})
    assert ask is None or ask.segment.bandwidth_bps > 0


@given(spoiled(plain_order(QUOTED)))
def test_any_order_request_is_an_ask_or_a_clean_refusal(body: bytes) -> None:
    ask = read(lambda: asks.order_ask(body, "segment"), {400, 422})
    assert ask is None or (ask.segment is None) == (ask.quote_id is None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["state", "limit", "offset", "externalId", "quoteDate.gt"]) | st.text(), st.text()),
        max_size=4,
    )
)
def test_any_query_is_a_filter_or_a_clean_refusal(query: list[tuple[str, str]]) -> None:
    for filters in (QUOTE_FILTERS, ORDER_FILTERS, PRODUCT_FILTERS):
        want = read(partial(wanted, query, filters), {400})
        assert want is None or (0 < want.limit <= 100 and want.offset >= 0)


@given(st.integers(300, 599), st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_error_of_a_seller_is_a_problem(status: int, body: bytes) -> None:
    problem = error_of(status, body, write=True)
    assert str(status) in problem.detail
    assert problem.outcome is not None


@settings(max_examples=60, deadline=None)
@given(body=spoiled(plain_quote()), order=spoiled(plain_order(QUOTED)))
@pytest.mark.asyncio
async def test_no_body_makes_the_seller_fail(body: bytes, order: bytes) -> None:
    async with world() as w:
        for path, sent in (
            ("quoteManagement/v10/quote", body),
            ("quoteManagement/v10/declineQuote", body),
            ("productOrderingManagement/v11/productOrder", order),
            ("productOrderingManagement/v11/cancelProductOrder", order),
        ):
            reply = await w.send("POST", path, sent)
            assert reply.status in {201, 400, 422}, reply.body


def read(call: Callable[[], T], statuses: set[int]) -> T | None:
    """What `call` makes of its input; None for a fault with one of `statuses` and a body that Sonata allows."""
    try:
        return call()
    except Fault as caught:
        fault = caught
    told = json.loads(fault.body())
    assert fault.status in statuses
    for issue in told if isinstance(told, list) else [told]:
        assert issue["code"] in CODES[fault.status]
        assert len(issue["reason"]) <= 255
    return None

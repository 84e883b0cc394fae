"""Every way in which an operator's answer may differ from what was asked is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from federation.broker.orders.saga.fold import RANK
from federation.broker.peers.verify import verified_confirmation, verified_quote, verified_receipt, verified_standing
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import generate, public_keys
from schemas.entity import Jwks
from schemas.lease import State
from schemas.order import Bill, Confirm, Order, Receipt
from schemas.price import Line, Money, Tariff, charge, total
from schemas.problem import Problem
from schemas.quote import Action, Rfq, SegmentQuote
from schemas.segment import End, Promise, Segment, window
from tests.support.seams import NOW

KEY, OTHER = generate(), generate()
KEYS = public_keys(Jwks((KEY.jwk(),)))
BROKER, OPERATOR = "https://broker.example", "https://alpha.example"
JTI = "j" * 22
GBPS = 10**9
WINDOW = window(NOW + 10, NOW + 3610)
SEGMENT = Segment(a=End("u"), z=End("e", 7), bandwidth_bps=GBPS, window=WINDOW)
HELD = structs.replace(SEGMENT, a=End("u", 3))
TARIFF = Tariff(currency="EUR", set_up_micro=5, hourly_micro=100)


def rfq(**changes: Any) -> Rfq:
    base = Rfq(iss=BROKER, sub="x" * 22, aud=OPERATOR, iat=NOW, exp=NOW + 60, jti=JTI, segment=SEGMENT)
    return structs.replace(base, **changes)


def quote(asked: Rfq, **changes: Any) -> SegmentQuote:
    lines = charge(TARIFF, GBPS, WINDOW.start_s, WINDOW.end_s, WINDOW.duration_s)
    base = SegmentQuote(
        iss=OPERATOR,
        sub=asked.sub,
        aud=BROKER,
        iat=NOW,
        exp=NOW + 30,
        jti=JTI,
        rfq_h=doc_hash(sign_jws(KEY, asked)),
        action=asked.action,
        segment=HELD,
        promise=Promise(latency_us=10),
        tariff=TARIFF,
        lines=lines,
        total=Money("EUR", total(lines)),
        held=True,
        product=asked.product,
    )
    return structs.replace(base, **changes)


def check_quote(answer: SegmentQuote, asked: Rfq, *, key: Any = KEY, now: int = NOW) -> SegmentQuote:
    return verified_quote(sign_jws(key, answer), sign_jws(KEY, asked), asked, keys=KEYS, now=now)


def test_a_faithful_quote_is_believed_and_may_pick_a_label_that_was_left_open() -> None:
    asked = rfq()
    assert check_quote(quote(asked), asked).segment.a == End("u", 3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"rfq_h": "A" * 43}, "rfq_h"),
        ({"sub": "y" * 22}, "sub"),
        ({"action": Action.MODIFY}, "action"),
        ({"product": "p"}, "product"),
        ({"segment": structs.replace(HELD, z=End("e", 8))}, "segment.z"),
        ({"segment": structs.replace(HELD, z=End("f", 7))}, "segment.z"),
        ({"segment": structs.replace(HELD, a=End("v", 3))}, "segment.a"),
        ({"segment": structs.replace(HELD, bandwidth_bps=GBPS - 1)}, "segment.bandwidth_bps"),
        ({"segment": structs.replace(HELD, mtu=1400)}, "segment.mtu"),
        ({"segment": structs.replace(HELD, route_class="eu")}, "segment.route_class"),
        ({"segment": structs.replace(HELD, window=window(NOW + 11, NOW + 3610))}, "segment.window"),
        ({"segment": SEGMENT}, "segment"),
        ({"total": Money("EUR", 104)}, "total.micro"),
        ({"total": Money("CHF", 105)}, "total.currency"),
        ({"lines": (Line("port", 99),), "total": Money("EUR", 99)}, "total.micro"),
    ],
)
def test_a_quote_that_differs_from_what_was_asked_is_refused(changes: dict[str, Any], field: str) -> None:
    asked = rfq()
    with pytest.raises(Problem) as caught:
        check_quote(quote(asked, **changes), asked)
    assert (caught.value.code, caught.value.field) == ("DOCUMENT_INVALID", field)


@pytest.mark.parametrize(
    ("make", "key", "now"),
    [
        (quote, OTHER, NOW),
        (quote, KEY, NOW + 30),
        (lambda asked: quote(asked, iss="https://mallory.example"), KEY, NOW),
        (lambda asked: quote(asked, aud="https://other-broker.example"), KEY, NOW),
    ],
)
def test_a_quote_of_another_for_another_or_too_late_is_refused(
    make: Callable[[Rfq], SegmentQuote], key: Any, now: int
) -> None:
    asked = rfq()
    with pytest.raises(Problem, match=r"signature|kid|expired|iss|aud"):
        check_quote(make(asked), asked, key=key, now=now)


def order(action: Action = Action.ADD, **changes: Any) -> Order:
    base = Order(
        iss=BROKER, sub="x" * 22, aud=OPERATOR, iat=NOW, exp=NOW + 60, jti=JTI, action=action, quote_h="Q" * 43
    )
    return structs.replace(base, **changes)


def receipt(of: Order, **changes: Any) -> Receipt:
    base = Receipt(
        iss=OPERATOR,
        sub=of.sub,
        aud=BROKER,
        iat=NOW,
        exp=NOW + 99,
        jti=JTI,
        order_h=doc_hash(sign_jws(KEY, of)),
        quote_h=of.quote_h,
        prev_h=None,
        product="p-1",
        state=State.UP,
        segment=HELD,
    )
    return structs.replace(base, **changes)


def check_receipt(answer: Receipt, of: Order, held: SegmentQuote | None = None, *, later: bool = False) -> Receipt:
    return verified_receipt(sign_jws(KEY, answer), sign_jws(KEY, of), of, held, keys=KEYS, now=NOW, later=later)


def test_a_faithful_receipt_is_believed() -> None:
    assert check_receipt(receipt(order()), order(), quote(rfq())).state is State.UP


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"order_h": "A" * 43}, "order_h"),
        ({"quote_h": "A" * 43}, "quote_h"),
        ({"sub": "y" * 22}, "sub"),
        ({"state": State.RELEASED}, "state"),
        ({"segment": structs.replace(HELD, z=End("e", 8))}, "segment"),
        ({"bill": Bill(start=None, end=None, lines=(Line("port", 1),), total=Money("EUR", 2))}, "bill.total.micro"),
    ],
)
def test_a_receipt_that_does_not_follow_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as caught:
        check_receipt(receipt(order(), **changes), order(), quote(rfq()))
    assert (caught.value.code, caught.value.field) == ("DOCUMENT_INVALID", field)


def test_a_receipt_asked_for_later_may_show_what_came_after() -> None:
    assert check_receipt(receipt(order(), state=State.RELEASED), order(), quote(rfq()), later=True)


def test_a_release_is_answered_by_a_release_of_the_same_product() -> None:
    asked = order(Action.RELEASE, quote_h=None, product="p-1", prev_h="P" * 43)
    assert check_receipt(receipt(asked, state=State.RELEASED), asked)
    with pytest.raises(Problem, match="product"):
        check_receipt(receipt(asked, state=State.RELEASED, product="p-2"), asked)
    with pytest.raises(Problem, match="does not follow"):
        check_receipt(receipt(asked, state=State.ACTIVE), asked)


def test_an_extension_may_still_show_the_window_before() -> None:
    asked = order(Action.MODIFY, product="p-1")
    held = quote(
        rfq(action=Action.MODIFY, product="p-1"), segment=structs.replace(HELD, window=window(NOW + 3610, NOW + 9000))
    )
    assert check_receipt(receipt(asked, state=State.ACTIVE), asked, held)
    other = structs.replace(HELD, bandwidth_bps=1)
    with pytest.raises(Problem, match="segment"):
        check_receipt(receipt(asked, state=State.ACTIVE, segment=other), asked, held)


def test_a_confirmation_follows_this_very_confirm() -> None:
    confirm = Confirm(
        iss=BROKER,
        sub="x" * 22,
        aud=OPERATOR,
        iat=NOW,
        exp=NOW + 60,
        jti=JTI,
        order_h="O" * 43,
        prev_h="P" * 43,
        path_root="R" * 43,
        product="p-1",
    )
    jws = sign_jws(KEY, confirm)
    good = receipt(order(), order_h="O" * 43, prev_h=doc_hash(jws), state=State.ACTIVE)

    def check(answer: Receipt) -> Receipt:
        return verified_confirmation(sign_jws(KEY, answer), jws, confirm, keys=KEYS, now=NOW)

    assert check(good).state is State.ACTIVE
    for changes in ({"prev_h": "A" * 43}, {"order_h": "A" * 43}, {"product": "p-2"}, {"state": State.UP}):
        with pytest.raises(Problem):
            check(structs.replace(good, **changes))


def test_an_inventory_shows_the_product_asked_for() -> None:
    jws = sign_jws(KEY, receipt(order()))
    for product, right in (("p-1", True), ("p-2", False)):
        try:
            verified_standing(jws, product, operator=OPERATOR, broker=BROKER, keys=KEYS, now=NOW)
        except Problem:
            assert not right
        else:
            assert right


@pytest.mark.parametrize("state", State)
def test_an_inventory_shows_no_state_that_a_lease_cannot_have(state: State) -> None:
    """A rule that has no rank for it would end the broker, and again with every start."""
    jws = sign_jws(KEY, receipt(order(), state=state))
    if state in {State.ASKED, State.QUOTED, State.HELD}:
        with pytest.raises(Problem, match="does not follow"):
            verified_standing(jws, "p-1", operator=OPERATOR, broker=BROKER, keys=KEYS, now=NOW)
        return
    verified_standing(jws, "p-1", operator=OPERATOR, broker=BROKER, keys=KEYS, now=NOW)
    assert RANK[state] > RANK[State.HELD]

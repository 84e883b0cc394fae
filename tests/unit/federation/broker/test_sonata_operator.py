"""What the real peer makes of an operator's answers: refusals translated, bad answers let go, doubts said."""

from __future__ import annotations

from typing import Any

import pytest

from federation.broker.peers.operator import SonataOperator
from federation.sonata.answers import OrderAnswer, ProductAnswer, QuoteAnswer
from federation.trust.chain import Member, TrustDomain
from federation.trust.jose import sign_jws
from federation.trust.keys import generate, public_keys
from schemas.entity import Jwks, Metadata
from schemas.order import Order
from schemas.problem import Outcome, Problem
from schemas.quote import Action, Rfq
from schemas.segment import End, Segment, window
from schemas.sonata.states import OrderState, ProductStatus, QuoteState
from tests.support.seams import NOW, FixedClock

pytestmark = pytest.mark.asyncio
BROKER, OPERATOR = "https://broker.example", "https://alpha.example"
KEY = generate()
SEGMENT = Segment(a=End("u"), z=End("e", 7), bandwidth_bps=1, window=window(NOW, NOW + 60))
RFQ = Rfq(iss=BROKER, sub="x" * 22, aud=OPERATOR, iat=NOW, exp=NOW + 60, jti="j" * 22, segment=SEGMENT)
RELEASE = Order(
    iss=BROKER, sub="x" * 22, aud=OPERATOR, iat=NOW, exp=NOW + 60, jti="j" * 22, action=Action.RELEASE, product="p"
)


class Seller:
    """A `SonataBuyer` and a `MeshChannel` in one, which answers or raises what the test says."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.declined: list[str] = []

    async def _said(self, *_: Any, **__: Any) -> Any:
        if isinstance(self.answer, Problem):
            raise self.answer
        return self.answer

    quote = get_quote = find_quote = order = find_order = product = confirm = sheet = _said

    async def decline(self, quote_id: str) -> None:
        self.declined.append(quote_id)
        if isinstance(self.answer, Problem):
            raise self.answer


def peer(answer: Any = None) -> tuple[SonataOperator, Seller]:
    seller, clock = Seller(answer), FixedClock()
    member = Member(OPERATOR, "Alpha", Metadata(), public_keys(Jwks((KEY.jwk(),))), NOW + 1000)
    domain = TrustDomain({OPERATOR: member})
    both: Any = seller
    return SonataOperator(OPERATOR, BROKER, lambda: domain, buyer=both, confirms=both, mesh=both, clock=clock), seller


def quoted(**changes: Any) -> QuoteAnswer:
    base: dict[str, Any] = {"id": "q-1", "item_id": "1", "state": QuoteState.ORDERABLE, "valid_until": None}
    return QuoteAnswer(**(base | {"quote_jws": None, "refusal": None} | changes))


def ordered(**changes: Any) -> OrderAnswer:
    base: dict[str, Any] = {"id": "o-1", "state": OrderState.COMPLETED, "product": "p", "receipt_jws": None}
    return OrderAnswer(**(base | {"refusal": None} | changes))


async def refused(call: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await call
    assert caught.value.extra["operator"] == OPERATOR
    return caught.value


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("LABEL_TAKEN", "LABEL_TAKEN"),
        ("CAPACITY_CHANGED", "CAPACITY_CHANGED"),
        ("TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS"),
        ("OPERATOR_UNREACHABLE", "OPERATOR_UNREACHABLE"),
        ("UNAVAILABLE", "OPERATOR_UNREACHABLE"),
        ("INTERNAL", "OPERATOR_UNREACHABLE"),
        ("UNAUTHENTICATED", "OPERATOR_REFUSED"),
        ("INVALID_ARGUMENT", "OPERATOR_REFUSED"),
        ("DOCUMENT_INVALID", "OPERATOR_REFUSED"),
    ],
)
async def test_what_an_operator_says_of_our_request_is_its_refusal(said: str, told: str) -> None:
    problem = Problem(said, "why", field="segment.a", outcome=Outcome.NONE, extra={"free": "1-2"})
    alpha, _ = peer(quoted(state=QuoteState.UNABLE_TO_PROVIDE, refusal=problem))
    found = await refused(alpha.quote("rfq", RFQ))
    assert (found.code, found.detail, found.field) == (told, "Alpha: why", None)
    assert (found.outcome, found.extra["free"]) == (Outcome.NONE, "1-2")
    alpha, _ = peer(problem)
    assert (await refused(alpha.quote("rfq", RFQ))).code == told


@pytest.mark.parametrize(
    "answer",
    [
        quoted(quote_jws="no.jws.here"),
        quoted(),
        quoted(state=QuoteState.ANSWERED, quote_jws="x.y.z"),
        quoted(quote_jws=sign_jws(generate(), RFQ)),
    ],
)
async def test_a_quote_that_cannot_be_believed_is_let_go_at_once(answer: QuoteAnswer) -> None:
    alpha, seller = peer(answer)
    found = await refused(alpha.quote(sign_jws(KEY, RFQ), RFQ))
    assert (found.code, found.outcome) == ("DOCUMENT_INVALID", Outcome.UNDONE)
    assert seller.declined == ["q-1"]


@pytest.mark.parametrize("code", ["NOT_FOUND", "INCOMPATIBLE_STATE"])
async def test_a_quote_that_is_gone_already_is_declined(code: str) -> None:
    alpha, seller = peer(Problem(code, "gone", outcome=Outcome.NONE))
    await alpha.decline("q-1")
    assert seller.declined == ["q-1"]


async def test_an_order_whose_receipt_cannot_be_believed_has_an_unknown_outcome() -> None:
    for answer, code in (
        (ordered(receipt_jws="no.jws.here"), "DOCUMENT_INVALID"),
        (ordered(state=OrderState.ACKNOWLEDGED), "OPERATOR_UNREACHABLE"),
    ):
        alpha, _ = peer(answer)
        found = await refused(alpha.order("jws", RELEASE, None))
        assert (found.code, found.outcome) == (code, Outcome.UNKNOWN)


async def test_an_order_that_nobody_took_is_none_and_one_that_failed_is_its_refusal() -> None:
    alpha, _ = peer(None)
    assert await alpha.find_order("jws", RELEASE, None) is None
    lost = Problem("HOLD_LOST", "the hold is gone", outcome=Outcome.NONE)
    alpha, _ = peer(ordered(state=OrderState.FAILED, refusal=lost))
    assert (await refused(alpha.find_order("jws", RELEASE, None))).code == "HOLD_LOST"


async def test_a_product_that_is_not_there_is_none_and_one_without_receipt_is_not_believed() -> None:
    alpha, _ = peer(Problem("NOT_FOUND", "no such product"))
    assert await alpha.lease("p") is None
    alpha, _ = peer(ProductAnswer(id="p", status=ProductStatus.ACTIVE, order=None, segment=None, receipt_jws=None))
    assert (await refused(alpha.lease("p"))).code == "DOCUMENT_INVALID"


async def test_a_sheet_of_another_signer_is_not_believed() -> None:
    alpha, _ = peer((b"no.jws.here", ()))
    assert (await refused(alpha.sheet())).code == "DOCUMENT_INVALID"


async def test_who_is_asked_for_one_quote_and_shows_another_is_not_believed() -> None:
    alpha, _ = peer(quoted(id="q-2", state=QuoteState.IN_PROGRESS))
    assert await alpha.answered("rfq", RFQ) == await alpha.answered("rfq", RFQ, "q-2")
    problem = await refused(alpha.answered("rfq", RFQ, "q-1"))
    assert (problem.code, problem.outcome) == ("DOCUMENT_INVALID", None)

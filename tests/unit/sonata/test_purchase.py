"""A purchase from rfq to release, between the real buyer and the real routes over loopback."""

from __future__ import annotations

import pytest

from federation.sonata.asking import Ordered
from federation.trust.jose import doc_hash, unverified
from schemas.lease import State
from schemas.order import Receipt
from schemas.problem import Outcome, Problem
from schemas.quote import Action, SegmentQuote
from schemas.segment import moment
from schemas.sonata.states import CancelState, OrderState, ProductStatus, QuoteState
from tests.support.seams import NOW
from tests.support.sonata_world import BROKER, STRANGER, segment, world


@pytest.mark.asyncio
async def test_from_rfq_to_release() -> None:
    async with world() as w:
        buyer, (token, rfq) = w.buyer(), w.rfq(segment(a=None))
        quote = await buyer.quote(token, rfq, project_id="path-1")
        assert (quote.state, quote.refusal, quote.valid_until) == (QuoteState.ORDERABLE, None, moment(NOW + 30))
        claims = unverified(quote.quote_jws or "", SegmentQuote)
        assert claims.rfq_h == doc_hash(token)
        assert claims.segment.a.label == 100

        ordered = Ordered(quote_id=quote.id, segment=rfq.segment, limits=rfq.limits)
        answer = await buyer.order(*w.order(quote.quote_jws), ordered)
        assert answer.state is OrderState.COMPLETED
        assert answer.product is not None
        assert unverified(answer.receipt_jws or "", Receipt).state is State.UP
        assert (await buyer.get_quote(quote.id)).state is QuoteState.ACCEPTED

        product = await buyer.product(answer.product)
        assert (product.status, product.order) == (ProductStatus.ACTIVE, answer.id)
        assert product.segment == claims.segment
        assert product.receipt_jws == answer.receipt_jws

        release = w.order(
            None, action=Action.RELEASE, product=answer.product, prev_h=doc_hash(answer.receipt_jws or "")
        )
        released = await buyer.order(*release)
        assert released.state is OrderState.COMPLETED
        assert unverified(released.receipt_jws or "", Receipt).state is State.RELEASED
        assert (await buyer.product(answer.product)).status is ProductStatus.TERMINATED
        assert await buyer.products(ProductStatus.ACTIVE) == ()
        assert [found.id for found in await buyer.products()] == [answer.product]


@pytest.mark.asyncio
async def test_the_same_document_again_has_the_first_answer() -> None:
    async with world() as w:
        buyer, (token, rfq) = w.buyer(), w.rfq()
        quote = await buyer.quote(token, rfq)
        assert await buyer.quote(token, rfq) == quote
        ordered = Ordered(quote_id=quote.id, segment=rfq.segment)
        token, order = w.order(quote.quote_jws)
        answer = await buyer.order(token, order, ordered)
        assert await buyer.order(token, order, ordered) == answer
        assert len(await buyer.products()) == 1


@pytest.mark.asyncio
async def test_a_refusal_is_an_answer_with_what_is_free() -> None:
    async with world() as w:
        buyer = w.buyer()
        await buyer.quote(*w.rfq())
        token, rfq = w.rfq()
        answer = await buyer.quote(token, rfq)
        assert answer.state is QuoteState.UNABLE_TO_PROVIDE
        assert answer.refusal is not None
        assert (answer.refusal.code, answer.refusal.outcome) == ("LABEL_TAKEN", Outcome.NONE)
        assert answer.refusal.extra == {"interface": "uni-1", "free": "101,102,103"}
        assert answer.quote_jws is None
        assert (await buyer.quote(token, rfq)).id == answer.id


@pytest.mark.asyncio
async def test_declining_frees_the_label_and_may_be_repeated() -> None:
    async with world() as w:
        buyer = w.buyer()
        quote = await buyer.quote(*w.rfq())
        await buyer.decline(quote.id)
        await buyer.decline(quote.id)
        assert (await buyer.get_quote(quote.id)).state is QuoteState.DECLINED
        assert (await buyer.quote(*w.rfq())).orderable


@pytest.mark.asyncio
async def test_an_expired_quote_cannot_be_ordered() -> None:
    async with world() as w:
        buyer, (token, rfq) = w.buyer(), w.rfq()
        quote = await buyer.quote(token, rfq)
        w.clock.advance(31)
        assert (await buyer.get_quote(quote.id)).state is QuoteState.EXPIRED
        with pytest.raises(Problem) as caught:
            await buyer.order(*w.order(quote.quote_jws), Ordered(quote_id=quote.id, segment=rfq.segment))
        assert (caught.value.code, caught.value.field, caught.value.outcome) == (
            "QUOTE_EXPIRED",
            "quote_id",
            Outcome.NONE,
        )


@pytest.mark.asyncio
async def test_a_lost_answer_is_found_by_the_jti() -> None:
    async with world() as w:
        buyer, (token, rfq) = w.buyer(), w.rfq()
        assert await buyer.find_quote(rfq.jti) is None
        quote = await buyer.quote(token, rfq)
        assert await buyer.find_quote(rfq.jti) == quote
        token, order = w.order(quote.quote_jws)
        assert await buyer.find_order(order.jti) is None
        answer = await buyer.order(token, order, Ordered(quote_id=quote.id, segment=rfq.segment))
        assert await buyer.find_order(order.jti) == answer


@pytest.mark.asyncio
async def test_an_order_in_progress_completes_or_is_cancelled() -> None:
    async with world() as w:
        w.desk.defer = True
        buyer, (token, rfq) = w.buyer(), w.rfq()
        quote = await buyer.quote(token, rfq)
        answer = await buyer.order(*w.order(quote.quote_jws), Ordered(quote_id=quote.id, segment=rfq.segment))
        assert answer.state is OrderState.IN_PROGRESS
        assert answer.product is not None
        assert (await buyer.product(answer.product)).status is ProductStatus.PENDING_ACTIVE

        cancelled = await buyer.cancel(answer.id, "a sibling failed")
        assert (cancelled.state, cancelled.denied) == (CancelState.DONE, None)
        assert (await buyer.get_order(answer.id)).state is OrderState.CANCELLED
        assert (await buyer.product(answer.product)).status is ProductStatus.CANCELLED
        with pytest.raises(Problem, match="only an order in progress"):
            await buyer.cancel(answer.id, "again")


@pytest.mark.asyncio
async def test_an_order_whose_fabric_fails_says_why() -> None:
    async with world() as w:
        w.desk.defer = True
        buyer, (token, rfq) = w.buyer(), w.rfq()
        quote = await buyer.quote(token, rfq)
        answer = await buyer.order(*w.order(quote.quote_jws), Ordered(quote_id=quote.id, segment=rfq.segment))
        assert answer.product is not None
        w.desk.break_down(answer.product)
        failed = await buyer.get_order(answer.id)
        assert failed.state is OrderState.FAILED
        assert failed.refusal is not None
        assert failed.refusal.detail == "the fabric failed"


@pytest.mark.asyncio
async def test_an_extension_waits_for_its_confirmation() -> None:
    async with world() as w:
        buyer = w.buyer()
        product, rfq = await w.bought()
        added = segment(start=rfq.segment.window.end_s, end=rfq.segment.window.end_s + 600)
        token, more = w.rfq(added, action=Action.MODIFY, product=product)
        quote = await buyer.quote(token, more)
        order = w.order(quote.quote_jws, action=Action.MODIFY, product=product)
        answer = await buyer.order(*order, Ordered(quote_id=quote.id, segment=added))
        assert answer.state is OrderState.IN_PROGRESS
        assert (await buyer.product(product)).status is ProductStatus.PENDING_CHANGE
        w.desk.confirm(product)
        assert (await buyer.get_order(answer.id)).state is OrderState.COMPLETED
        assert (await buyer.product(product)).status is ProductStatus.ACTIVE


@pytest.mark.asyncio
async def test_nobody_sees_what_is_anothers() -> None:
    async with world() as w:
        product, rfq = await w.bought()
        mine, stranger = w.buyer(BROKER), w.buyer(STRANGER)
        quote = await mine.find_quote(rfq.jti)
        assert quote is not None
        assert await stranger.find_quote(rfq.jti) is None
        assert await stranger.products() == ()
        for call in (stranger.get_quote(quote.id), stranger.product(product), stranger.decline(quote.id)):
            with pytest.raises(Problem) as caught:
                await call
            assert caught.value.code == "NOT_FOUND"

"""Quotes: a firm price and a hold, or a refusal that says what is free instead."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import structs

from federation.sonata.asks import check_rfq
from federation.sonata.protocols import Caller, QuoteAsk, QuoteRecord
from operators.access.gate import Named
from operators.inventory.ledger import Claim
from operators.orders.admission import (
    REFUSALS,
    Plan,
    check_boundary,
    check_now,
    claim_of,
    plan_amendment,
    plan_segment,
    refuse,
)
from operators.orders.fsm import Entry, Lease, Quote, check_amendable, stepped
from operators.orders.keeping import Batch, Document
from operators.orders.letting import admitted_rfq, check_plain
from operators.orders.lifecycle import Lifecycle
from operators.orders.once import once, seen
from operators.orders.records import quote_record
from operators.orders.shop import LEASE, QUOTE, WAITING, Shop
from operators.pricing.quote import price
from schemas.lease import State
from schemas.problem import Problem, not_found
from schemas.quote import HOLD_S_DEFAULT, Action, Rfq, SegmentQuote
from schemas.segment import EntityId, Hash, Id
from schemas.sonata.refusal import refusal_of
from schemas.sonata.states import QuoteState


class _Wish(NamedTuple):
    """What is asked for, signed or not; `replaces` is the quote whose hold is swapped for this one."""

    ask: QuoteAsk
    broker: EntityId
    buyer: str
    hold_s: int
    named: Named | None = None
    replaces: Hash | None = None
    mandate_h: Hash | None = None
    grant_h: Hash | None = None


class Quoting:
    """The handlers of quotes."""

    def __init__(self, shop: Shop, lifecycle: Lifecycle) -> None:
        self._shop, self._lifecycle = shop, lifecycle

    async def quote(self, caller: Caller, ask: QuoteAsk) -> QuoteRecord:
        """Price and hold, once per rfq."""
        if ask.rfq is None:
            check_plain(self._shop, caller, ask.segment)
            hold_s = HOLD_S_DEFAULT if ask.firm else 0
            return await self._decide(_Wish(ask, caller.entity, caller.buyer_id or "", hold_s))
        token, named = ask.rfq, self._shop.gate.name(ask.rfq, Rfq, "rfq")

        async def first() -> QuoteRecord:
            rfq = await admitted_rfq(self._shop, caller, token)
            check_rfq(ask, rfq)
            wish = _Wish(ask, caller.entity, rfq.sub, rfq.hold_s, named, rfq.replaces, rfq.mandate_h, rfq.grant_h)
            return await self._decide(wish)

        return await once(self._shop, caller.entity, named, lambda ref: self._again(caller, ref), first)

    async def decline(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        """Let go of a quote and its hold; again is no error."""
        async with self._shop.locks.hold(f"{QUOTE}:{quote_id}"):
            await self._lifecycle.expire(quote_id)
            quote = await self._shop.find_quote(quote_id, caller.entity)
            if quote.state in WAITING:
                quote = await self._lifecycle.close_quote(quote, State.DECLINED)
        record = quote_record(quote, await self._shop.store.request(quote_id))
        if record.history[-1].state is not QuoteState.DECLINED:
            raise Problem("INCOMPATIBLE_STATE", f"the quote is {record.history[-1].state}", field="quote_id")
        return record

    async def _again(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        quote = await self._shop.find_quote(quote_id, caller.entity)
        return quote_record(quote, await self._shop.store.request(quote_id))

    async def _decide(self, wish: _Wish) -> QuoteRecord:
        """Under the locks of what it touches: find, price and hold in one turn, then write it down."""
        replaced = await self._replaced(wish)
        names = [f"{LEASE}:{wish.ask.product}"] if wish.ask.product else []
        names += [f"{QUOTE}:{replaced.id}"] if replaced else []
        async with self._shop.locks.hold(*names):
            if replaced:
                replaced = self._still_held(replaced)
            quote = await self._offer(wish, replaced)
        return quote_record(quote, wish.ask.raw)

    async def _replaced(self, wish: _Wish) -> Quote | None:
        if wish.replaces is None:
            return None
        found = await self._shop.store.quote_by_hash(wish.replaces)
        if found is None or (found.broker, found.buyer) != (wish.broker, wish.buyer):
            raise not_found("the quote to be replaced")
        return found

    def _still_held(self, quote: Quote) -> Quote:
        held = self._shop.quotes.get(quote.id)
        if held is None or held.state is not State.HELD or held.exp <= self._shop.now():
            raise Problem("HOLD_LOST", "the hold to be replaced is gone", field="rfq")
        return held

    async def _offer(self, wish: _Wish, replaced: Quote | None) -> Quote:
        inventory, quote_id = self._shop.inventory, self._shop.signer.entropy.token()
        old = inventory.claim(replaced.id) if replaced else None
        try:
            quote, claim, documents = self._held(quote_id, wish, replaced)
        except Problem as problem:
            if problem.code not in REFUSALS:
                raise
            return await self._refused(quote_id, wish, problem)
        batch = Batch(quotes=[quote], claims=[claim] if claim else [], documents=documents)
        if replaced:
            batch.quotes.append(stepped(replaced, State.DECLINED, self._shop.now(), f"replaced by {quote_id}"))
            batch.freed.append(replaced.id)
        try:
            await self._write(batch, quote_id, wish)
        except BaseException:
            inventory.withdraw(quote_id)
            self._shop.caps.drop(quote)
            self._take_back(old)
            raise
        self._shop.changed(old.bps() if old else ())
        return quote

    def _take_back(self, claim: Claim | None) -> None:
        """After a write that failed, others may have taken what the swapped hold gave up: then that hold is lost."""
        if claim is not None and self._shop.inventory.admit(claim) is not None:
            self._shop.quotes.pop(claim.id, None)

    def _held(self, quote_id: Id, wish: _Wish, replaced: Quote | None) -> tuple[Quote, Claim | None, list[Document]]:
        """The quote with its claim admitted, in place of the one replaced. Nothing is awaited in here."""
        old = self._shop.inventory.claim(replaced.id) if replaced else None
        if replaced is None or old is None:
            return self._admitted(quote_id, wish, replaced.id if replaced else None)
        self._shop.inventory.withdraw(old.id)
        try:
            return self._admitted(quote_id, wish, old.id)
        except BaseException:
            self._shop.inventory.restore(old)
            raise

    def _admitted(self, quote_id: Id, wish: _Wish, replaced: Id | None) -> tuple[Quote, Claim | None, list[Document]]:
        """The quote with its claim admitted, or only checked where nothing is to be held."""
        shop, now = self._shop, self._shop.now()
        lease = self._lease(wish) if wish.ask.action is Action.MODIFY else None
        plan = self._plan(wish, lease, now)
        hold_s = min(wish.hold_s, shop.holds.seconds_max)
        quote = self._row(quote_id, wish, now, hold_s)
        quote = structs.replace(quote, segment=plan.segment, route=plan.route, tariff=plan.tariff)
        if hold_s:
            shop.caps.check(quote, replaced, now)
        claim = claim_of(quote_id, plan.segment, plan.route, lease)
        refused = shop.inventory.admit(claim) if claim else None
        if refused is not None:
            raise refuse(refused, plan.segment)
        if not hold_s:
            shop.inventory.withdraw(quote_id)
        else:
            shop.caps.add(quote)
            shop.caps.quoted(quote, now)
        quote, documents = self._signed(quote, wish, plan)
        return quote, claim if hold_s else None, documents

    def _plan(self, wish: _Wish, lease: Lease | None, now: int) -> Plan:
        shop, ask = self._shop, wish.ask
        check_boundary(ask.segment, shop.driver, elsewhere=shop.bounded_elsewhere)
        if lease is None:
            return plan_segment(
                shop.network, shop.inventory, ask.segment, ask.limits, now=now, horizon_s=shop.horizon()
            )
        check_now(ask.segment, lease, shop.driver, now)
        return plan_amendment(shop.network, lease, ask.segment, ask.limits, horizon_s=shop.horizon())

    def _lease(self, wish: _Wish) -> Lease:
        """The lease to be changed. Raises `NOT_FOUND`, `INCOMPATIBLE_STATE`."""
        lease = self._shop.leases.get(wish.ask.product or "")
        if lease is None or (lease.broker, lease.buyer) != (wish.broker, wish.buyer):
            raise not_found("this product")
        check_amendable(lease)
        return lease

    def _row(self, quote_id: Id, wish: _Wish, now: int, hold_s: int) -> Quote:
        ask, state = wish.ask, State.HELD if hold_s else State.QUOTED
        return Quote(
            id=quote_id,
            broker=wish.broker,
            buyer=wish.buyer,
            created_at=now,
            exp=now + (hold_s or HOLD_S_DEFAULT),
            state=state,
            history=(Entry(state, now),),
            segment=ask.segment,
            action=ask.action,
            firm=ask.firm,
            product=ask.product,
            external_id=ask.external_id,
            project_id=ask.project_id,
            rfq_h=wish.named.hash if wish.named else None,
            mandate_h=wish.mandate_h,
            grant_h=wish.grant_h,
        )

    def _signed(self, quote: Quote, wish: _Wish, plan: Plan) -> tuple[Quote, list[Document]]:
        """The quote with its document, where there was an rfq."""
        if wish.named is None or wish.ask.rfq is None:
            return quote, []
        lines, total = price(plan.tariff, plan.segment.bandwidth_bps, plan.segment.window)
        signer = self._shop.signer
        claims = SegmentQuote(
            iss=signer.entity,
            sub=quote.buyer,
            aud=quote.broker,
            iat=quote.created_at,
            exp=quote.exp,
            jti=signer.entropy.token(),
            rfq_h=wish.named.hash,
            action=quote.action,
            segment=plan.segment,
            promise=plan.promise,
            tariff=plan.tariff,
            lines=lines,
            total=total,
            held=quote.state is State.HELD,
            product=quote.product,
        )
        signed = signer.sign(claims)
        documents = [Document(signed.hash, quote.broker, signed.token)]
        documents.append(Document(wish.named.hash, quote.broker, wish.ask.rfq))
        return structs.replace(quote, hash=signed.hash, document=signed.token), documents

    async def _refused(self, quote_id: Id, wish: _Wish, problem: Problem) -> Quote:
        """Sonata's `unableToProvide`: a record too, so that the same question has the same answer."""
        row = self._row(quote_id, wish, self._shop.now(), 0)
        over = (Entry(State.DECLINED, row.created_at, problem.detail),)
        row = structs.replace(row, state=State.DECLINED, history=over, refusal=refusal_of(problem))
        await self._write(Batch(quotes=[row]), quote_id, wish)
        return row

    async def _write(self, batch: Batch, quote_id: Id, wish: _Wish) -> None:
        batch.requests.append((quote_id, wish.ask.raw))
        batch.seen += seen(wish.broker, wish.named, quote_id)
        await self._shop.commit(batch)

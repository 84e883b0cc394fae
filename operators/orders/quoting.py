"""Quotes: a firm price and a hold, or a refusal that says what is free instead."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import structs

from federation.sonata.asks import check_rfq, quote_ask, same_segment
from federation.sonata.protocols import Caller, QuoteAsk, QuoteRecord
from operators.access.gate import Named
from operators.config import UP_BEFORE_S, Approval
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
from schemas.order import CONFIRM_WITHIN_S
from schemas.problem import Problem, not_found
from schemas.quote import HOLD_S_DEFAULT, Action, Rfq, SegmentQuote
from schemas.segment import EntityId, Hash, Id
from schemas.sonata.refusal import refusal_of
from schemas.sonata.states import QuoteState


class _Wish(NamedTuple):
    """What is asked for, signed or not; `replaces` is the quote whose hold is swapped for this one, `asked` the row of
    one that was asked before and waited for a person."""

    ask: QuoteAsk
    broker: EntityId
    buyer: str
    hold_s: int
    named: Named | None = None
    replaces: Hash | None = None
    mandate_h: Hash | None = None
    grant_h: Hash | None = None
    confirm_within_s: int | None = None
    asked: Quote | None = None


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
            return await self._decide(_signed_wish(ask, caller.entity, named, rfq))

        return await once(self._shop, caller.entity, named, lambda ref: self._again(caller, ref), first)

    async def decline(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        """Let go of a quote and its hold; again is no error."""
        async with self._shop.locks.hold(f"{QUOTE}:{quote_id}"):
            await self._lifecycle.expire(quote_id)
            quote = await self._shop.find_quote(quote_id, caller.entity)
            if quote.state in WAITING and quote.state is not State.ASKED:
                quote = await self._lifecycle.close_quote(quote, State.DECLINED)
        record = quote_record(quote, await self._shop.store.request(quote_id))
        if record.history[-1].state is not QuoteState.DECLINED:
            raise Problem("INCOMPATIBLE_STATE", f"the quote is {record.history[-1].state}", field="quote_id")
        return record

    async def cancel(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        """Stop asking for a quote that waits for a person; again is no error."""
        async with self._shop.locks.hold(f"{QUOTE}:{quote_id}"):
            await self._lifecycle.expire(quote_id)
            quote = await self._shop.find_quote(quote_id, caller.entity)
            if quote.state is State.ASKED:
                quote = await self._lifecycle.close_quote(quote, State.DECLINED, "cancelled by the buyer")
        record = quote_record(quote, await self._shop.store.request(quote_id))
        if (state := record.history[-1].state) is not QuoteState.CANCELLED:
            why = f"the quote is {state}; only one in progress can be cancelled"
            raise Problem("INCOMPATIBLE_STATE", why, field="quote_id")
        return record

    async def grant(self, quote_id: Id) -> Quote:
        """A person says yes: price and hold as if it were asked now; what cannot be met by now is refused after all.

        Raises `NOT_FOUND`, `INCOMPATIBLE_STATE` where it does not wait for a person.
        """
        wish = await self._waiting(quote_id)
        replaced = await self._replaced(wish) or self._in_hand(wish)
        names = [f"{LEASE}:{wish.ask.product}"] if wish.ask.product else []
        names += [f"{QUOTE}:{replaced.id}"] if replaced else []
        async with self._shop.locks.hold(f"{QUOTE}:{quote_id}", *names):
            await self._lifecycle.expire(quote_id)
            wish = wish._replace(asked=self._asked(quote_id))
            present = self._shop.quotes.get(replaced.id) if replaced else None
            try:
                return await self._offer(wish, present if present and present.state is State.HELD else None)
            except Problem as problem:
                if wish.ask.product is None or problem.code == "UNAVAILABLE":
                    raise
                return await self._refused(quote_id, wish, problem)  # the lease is over, or another by now

    async def refuse(self, quote_id: Id, why: str) -> Quote:
        """A person says no. Raises `INCOMPATIBLE_STATE` where it does not wait for a person."""
        wish = await self._waiting(quote_id)
        async with self._shop.locks.hold(f"{QUOTE}:{quote_id}"):
            await self._lifecycle.expire(quote_id)
            wish = wish._replace(asked=self._asked(quote_id))
            return await self._refused(quote_id, wish, Problem("OPERATOR_REFUSED", why))

    def _asked(self, quote_id: Id) -> Quote:
        found = self._shop.quotes.get(quote_id)
        if found is None or found.state is not State.ASKED:
            raise Problem("INCOMPATIBLE_STATE", f"{quote_id} does not wait for an answer")
        return found

    async def _waiting(self, quote_id: Id) -> _Wish:
        """What was asked for, read again from the request as it came."""
        asked = self._asked(quote_id)
        ask = quote_ask(await self._shop.store.request(quote_id), None)
        if ask.rfq is None:
            return _Wish(ask, asked.broker, asked.buyer, HOLD_S_DEFAULT, asked=asked)
        named = self._shop.gate.name(ask.rfq, Rfq, "rfq")
        return _signed_wish(ask, asked.broker, named, self._shop.gate.read(ask.rfq, Rfq))._replace(asked=asked)

    async def _again(self, caller: Caller, quote_id: Id) -> QuoteRecord:
        quote = await self._shop.find_quote(quote_id, caller.entity)
        return quote_record(quote, await self._shop.store.request(quote_id))

    async def _decide(self, wish: _Wish) -> QuoteRecord:
        """Under the locks of what it touches: find, price and hold in one turn, then write it down."""
        replaced, product = await self._replaced(wish), wish.ask.product
        async with self._shop.locks.hold(*([f"{LEASE}:{product}"] if product else [])):
            replaced = replaced or self._in_hand(wish)
            async with self._shop.locks.hold(*([f"{QUOTE}:{replaced.id}"] if replaced else [])):
                replaced = self._still_held(replaced) if replaced and wish.replaces else self._in_hand(wish)
                later = self._for_a_person(wish, replaced)
                quote = await (self._put_off(wish, replaced) if later else self._offer(wish, replaced))
        return quote_record(quote, wish.ask.raw)

    def _for_a_person(self, wish: _Wish, replaced: Quote | None) -> bool:
        """Whether a person has to answer: for every new lease and for more time, but not to go on holding what one has
        granted. More bandwidth than was granted is not sold at all."""
        manual, ask = self._shop.sales.approval is Approval.MANUAL, wish.ask
        same = replaced is not None and (replaced.action, replaced.product) == (ask.action, ask.product)
        goes_on = same and replaced is not None and same_segment(ask.segment, replaced.segment)
        return manual and ask.firm and not goes_on and (ask.action is Action.ADD or self._prolongs(wish))

    def _prolongs(self, wish: _Wish) -> bool:
        lease = self._shop.leases.get(wish.ask.product or "")
        return lease is not None and wish.ask.segment.window.end_s > lease.end_s

    async def _put_off(self, wish: _Wish, replaced: Quote | None) -> Quote:
        """Write down that it was asked; nothing is held. Who wants an answer at once gets a refusal at once."""
        quote_id, now = self._shop.signer.entropy.token(), self._shop.now()
        lease = self._lease(wish) if wish.ask.action is Action.MODIFY else None
        try:
            self._plan(wish, lease, now, replaced.id if replaced else None)
            self._check_waiting(wish)
        except Problem as problem:
            if problem.code not in REFUSALS:
                raise
            return await self._refused(quote_id, wish, problem)
        until, row = now + self._shop.sales.answer_within_s, self._row(quote_id, wish, now, 0)
        asked = structs.replace(row, state=State.ASKED, history=(Entry(State.ASKED, now),))
        asked = structs.replace(asked, exp=min(until, wish.ask.answer_by or until))
        await self._write(Batch(quotes=[asked]), quote_id, wish)
        return asked

    def _check_waiting(self, wish: _Wish) -> None:
        if wish.ask.instant:
            longer = "; or ask for another lease from the end of this one on" if wish.ask.product else ""
            why = f"a person answers here: ask with instantSyncQuote false, and wait{longer}"
            raise Problem("OPERATOR_REFUSED", why)
        if (by := wish.ask.answer_by) is not None and by <= self._shop.now():
            raise Problem("OPERATOR_REFUSED", "a person answers here, and the time you ask it by is over")
        others = [one for one in self._shop.quotes.values() if (one.state, one.broker) == (State.ASKED, wish.broker)]
        if len(others) >= self._shop.sales.waiting_max:
            raise Problem("TOO_MANY_REQUESTS", f"{len(others)} quotes of this broker wait for a person already")

    async def _replaced(self, wish: _Wish) -> Quote | None:
        if wish.replaces is None:
            return None
        found = await self._shop.store.quote_by_hash(wish.replaces)
        if found is None or (found.broker, found.buyer) != (wish.broker, wish.buyer):
            raise not_found("the quote to be replaced")
        return found

    def _in_hand(self, wish: _Wish) -> Quote | None:
        """What this buyer holds for a change of the same lease. A lease has one change in hand, so a question that
        comes again takes the place of the one whose answer was lost, as if it had named it. One for a price alone takes
        nobody's place."""
        if wish.ask.product is None or not wish.hold_s:
            return None
        whose, now = (wish.broker, wish.buyer, wish.ask.product), self._shop.now()
        for one in self._shop.quotes.values():
            if one.state is State.HELD and one.exp > now and (one.broker, one.buyer, one.product) == whose:
                return one
        return None

    def _still_held(self, quote: Quote) -> Quote:
        held = self._shop.quotes.get(quote.id)
        if held is None or held.state is not State.HELD or held.exp <= self._shop.now():
            raise Problem("HOLD_LOST", "the hold to be replaced is gone", field="rfq")
        return held

    async def _offer(self, wish: _Wish, replaced: Quote | None) -> Quote:
        inventory = self._shop.inventory
        quote_id = wish.asked.id if wish.asked else self._shop.signer.entropy.token()
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
            self._shop.lose(self._shop.quotes[claim.id])

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
        if lease is not None:
            self._check_granted(wish, lease)
        plan = self._plan(wish, lease, now, replaced)
        hold_s = min(wish.hold_s, shop.holds.seconds_max)
        quote = self._row(quote_id, wish, now, hold_s)
        quote = structs.replace(quote, segment=plan.segment, route=plan.route, tariff=plan.tariff)
        quote = self._prolonging(quote, replaced)
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

    def _prolonging(self, quote: Quote, replaced: Id | None) -> Quote:
        """With the time since when holds have replaced each other. Raises `TOO_MANY_REQUESTS` once that is too long."""
        before = self._shop.quotes.get(replaced or "")
        if before is None:
            return quote
        since, most = before.held_since or before.history[-1].at, self._shop.holds.prolonged_s_max
        if self._shop.now() - since > most:
            raise Problem("TOO_MANY_REQUESTS", f"this has been held for more than {most} s without an order")
        return structs.replace(quote, held_since=since)

    def _plan(self, wish: _Wish, lease: Lease | None, now: int, replaced: Id | None = None) -> Plan:
        shop, ask = self._shop, wish.ask
        check_boundary(ask.segment, shop.driver, elsewhere=shop.bounded_elsewhere)
        if lease is None:
            self._check_up_in_time(wish)
            before = shop.quotes.get(replaced or "")
            return plan_segment(
                shop.network,
                shop.inventory,
                ask.segment,
                ask.limits,
                now=now,
                horizon_s=shop.horizon(),
                asked_before=bool(wish.asked) or (before is not None and before.segment.window == ask.segment.window),
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

    def _check_granted(self, wish: _Wish, lease: Lease) -> None:
        """That no more bandwidth is asked for than a person has granted; changes are answered at once, by none."""
        granted_bps = max(lease.periods[0].bandwidth_bps, lease.segment.bandwidth_bps)
        if self._shop.sales.approval is Approval.MANUAL and wish.ask.segment.bandwidth_bps > granted_bps:
            why = f"a person granted {granted_bps} bit/s; for more ask for another lease, and wait"
            raise Problem("OPERATOR_REFUSED", why, field="segment.bandwidth_bps")

    def _check_up_in_time(self, wish: _Wish) -> None:
        """That a segment can be up before it has to be confirmed; a plain buyer confirms nothing."""
        needed, within = self._shop.sales.up_within_s, self._confirm_within_s(wish)
        if wish.named is not None and needed > within - UP_BEFORE_S:
            why = (
                f"segments here come up within {needed} s; ask with confirm_within_s of {needed + UP_BEFORE_S} or more"
            )
            raise Problem("OPERATOR_REFUSED", why, extra={"up_within_s": needed})

    def _confirm_within_s(self, wish: _Wish) -> int:
        return min(wish.confirm_within_s or CONFIRM_WITHIN_S, self._shop.sales.confirm_within_s)

    def _row(self, quote_id: Id, wish: _Wish, now: int, hold_s: int) -> Quote:
        ask, state = wish.ask, State.HELD if hold_s else State.QUOTED
        return Quote(
            id=quote_id,
            broker=wish.broker,
            buyer=wish.buyer,
            created_at=wish.asked.created_at if wish.asked else now,
            exp=now + (hold_s or HOLD_S_DEFAULT),
            state=state,
            history=(*(wish.asked.history if wish.asked else ()), Entry(state, now)),
            segment=ask.segment,
            action=ask.action,
            firm=ask.firm,
            product=ask.product,
            external_id=ask.external_id,
            project_id=ask.project_id,
            rfq_h=wish.named.hash if wish.named else None,
            mandate_h=wish.mandate_h,
            grant_h=wish.grant_h,
            confirm_within_s=self._confirm_within_s(wish) if wish.confirm_within_s else None,
            up_within_s=self._shop.sales.up_within_s or None,
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
            iat=quote.history[-1].at,
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
            confirm_within_s=quote.confirm_within_s,
            up_within_s=quote.up_within_s,
        )
        signed = signer.sign(claims)
        documents = [Document(signed.hash, quote.broker, signed.token)]
        documents.append(Document(wish.named.hash, quote.broker, wish.ask.rfq))
        return structs.replace(quote, hash=signed.hash, document=signed.token), documents

    async def _refused(self, quote_id: Id, wish: _Wish, problem: Problem) -> Quote:
        """Sonata's `unableToProvide`: a record too, so that the same question has the same answer."""
        row = self._row(quote_id, wish, self._shop.now(), 0)
        over = Entry(State.DECLINED, self._shop.now(), problem.detail)
        history = (*(wish.asked.history if wish.asked else ()), over)
        row = structs.replace(row, state=State.DECLINED, history=history, refusal=refusal_of(problem))
        await self._write(Batch(quotes=[row]), quote_id, wish)
        return row

    async def _write(self, batch: Batch, quote_id: Id, wish: _Wish) -> None:
        if wish.asked is None:
            batch.requests.append((quote_id, wish.ask.raw))
            batch.seen += seen(wish.broker, wish.named, quote_id)
        await self._shop.commit(batch)


def _signed_wish(ask: QuoteAsk, broker: EntityId, named: Named, rfq: Rfq) -> _Wish:
    return _Wish(
        ask,
        broker,
        rfq.sub,
        rfq.hold_s,
        named,
        rfq.replaces,
        rfq.mandate_h,
        rfq.grant_h,
        confirm_within_s=rfq.confirm_within_s,
    )

"""One operator as this broker really reaches it: Sonata and confirms over HTTP, gRPC for the mesh.

Nothing leaves here unverified, and no exception but `Problem`. What the operator says of our request (a field, a bad
key, a shape) is its refusal, not the buyer's mistake, and is told as such.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from federation.broker.peers.confirms import Confirms
from federation.broker.peers.mesh import MeshChannel
from federation.broker.peers.protocols import (
    Deferred,
    HeldQuote,
    Kept,
    KeptLease,
    LeaseHint,
    LeaseReceipt,
    Permit,
    SheetPages,
)
from federation.broker.peers.tokens import Need, OperatorTokens
from federation.broker.peers.verify import verified_confirmation, verified_quote, verified_receipt, verified_standing
from federation.node.seams import Clock
from federation.sonata.answers import OrderAnswer, QuoteAnswer
from federation.sonata.asking import Ordered
from federation.sonata.buyer import SonataBuyer
from federation.sonata.protocols import GRANT_HEADER
from federation.trust.chain import TrustDomain
from federation.trust.jose import doc_hash, unverified, verify_jws
from federation.trust.keys import PublicKey
from schemas.lease import State
from schemas.offer import Delta, Manifest
from schemas.order import Confirm, Order, Receipt
from schemas.problem import Outcome, Problem
from schemas.quote import Rfq
from schemas.segment import moment
from schemas.sonata import quote as sonata_quote
from schemas.sonata.segment import given_or_none
from schemas.sonata.states import ProductStatus, QuoteState

# What an operator may say in our words; anything else it says about a request of ours is a plain refusal.
KEPT: Final = frozenset(
    "LABEL_TAKEN CAPACITY_CHANGED TOO_MANY_REQUESTS HOLD_LOST QUOTE_USED QUOTE_EXPIRED INCOMPATIBLE_STATE NOT_FOUND "
    "OPERATOR_REFUSED OPERATOR_UNREACHABLE POLICY_DENIED NOT_IMPLEMENTED".split()
)
# Leases that still hold something at their operator.
NOT_OVER: Final = (
    ProductStatus.PENDING_ACTIVE,
    ProductStatus.ACTIVE,
    ProductStatus.PENDING_CHANGE,
    ProductStatus.PENDING_TERMINATE,
)
A = TypeVar("A")
P = TypeVar("P", bound=Struct)
STATES: Final = frozenset(map(str, State))
ASKED_KEPT: Final = 256
GONE: Final = frozenset({"NOT_FOUND", "INCOMPATIBLE_STATE"})
OVER: Final = frozenset({QuoteState.CANCELLED, QuoteState.DECLINED, QuoteState.EXPIRED, QuoteState.ACCEPTED})
log = logging.getLogger(__name__)


Heed = Callable[[str, str], Awaitable[None]]


async def heedless(entity: str, token: str) -> None:
    """Where the keys that are known are all there are."""


class Right(NamedTuple):
    """How a broker gets its rights at operators: their tokens, bound to the certificate that it shows now."""

    tokens: OperatorTokens
    x5t: Callable[[], str]


class SonataOperator:
    """An `OperatorPeer`. Its keys are those of the trust domain that is believed now, asked for at every use; `heed` is
    told of each of its documents before, so that a key that is new is read of. `callback` is where it may tell that a
    quote was answered, where this broker can be told anything."""

    def __init__(
        self,
        entity: str,
        broker: str,
        domain: Callable[[], TrustDomain],
        *,
        buyer: SonataBuyer,
        confirms: Confirms,
        mesh: MeshChannel,
        clock: Clock,
        right: Right | None = None,
        heed: Heed = heedless,
        callback: str | None = None,
    ) -> None:
        self.entity = entity
        self.name = domain().member(entity, clock.now()).name
        self._broker, self._domain = broker, domain
        self._buyer, self._mesh, self._clock, self._right = buyer, mesh, clock, right
        self._confirms, self._heed = confirms, heed
        self._callback, self._listening = callback, False
        self._asked = OrderedDict[str, Rfq]()

    async def quote(self, rfq_jws: str, rfq: Rfq, permit: Permit | None = None) -> HeldQuote:
        """See `OperatorPeer.quote`. An answer that does not verify is declined at once."""
        try:
            answer = await self._permitted(permit, lambda shown: self._buyer.quote(rfq_jws, rfq, shown=shown))
        except Problem as problem:
            raise self._translated(problem) from problem
        return await self._quoted(answer, rfq_jws, rfq)

    async def ask(self, rfq_jws: str, rfq: Rfq, answer_by: int, permit: Permit | None = None) -> HeldQuote | Deferred:
        """See `OperatorPeer.ask`."""
        try:
            answer = await self._permitted(
                permit, lambda shown: self._buyer.quote(rfq_jws, rfq, shown=shown, answer_by=answer_by)
            )
        except Problem as problem:
            raise self._translated(problem) from problem
        if not answer.waiting:
            return await self._quoted(answer, rfq_jws, rfq)
        await self._listen()
        return Deferred(operator=self.entity, quote_id=answer.id)

    async def answered(self, rfq_jws: str, rfq: Rfq, quote_id: str | None = None) -> HeldQuote | Deferred | None:
        """See `OperatorPeer.answered`."""
        try:
            found = self._buyer.find_quote(rfq.jti) if quote_id is None else self._buyer.get_quote(quote_id)
            answer = await found
        except Problem as problem:
            if problem.code == "NOT_FOUND":
                return None
            raise self._translated(problem) from problem
        if answer is not None and quote_id not in {None, answer.id}:
            why = f"asked for quote {quote_id}, it shows another one"  # else each look would begin a new wait
            raise self._own(Problem("DOCUMENT_INVALID", why), None)
        if answer is None or answer.state in OVER:
            return None
        if answer.waiting:
            await self._listen()
            return Deferred(operator=self.entity, quote_id=answer.id)
        return await self._quoted(answer, rfq_jws, rfq)

    async def cancel(self, quote_id: str) -> None:
        """See `OperatorPeer.cancel`."""
        try:
            await self._buyer.cancel_quote(quote_id)
        except Problem as problem:
            if problem.code not in GONE:
                raise self._translated(problem) from problem
            await self.decline(quote_id)

    async def _listen(self) -> None:
        """Have the operator tell of its answers, once; whether it does or not, it is asked."""
        if self._callback is None or self._listening:
            return
        self._listening = True
        try:
            await self._buyer.subscribe(sonata_quote.API, self._callback)
        except Problem as problem:
            self._listening = False
            log.debug("%s tells of nothing: %s", self.entity, problem)

    async def _quoted(self, answer: QuoteAnswer, rfq_jws: str, rfq: Rfq) -> HeldQuote:
        if answer.refusal is not None:
            raise self._translated(answer.refusal)
        await self._heeded(answer.quote_jws)
        try:
            return self._held(answer, rfq_jws, rfq)
        except Problem as problem:
            with suppress(Problem):
                await self.decline(answer.id)
            raise self._own(problem, Outcome.UNDONE) from problem

    def _held(self, answer: QuoteAnswer, rfq_jws: str, rfq: Rfq) -> HeldQuote:
        if answer.quote_jws is None or not answer.orderable:
            raise Problem("DOCUMENT_INVALID", f"the answer is {answer.state} and holds no quote to order")
        now = self._clock.now()
        quote = verified_quote(answer.quote_jws, rfq_jws, rfq, keys=self._keys(), now=now)
        self._asked[rfq_jws] = rfq
        if len(self._asked) > ASKED_KEPT:
            self._asked.popitem(last=False)
        return HeldQuote(
            operator=self.entity,
            quote_id=answer.id,
            item_id=answer.item_id,
            rfq_jws=rfq_jws,
            quote_jws=answer.quote_jws,
            quote_h=doc_hash(answer.quote_jws),
            quote=quote,
        )

    async def decline(self, quote_id: str) -> None:
        """See `OperatorPeer.decline`."""
        try:
            await self._buyer.decline(quote_id)
        except Problem as problem:
            if problem.code not in GONE:
                raise self._translated(problem) from problem

    async def order(
        self, order_jws: str, order: Order, held: HeldQuote | None, permit: Permit | None = None
    ) -> LeaseReceipt:
        """See `OperatorPeer.order`."""
        try:
            ordered = None if held is None else self._ordered(held)
            answer = await self._permitted(
                permit, lambda shown: self._buyer.order(order_jws, order, ordered, shown=shown)
            )
        except Problem as problem:
            raise self._translated(problem) from problem
        await self._heeded(answer.receipt_jws)
        return self._receipt(answer, order_jws, order, held, later=False)

    async def find_order(self, order_jws: str, order: Order, held: HeldQuote | None) -> LeaseReceipt | None:
        """See `OperatorPeer.find_order`."""
        try:
            answer = await self._buyer.find_order(order.jti)
        except Problem as problem:
            raise self._translated(problem) from problem
        if answer is None:
            return None
        await self._heeded(answer.receipt_jws)
        return self._receipt(answer, order_jws, order, held, later=True)

    def _receipt(
        self, answer: OrderAnswer, order_jws: str, order: Order, held: HeldQuote | None, *, later: bool
    ) -> LeaseReceipt:
        if answer.refusal is not None:
            raise self._translated(answer.refusal)
        if answer.receipt_jws is None:
            why = f"{self.name} is still busy with the order ({answer.state})"
            raise self._own(Problem("OPERATOR_UNREACHABLE", why), Outcome.UNKNOWN)
        quote, now = held.quote if held else None, self._clock.now()
        try:
            receipt = verified_receipt(
                answer.receipt_jws, order_jws, order, quote, keys=self._keys(), now=now, later=later
            )
        except Problem as problem:
            raise self._own(problem, Outcome.UNKNOWN) from problem
        return self._lease_receipt(answer.receipt_jws, receipt)

    async def confirm(self, confirm_jws: str, confirm: Confirm) -> LeaseReceipt:
        """See `OperatorPeer.confirm`."""
        try:
            answer = await self._confirms.confirm(confirm_jws.encode())
        except Problem as problem:
            raise self._translated(problem) from problem
        jws = answer.decode("ascii", errors="replace")
        await self._heeded(jws)
        try:
            now = self._clock.now()
            receipt = verified_confirmation(jws, confirm_jws, confirm, keys=self._keys(), now=now)
        except Problem as problem:
            raise self._own(problem, Outcome.UNKNOWN) from problem
        return self._lease_receipt(jws, receipt)

    async def lease(self, product: str) -> LeaseReceipt | None:
        """See `OperatorPeer.lease`."""
        try:
            found = await self._buyer.product(product)
        except Problem as problem:
            if problem.code == "NOT_FOUND":
                return None
            raise self._translated(problem) from problem
        await self._heeded(found.receipt_jws)
        try:
            if found.receipt_jws is None:
                raise Problem("DOCUMENT_INVALID", f"the inventory shows no receipt of {product}")
            receipt = verified_standing(
                found.receipt_jws,
                product,
                operator=self.entity,
                broker=self._broker,
                keys=self._keys(),
                now=self._clock.now(),
            )
        except Problem as problem:
            raise self._own(problem, None) from problem
        return self._lease_receipt(found.receipt_jws, receipt)

    async def kept(self, before: int) -> Kept:
        """See `KeepingPeer.kept`."""
        try:
            lists = [await self._buyer.products(status) for status in NOT_OVER]
            quotes = await self._buyer.quotes(QuoteState.ORDERABLE, moment(before))
        except Problem as problem:
            raise self._translated(problem) from problem
        found = {one.id: KeptLease(one.id, given_or_none(one.external_id)) for some in lists for one in some}
        return Kept(tuple(found.values()), tuple(one.id for one in quotes))

    async def sheet(self) -> SheetPages:
        """See `OperatorPeer.sheet`."""
        manifest, pages = await self._mesh.sheet()
        return SheetPages(manifest=await self._published(manifest, Manifest), pages=pages)

    async def watch(self, from_version: int) -> AsyncGenerator[Delta, None]:
        """See `OperatorPeer.watch`."""
        async with aclosing(self._mesh.deltas(from_version)) as deltas:
            async for delta in deltas:
                yield await self._published(delta, Delta)

    async def watch_leases(self) -> AsyncGenerator[LeaseHint, None]:
        """See `OperatorPeer.watch_leases`. A state that is none of ours is passed over: it is only a hint."""
        async with aclosing(self._mesh.lease_events()) as events:
            async for event in events:
                if event.state in STATES:
                    yield LeaseHint(
                        operator=self.entity, product=event.product, state=State(event.state), at_ms=event.at_ms
                    )

    async def close(self) -> None:
        """Drop the mesh connection."""
        await self._mesh.close()

    async def _permitted(self, permit: Permit | None, call: Callable[[Mapping[str, str]], Awaitable[A]]) -> A:
        """A call with the operator's own token for what we may do, and grants.

        A token that is not believed (our leaf was renewed on the way, or the operator has another key) is replaced
        once: nothing was done for it.
        """
        if permit is None or self._right is None:
            return await call({})
        try:
            return await call(await self._shown(permit, self._right))
        except Problem as problem:
            if problem.code != "UNAUTHENTICATED":
                raise
        return await call(await self._shown(permit, self._right, anew=True))

    async def _shown(self, permit: Permit, right: Right, *, anew: bool = False) -> Mapping[str, str]:
        need = Need(self.entity, permit.authority, permit.chained, right.x5t(), permit.party)
        try:
            token = await right.tokens.token(need)
            if anew:
                right.tokens.forget(need, token)
                token = await right.tokens.token(need)
        except Problem as problem:
            raise problem.with_outcome(Outcome.NONE) from problem  # nothing was asked yet
        shown = {"Authorization": f"Bearer {token}"}
        return shown | {GRANT_HEADER: ", ".join(permit.grants)} if permit.grants else shown

    def _keys(self) -> Mapping[str, PublicKey]:
        return self._domain().member(self.entity, self._clock.now()).keys

    async def _heeded(self, token: str | None) -> None:
        if token is not None:
            await self._heed(self.entity, token)

    async def _published(self, document: bytes, kind: type[P]) -> P:
        """A document addressed to nobody, verified."""
        text = document.decode("ascii", errors="replace")
        await self._heeded(text)
        try:
            return verify_jws(text, kind, self._keys(), now=self._clock.now(), iss=self.entity)
        except Problem as problem:
            raise self._own(problem, None) from problem

    def _lease_receipt(self, jws: str, receipt: Receipt) -> LeaseReceipt:
        return LeaseReceipt(operator=self.entity, receipt_jws=jws, receipt_h=doc_hash(jws), receipt=receipt)

    def _own(self, problem: Problem, outcome: Outcome | None) -> Problem:
        """A problem found here, with the operator it is about."""
        extra = problem.extra | {"operator": self.entity}
        return Problem(problem.code, f"{self.name}: {problem.detail}", outcome=outcome, extra=extra)

    def _translated(self, problem: Problem) -> Problem:
        """A problem that the operator, or the way to it, reported."""
        code = problem.code
        if code not in KEPT:
            code = "OPERATOR_UNREACHABLE" if code in {"INTERNAL", "UNAVAILABLE"} else "OPERATOR_REFUSED"
        return Problem(
            code,
            problem.detail if self.name in problem.detail else f"{self.name}: {problem.detail}",
            outcome=problem.outcome,
            retry_after_s=problem.retry_after_s,
            extra=problem.extra | {"operator": self.entity},
        )

    def _ordered(self, held: HeldQuote) -> Ordered:
        """What an order repeats of the rfq, which is a document of ours, and mostly one of just now."""
        rfq = self._asked.pop(held.rfq_jws, None) or unverified(held.rfq_jws, Rfq)
        return Ordered(quote_id=held.quote_id, item_id=held.item_id, segment=rfq.segment, limits=rfq.limits)

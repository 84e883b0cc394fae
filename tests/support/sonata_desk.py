"""A small seller in memory: one pair of interfaces, labels 100 to 103, holds that expire, leases that end.

It keeps every rule of `SegmentDesk`, so that the machinery around it can be tested over real HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct, structs

from federation.sonata.asks import check_order, check_ordered, check_rfq
from federation.sonata.histories import (
    budgetary_quote,
    order_history,
    order_steps,
    product_history,
    quote_history,
    refused_quote,
)
from federation.sonata.listing import pick
from federation.sonata.protocols import (
    Caller,
    CancelAsk,
    CancelRecord,
    Change,
    HubAsk,
    HubRecord,
    Listing,
    OrderAsk,
    OrderRecord,
    ProductRecord,
    QuoteAsk,
    QuoteRecord,
    Wanted,
)
from federation.trust.jose import doc_hash, sign_jws, verify_jws
from federation.trust.keys import PrivateKey, PublicKey
from schemas.lease import RELEASE_LEADS_TO, State, move
from schemas.order import RECEIPT_LIFE_S, Order, Receipt
from schemas.price import Money, Tariff, charge, total
from schemas.problem import Problem, invalid, not_found
from schemas.quote import HOLD_S_DEFAULT, Action, Rfq, SegmentQuote
from schemas.segment import End, Promise, Segment
from schemas.sonata.refusal import refusal_of
from schemas.sonata.states import CancelState, OrderState
from tests.support.seams import CountingEntropy, FixedClock

LABELS = frozenset(range(100, 104))
INTERFACES = ("uni-1", "enni-1")
TARIFF = Tariff(
    currency="EUR", set_up_micro=5_000_000, hourly_micro=1_250_000, gbps_hourly_micro=333_333, exit_micro=7_000_000
)
BUSY = (State.HELD, State.COMMITTED, State.UP, State.ACTIVE)
R = TypeVar("R", QuoteRecord, OrderRecord, CancelRecord, ProductRecord)


class Lease(Struct, kw_only=True):
    """A hold, and the lease it may become; or an extension of another."""

    owner: str
    ask: QuoteAsk
    id: str
    at: int
    segment: Segment
    history: list[Change[State]]
    until: int
    document: str | None
    order_id: str | None = None
    order_raw: bytes = b""
    receipt: str | None = None
    pending: list[tuple[int, int | None]] = []

    @property
    def state(self) -> State:
        return self.history[-1].state


class MemoryDesk:
    """Implements `SegmentDesk`. `fail` is raised by the next act; `defer` keeps orders in progress."""

    def __init__(
        self, key: PrivateKey, entity: str, callers: dict[str, dict[str, PublicKey]], clock: FixedClock
    ) -> None:
        self._key, self._entity, self._callers, self._clock = key, entity, callers, clock
        self._entropy = CountingEntropy("s")
        self._leases: dict[str, Lease] = {}
        self._fixed: dict[str, tuple[str, QuoteRecord]] = {}
        self._orders: dict[str, tuple[str, Callable[[], OrderRecord]]] = {}
        self._cancels: dict[str, tuple[str, CancelRecord]] = {}
        self._seen: dict[tuple[str, str], tuple[str, str]] = {}
        self._hubs: dict[tuple[str, str, str], HubRecord] = {}
        self.fail: BaseException | None = None
        self.defer = False

    async def quote(self, caller: Caller, ask: QuoteAsk) -> QuoteRecord:
        self._begin()
        rfq = self._verified(ask.rfq, Rfq, caller)
        if rfq is not None:
            check_rfq(ask, rfq)
            if known := self._known(caller, rfq.jti, ask.rfq):
                return await self.find_quote(caller, known)
        try:
            lease = self._hold(caller, ask, rfq)
        except Problem as problem:
            if problem.code not in {"LABEL_TAKEN", "CAPACITY_CHANGED", "NO_FEASIBLE_PATH"}:
                raise
            record = self._refuse(ask, problem)
            self._fixed[record.id] = (caller.entity, record)
            self._remember(caller, rfq, ask.rfq, record.id)
            return record
        if not ask.firm:
            record = structs.replace(self._quote_record(lease), history=budgetary_quote(lease.at))
            self._fixed[record.id] = (caller.entity, record)
            return record
        self._leases[lease.id] = lease
        self._remember(caller, rfq, ask.rfq, lease.id)
        return self._quote_record(lease)

    async def decline(self, caller: Caller, quote_id: str) -> QuoteRecord:
        self._begin()
        lease = self._lease(caller, quote_id)
        if lease.state is not State.DECLINED:
            self._move(lease, State.DECLINED)
        return self._quote_record(lease)

    async def cancel_quote(self, caller: Caller, quote_id: str) -> QuoteRecord:
        record = await self.find_quote(caller, quote_id)
        state = record.history[-1].state
        raise Problem("INCOMPATIBLE_STATE", f"the quote is {state}; only one in progress can be cancelled")

    async def order(self, caller: Caller, ask: OrderAsk) -> OrderRecord:
        self._begin()
        document = self._verified(ask.order, Order, caller)
        if document is not None:
            check_order(ask, document)
            if known := self._known(caller, document.jti, ask.order):
                return await self.find_order(caller, known)
        act = {Action.ADD: self._add, Action.MODIFY: self._extend, Action.RELEASE: self._release}[ask.action]
        order_id = self._entropy.token()
        self._orders[order_id] = (caller.entity, act(caller, ask, document, order_id))
        self._remember(caller, document, ask.order, order_id)
        return await self.find_order(caller, order_id)

    async def cancel(self, caller: Caller, ask: CancelAsk) -> CancelRecord:
        self._begin()
        order = await self.find_order(caller, ask.order_id)
        if order.history[-1].state is not OrderState.IN_PROGRESS:
            raise Problem("INCOMPATIBLE_STATE", "only an order in progress can be cancelled", field="order_id")
        assert order.product is not None
        self._end(self._leases[order.product], ask.why)
        record = CancelRecord(id=self._entropy.token(), raw=ask.raw, order_id=ask.order_id, state=CancelState.DONE)
        self._cancels[record.id] = (caller.entity, record)
        return record

    async def find_quote(self, caller: Caller, quote_id: str) -> QuoteRecord:
        self._begin()
        if quote_id in self._fixed and self._fixed[quote_id][0] == caller.entity:
            return self._fixed[quote_id][1]
        return self._quote_record(self._lease(caller, quote_id))

    async def find_order(self, caller: Caller, order_id: str) -> OrderRecord:
        owner, render = self._orders.get(order_id, ("", None))
        if render is None or owner != caller.entity:
            raise not_found(f"order {order_id}")
        return render()

    async def find_cancel(self, caller: Caller, cancel_id: str) -> CancelRecord:
        owner, record = self._cancels.get(cancel_id, ("", None))
        if record is None or owner != caller.entity:
            raise not_found(f"cancellation {cancel_id}")
        return record

    async def find_product(self, caller: Caller, product_id: str) -> ProductRecord:
        lease = self._lease(caller, product_id)
        if lease.order_id is None:
            raise not_found(f"product {product_id}")
        return self._product_record(lease)

    async def quotes(self, caller: Caller, wanted: Wanted) -> Listing[QuoteRecord]:
        self._begin()
        fixed = [record for owner, record in self._fixed.values() if owner == caller.entity]
        held = [self._quote_record(lease) for lease in self._leases.values() if lease.owner == caller.entity]
        return pick(_ordered([*fixed, *held]), wanted)

    async def orders(self, caller: Caller, wanted: Wanted) -> Listing[OrderRecord]:
        return pick(_ordered([render() for owner, render in self._orders.values() if owner == caller.entity]), wanted)

    async def cancels(self, caller: Caller, wanted: Wanted) -> Listing[CancelRecord]:
        return pick([record for owner, record in self._cancels.values() if owner == caller.entity], wanted)

    async def products(self, caller: Caller, wanted: Wanted) -> Listing[ProductRecord]:
        self._begin()
        own = [lease for lease in self._leases.values() if lease.owner == caller.entity and lease.order_id]
        return pick(_ordered([self._product_record(lease) for lease in own]), wanted)

    async def subscribe(self, caller: Caller, ask: HubAsk) -> HubRecord:
        hub_id = self._entropy.token()
        record = HubRecord(id=hub_id, api=ask.api, callback=ask.callback, query=ask.query, types=ask.types)
        self._hubs[caller.entity, ask.api, hub_id] = record
        return record

    async def find_hub(self, caller: Caller, api: str, hub_id: str) -> HubRecord:
        if (found := self._hubs.get((caller.entity, api, hub_id))) is None:
            raise not_found(f"hub {hub_id}")
        return found

    async def unsubscribe(self, caller: Caller, api: str, hub_id: str) -> None:
        await self.find_hub(caller, api, hub_id)
        del self._hubs[caller.entity, api, hub_id]

    def bring_up(self, product_id: str) -> None:
        """What the fabric of a deferred order does at last."""
        self._move(self._leases[product_id], State.UP)

    def break_down(self, product_id: str) -> None:
        """A fabric that fails before the segment is UP."""
        self._move(self._leases[product_id], State.COMPENSATING)
        self._move(self._leases[product_id], State.FAILED, "the fabric failed")

    def confirm(self, product_id: str) -> None:
        """What a `confirm` does: billable, and pending extensions valid."""
        lease = self._leases[product_id]
        if lease.state is State.UP:
            self._move(lease, State.ACTIVE)
        lease.pending = [(start, end or self._clock.now()) for start, end in lease.pending]

    def _begin(self) -> None:
        if self.fail is not None:
            fail, self.fail = self.fail, None
            raise fail
        for lease in self._leases.values():
            if lease.state is State.HELD and lease.until <= self._clock.now():
                self._move(lease, State.EXPIRED)

    def _hold(self, caller: Caller, ask: QuoteAsk, rfq: Rfq | None) -> Lease:
        if {ask.segment.a.interface, ask.segment.z.interface} != set(INTERFACES):
            raise Problem("NOT_FOUND", f"interfaces are {INTERFACES}", field="segment.a.interface")
        if ask.product is not None:
            self._lease(caller, ask.product)
        if ask.segment.bandwidth_bps > 10**10:
            raise Problem(
                "CAPACITY_CHANGED", "only 10 Gb/s are free", field="segment.bandwidth_bps", extra={"free": 10**10}
            )
        if (now := self._clock.now()) >= ask.segment.window.end_s:
            raise invalid("segment.window", "the window is over")
        segment = structs.replace(
            ask.segment, a=self._labelled(ask, ask.segment.a), z=self._labelled(ask, ask.segment.z)
        )
        until = now + (rfq.hold_s if rfq else HOLD_S_DEFAULT)
        document = self._quote_jws(rfq, ask.rfq, segment, until) if rfq and ask.rfq else None
        return Lease(
            owner=caller.entity,
            ask=ask,
            id=self._entropy.token(),
            at=now,
            segment=segment,
            history=[Change(State.HELD, now)],
            until=until,
            document=document,
        )

    def _labelled(self, ask: QuoteAsk, end: End) -> End:
        busy = [lease for lease in self._leases.values() if lease.state in BUSY and lease.ask.product is None]
        taken = {
            held.label
            for lease in busy
            for held in (lease.segment.a, lease.segment.z)
            if held.interface == end.interface
        }
        free = sorted(LABELS - taken) if ask.product is None else sorted(LABELS)
        if not free or (end.label is not None and end.label not in free):
            extra = {"interface": end.interface, "free": ",".join(map(str, free))}
            raise Problem("LABEL_TAKEN", f"label {end.label} is taken", field="segment.a.label", extra=extra)
        return End(end.interface, end.label or free[0])

    def _add(self, caller: Caller, ask: OrderAsk, order: Order | None, order_id: str) -> Callable[[], OrderRecord]:
        lease = self._ordered(caller, ask, order)
        lease.order_id, lease.order_raw = order_id, ask.raw
        if not self.defer:
            self._move(lease, State.UP)
        at = self._clock.now()
        if order and ask.order:
            lease.receipt = self._receipt_jws(order, ask.order, lease)
        return lambda: OrderRecord(
            id=order_id,
            raw=ask.raw,
            created_at=at,
            history=order_history(lease.history),
            product=lease.id,
            expected_at=at + 60,
            document=lease.receipt,
            refusal=refusal_of(Problem("UNAVAILABLE", "the fabric failed")) if lease.state is State.FAILED else None,
        )

    def _extend(self, caller: Caller, ask: OrderAsk, order: Order | None, order_id: str) -> Callable[[], OrderRecord]:
        self._ordered(caller, ask, order)
        assert ask.product is not None
        lease, at = self._lease(caller, ask.product), self._clock.now()
        lease.pending = [*lease.pending, (at, None if order else at)]
        mine = len(lease.pending) - 1
        receipt = self._receipt_jws(order, ask.order, lease) if order and ask.order else None

        def render() -> OrderRecord:
            end = lease.pending[mine][1]
            ends = () if end is None else (Change(OrderState.COMPLETED, end),)
            return OrderRecord(
                id=order_id,
                raw=ask.raw,
                created_at=at,
                history=order_steps(at, *ends),
                product=lease.id,
                expected_at=at + 60,
                document=receipt,
            )

        return render

    def _release(self, caller: Caller, ask: OrderAsk, order: Order | None, order_id: str) -> Callable[[], OrderRecord]:
        assert ask.product is not None
        lease, at = self._lease(caller, ask.product), self._clock.now()
        if lease.state in RELEASE_LEADS_TO:
            self._end(lease, "released by the buyer")
        if order and ask.order:
            lease.receipt = self._receipt_jws(order, ask.order, lease)
        record = OrderRecord(
            id=order_id,
            raw=ask.raw,
            created_at=at,
            history=order_steps(at, Change(OrderState.COMPLETED, at)),
            product=lease.id,
            document=lease.receipt if order else None,
        )
        return lambda: record

    def _ordered(self, caller: Caller, ask: OrderAsk, order: Order | None) -> Lease:
        assert ask.quote_id is not None
        lease = self._lease(caller, ask.quote_id, "quote_id")
        check_ordered(ask, self._quote_record(lease))
        if lease.state is State.EXPIRED:
            raise Problem("QUOTE_EXPIRED", "the quote has expired", field="quote_id")
        if lease.state is not State.HELD:
            raise Problem("QUOTE_USED", f"the quote is {lease.state}", field="quote_id")
        if order and lease.document and order.quote_h != doc_hash(lease.document):
            raise invalid("order", "quote_h is not the hash of the quote")
        self._move(lease, State.COMMITTED)
        return lease

    def _end(self, lease: Lease, why: str) -> None:
        self._move(lease, RELEASE_LEADS_TO[lease.state], why)
        if lease.state is State.RELEASING:
            self._move(lease, State.RELEASED, why)

    def _move(self, lease: Lease, to: State, why: str = "") -> None:
        lease.history.append(Change(move(lease.state, to), self._clock.now(), why))

    def _lease(self, caller: Caller, name: str, field: str = "product") -> Lease:
        lease = self._leases.get(name)
        if lease is None or lease.owner != caller.entity:
            raise Problem("NOT_FOUND", f"{name} is not known here", field=field)
        return lease

    def _verified(self, token: str | None, kind: type[Any], caller: Caller) -> Any:
        if token is None:
            return None
        keys, now = self._callers[caller.entity], self._clock.now()
        return verify_jws(token, kind, keys, now=now, iss=caller.entity, aud=self._entity)

    def _known(self, caller: Caller, jti: str, token: str | None) -> str | None:
        assert token is not None
        known, ref = self._seen.get((caller.entity, jti), (None, None))
        if known not in {None, token}:
            raise Problem("IDEMPOTENCY_CONFLICT", "this jti came with another document")
        return ref

    def _remember(self, caller: Caller, document: Any, token: str | None, ref: str) -> None:
        if document is not None and token is not None:
            self._seen[(caller.entity, document.jti)] = (token, ref)

    def _refuse(self, ask: QuoteAsk, problem: Problem) -> QuoteRecord:
        now = self._clock.now()
        return QuoteRecord(
            id=self._entropy.token(),
            raw=ask.raw,
            created_at=now,
            history=refused_quote(now),
            refusal=refusal_of(problem),
        )

    def _quote_record(self, lease: Lease) -> QuoteRecord:
        span = lease.segment.window
        lines = charge(TARIFF, lease.segment.bandwidth_bps, span.start_s, span.end_s, span.duration_s)
        return QuoteRecord(
            id=lease.id,
            raw=lease.ask.raw,
            created_at=lease.at,
            history=quote_history(lease.history),
            segment=lease.segment,
            tariff=TARIFF,
            lines=lines,
            valid_until=lease.until,
            document=lease.document,
        )

    def _product_record(self, lease: Lease) -> ProductRecord:
        assert lease.order_id is not None
        history = product_history(lease.history, lease.pending)
        over = lease.state in {State.RELEASED, State.FAILED}
        return ProductRecord(
            id=lease.id,
            raw=lease.order_raw,
            order_id=lease.order_id,
            created_at=lease.at,
            history=history,
            segment=lease.segment,
            tariff=TARIFF,
            ended_at=history[-1].at if over else None,
            document=lease.receipt,
        )

    def _quote_jws(self, rfq: Rfq, token: str, segment: Segment, until: int) -> str:
        span = segment.window
        lines = charge(TARIFF, segment.bandwidth_bps, span.start_s, span.end_s, span.duration_s)
        claims = SegmentQuote(
            iss=self._entity,
            sub=rfq.sub,
            aud=rfq.iss,
            iat=self._clock.now(),
            exp=until,
            jti=self._entropy.token(),
            rfq_h=doc_hash(token),
            action=rfq.action,
            segment=segment,
            promise=Promise(latency_us=900),
            tariff=TARIFF,
            lines=lines,
            total=Money(TARIFF.currency, total(lines)),
            held=True,
            product=rfq.product,
        )
        return sign_jws(self._key, claims)

    def _receipt_jws(self, order: Order, token: str, lease: Lease) -> str:
        now = self._clock.now()
        claims = Receipt(
            iss=self._entity,
            sub=order.sub,
            aud=order.iss,
            iat=now,
            exp=now + RECEIPT_LIFE_S,
            jti=self._entropy.token(),
            order_h=doc_hash(token),
            quote_h=order.quote_h,
            prev_h=doc_hash(lease.receipt) if lease.receipt else None,
            product=lease.id,
            state=lease.state,
            segment=lease.segment,
            confirm_by=order.confirm_by,
        )
        return sign_jws(self._key, claims)


def _ordered(records: list[R]) -> list[R]:
    return sorted(records, key=lambda record: (getattr(record, "created_at", 0), record.id))

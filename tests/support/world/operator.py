"""An operator in memory, under the lease rules of the operator daemon (`operators.orders.fsm`).

Its state survives its restarts. It remembers every document it was sent, and complains of two that share a `jti`.
"""

from __future__ import annotations

import hashlib
import random
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import structs

from federation.broker.peers.protocols import HeldQuote, LeaseReceipt
from federation.trust.jose import doc_hash
from operators.orders import fsm
from operators.orders.admission import check_amends
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.order import Confirm, Order, Receipt
from schemas.price import Money, Tariff, charge, total
from schemas.problem import Outcome, Problem
from schemas.quote import Action, SegmentQuote
from schemas.segment import Promise, Segment

BROKER = "https://broker.example"
SUB = "a-pseudonym-of-a-buyer"


def token_hash(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@dataclass
class WorldOperator:
    """One operator. The chances (0..1) are of things that operators do; `skew_s` is how much its clock is ahead."""

    entity: str
    name: str
    rng: random.Random
    true_now: Callable[[], int]
    currency: str = "EUR"
    skew_s: int = 0
    chance_refuse: float = 0.0
    chance_broken_fabric: float = 0.0
    chance_slow_release: float = 0.0
    chance_wrong_label: float = 0.0
    old_receipts: bool = False
    down: bool = False
    quotes: dict[str, fsm.Quote] = field(default_factory=dict)
    leases: dict[str, fsm.Lease] = field(default_factory=dict)
    seen: dict[str, tuple[str, LeaseReceipt | Problem]] = field(default_factory=dict)
    mislabelled: dict[str, Segment] = field(default_factory=dict)
    ever_active: set[str] = field(default_factory=set)
    slow_until: dict[str, int] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    count: int = 0

    def now(self) -> int:
        return self.true_now() + self.skew_s

    # --- quotes --------------------------------------------------------------------------------------------

    def quote(self, segment: Segment, tariff: Tariff, *, hold_s: int = 30, product: str | None = None) -> HeldQuote:
        """A held quote for `segment`; with `product` the extension of that lease by the segment's window."""
        self.count += 1
        quote_id, window = f"{self.name}-q{self.count}", segment.window
        document = f"quote.{self.name}.{self.count}"
        lines = charge(tariff, segment.bandwidth_bps, window.start_s, window.end_s, window.duration_s)
        action = Action.MODIFY if product else Action.ADD
        now = self.now()
        claims = SegmentQuote(
            iss=self.entity, sub=SUB, aud=BROKER, iat=now, exp=now + hold_s, jti=f"jti-of-{quote_id}",
            rfq_h=token_hash(quote_id), action=action, segment=segment, promise=Promise(), tariff=tariff, lines=lines,
            total=Money(tariff.currency, total(lines)), held=True, product=product,
        )  # fmt: skip
        self.quotes[quote_id] = fsm.Quote(
            id=quote_id, broker=BROKER, buyer=SUB, created_at=now, exp=now + hold_s, state=State.HELD, history=(),
            segment=segment, tariff=tariff, action=action, product=product, hash=doc_hash(document + ".sig"),
        )  # fmt: skip
        return HeldQuote(
            operator=self.entity, quote_id=quote_id, item_id="1", rfq_jws=f"rfq.{self.name}.{self.count}",
            quote_jws=document + ".sig", quote_h=doc_hash(document + ".sig"), quote=claims,
        )  # fmt: skip

    def decline(self, quote_id: str) -> None:
        self.settle()
        quote = self.quotes[quote_id]
        if quote.state is State.HELD:
            self.quotes[quote_id] = fsm.stepped(quote, State.DECLINED, self.now())
        elif quote.state is State.COMMITTED:
            raise Problem("INCOMPATIBLE_STATE", "it was ordered", outcome=Outcome.NONE)

    # --- orders --------------------------------------------------------------------------------------------

    def order(self, jws: str, order: Order) -> LeaseReceipt:
        """The same bytes twice have the same answer and one effect."""
        self.settle()
        if order.jti in self.seen:
            return self._again(jws, order.jti)
        if order.exp <= self.now():
            raise Problem("DOCUMENT_INVALID", "expired", outcome=Outcome.NONE)
        if order.action is Action.RELEASE:
            answer: LeaseReceipt | Problem = self._release(jws, order)
        elif self.rng.random() < self.chance_refuse:
            raise Problem("OPERATOR_REFUSED", "not today", outcome=Outcome.NONE)
        elif order.action is Action.ADD:
            answer = self._add(jws, order)
        else:
            answer = self._modify(jws, order)
        self.seen[order.jti] = (jws, answer)
        return self._again(jws, order.jti)

    def find_order(self, jws: str, order: Order) -> LeaseReceipt | None:
        self.settle()
        return self._again(jws, order.jti) if order.jti in self.seen else None

    def _again(self, jws: str, jti: str) -> LeaseReceipt:
        first, answer = self.seen[jti]
        if first != jws:
            self.complaints.append(f"{self.name}: two documents with jti {jti}")
            raise Problem("DOCUMENT_INVALID", "another document had this jti", outcome=Outcome.NONE)
        if isinstance(answer, Problem):
            raise answer
        return answer

    def _add(self, jws: str, order: Order) -> LeaseReceipt | Problem:
        quote = self._accepted(order)
        self.count += 1
        product = f"{self.name}-p{self.count}"
        if self.rng.random() < self.chance_broken_fabric:
            return Problem("OPERATOR_REFUSED", "the network could not do it", outcome=Outcome.UNDONE)
        lease = fsm.commit(quote, product, f"order-{product}", self.now())
        lease = structs.replace(lease, order_h=doc_hash(jws), confirm_by=order.confirm_by)
        self.leases[product] = lease
        if self.rng.random() < self.chance_wrong_label:
            z = structs.replace(lease.segment.z, label=(lease.segment.z.label or 1) + 1)
            self.mislabelled[product] = structs.replace(lease.segment, z=z)
        self.settle()
        return self.receipt(product, doc_hash(jws), None)

    def _modify(self, jws: str, order: Order) -> LeaseReceipt:
        lease = self._lease(order.product)
        fsm.check_amendable(lease)
        quote = self._accepted(order)
        assert quote.tariff is not None
        check_amends(lease, quote.segment)
        assert order.confirm_by is not None
        self.leases[lease.id] = fsm.ask_amendment(
            lease,
            fsm.Amendment(
                quote_id=quote.id, order_id=order.jti, order_h=doc_hash(jws), quote_h=quote.hash,
                path_root=order.path_root, tariff=quote.tariff, segment=quote.segment, since=self.now(),
                confirm_by=order.confirm_by,
            ),
        )  # fmt: skip
        return self.receipt(lease.id, doc_hash(jws), None)

    def _accepted(self, order: Order) -> fsm.Quote:
        found = [quote for quote in self.quotes.values() if quote.hash == order.quote_h]
        if not found:
            raise Problem("HOLD_LOST", "no such quote", outcome=Outcome.NONE)
        try:
            quote = fsm.accept(found[0], self.now())
        except Problem as problem:
            raise problem.with_outcome(Outcome.NONE) from problem
        self.quotes[quote.id] = quote
        return quote

    def _release(self, jws: str, order: Order) -> LeaseReceipt:
        lease = self._lease(order.product)
        if lease.state in {State.COMMITTED, State.UP} | BILLABLE:
            self.leases[lease.id] = fsm.release(lease, self.now(), "released", order.void)
            if self.rng.random() < self.chance_slow_release:
                self.slow_until[lease.id] = self.now() + self.rng.randrange(1, 20)
            self.settle()
        elif order.void is not None and lease.state is State.RELEASED:
            # A void also undoes the bill of a lease that ended by itself while a sibling's confirm was missing.
            voided = structs.replace(lease, void=order.void)
            self.leases[lease.id] = structs.replace(voided, bill=fsm.owed(voided))
        if lease.state in TERMINAL and self.old_receipts:
            # Its answer is the receipt of what ended the lease before, which does not verify for this release.
            raise Problem("DOCUMENT_INVALID", "order_h names another order", outcome=Outcome.UNKNOWN)
        return self.receipt(lease.id, doc_hash(jws), None)

    def _lease(self, product: str | None) -> fsm.Lease:
        if product not in self.leases:
            raise Problem("NOT_FOUND", "no such lease", outcome=Outcome.NONE)
        return self.leases[product]

    # --- confirm and inventory -----------------------------------------------------------------------------

    def confirm(self, jws: str, confirm: Confirm) -> LeaseReceipt:
        self.settle()
        if confirm.jti in self.seen:
            return self._again(jws, confirm.jti)
        if confirm.exp <= self.now():
            raise Problem("DOCUMENT_INVALID", "expired", outcome=Outcome.NONE)
        lease = self._lease(confirm.product)
        try:
            self._confirmed(lease, confirm)
        except Problem as problem:
            raise problem.with_outcome(Outcome.NONE) from problem
        self.seen[confirm.jti] = (jws, self.receipt(lease.id, confirm.order_h, doc_hash(jws)))
        return self._again(jws, confirm.jti)

    def _confirmed(self, lease: fsm.Lease, confirm: Confirm) -> None:
        waiting = lease.amendment is not None and lease.amendment.order_h == confirm.order_h
        if confirm.void is not None:
            self.leases[lease.id] = (
                fsm.drop_amendment(lease, self.now()) if waiting else self._taken_back(lease, confirm)
            )
        elif waiting:
            self.leases[lease.id] = fsm.amend(lease, self.now())
        elif lease.order_h == confirm.order_h and lease.state is State.UP:
            self.leases[lease.id] = fsm.confirm(lease, self.now())
            self.ever_active.add(lease.id)
        else:
            raise Problem("INCOMPATIBLE_STATE", f"nothing to confirm, the lease is {lease.state}")

    def _taken_back(self, lease: fsm.Lease, confirm: Confirm) -> fsm.Lease:
        if lease.order_h != confirm.order_h:
            raise Problem("INCOMPATIBLE_STATE", "this change is not the last one")
        return fsm.take_back(lease, self.now())

    def lease(self, product: str) -> LeaseReceipt | None:
        self.settle()
        if product not in self.leases:
            return None
        return self.receipt(product, self.leases[product].order_h or token_hash(product), None)

    def receipt(self, product: str, order_h: str, prev_h: str | None) -> LeaseReceipt:
        lease = self.leases[product]
        self.count += 1
        jws = f"receipt.{self.name}-{self.count}.sig"
        claims = Receipt(
            iss=self.entity, sub=SUB, aud=BROKER, iat=self.now(), exp=self.now() + 1000, jti=f"receipt-{self.count}",
            order_h=order_h, quote_h=lease.quote_h, prev_h=prev_h, product=product, state=lease.state,
            segment=self.mislabelled.get(product, lease.segment), confirm_by=lease.confirm_by, bill=lease.bill,
        )  # fmt: skip
        return LeaseReceipt(operator=self.entity, receipt_jws=jws, receipt_h=doc_hash(jws), receipt=claims)

    # --- time ----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Make every step that time has made by now."""
        for quote in [quote for quote in self.quotes.values() if quote.state is State.HELD]:
            if quote.exp <= self.now():
                self.quotes[quote.id] = fsm.stepped(quote, State.EXPIRED, self.now())
        for product in self.leases:
            while step := fsm.due(self.leases[product], self.now()):
                if step is fsm.Due.FINISH and self.now() < self.slow_until.get(product, 0):
                    break
                self.leases[product] = self._stepped(self.leases[product], step)

    def _stepped(self, lease: fsm.Lease, step: fsm.Due) -> fsm.Lease:
        match step:
            case fsm.Due.START:
                return fsm.stepped(lease, State.UP, self.now())
            case fsm.Due.LAPSE:
                return fsm.release(lease, self.now(), "not confirmed")
            case fsm.Due.LAPSE_AMENDMENT:
                return fsm.drop_amendment(lease, self.now())
            case fsm.Due.SETTLE:
                return fsm.settle(lease)
            case fsm.Due.END:
                return fsm.release(lease, self.now(), "the end")
        return fsm.close(lease, self.now())

    def live(self) -> list[fsm.Lease]:
        """Leases that are not over."""
        self.settle()
        return [lease for lease in self.leases.values() if lease.state not in TERMINAL]

    def held(self) -> list[fsm.Quote]:
        """Quotes that still hold something."""
        self.settle()
        return [quote for quote in self.quotes.values() if quote.state is State.HELD]

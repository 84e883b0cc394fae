"""Operators in memory that behave as a peer must: they sell what they list, hold what they quote, sign it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from federation.broker.peers.protocols import Deferred, HeldQuote, LeaseHint, LeaseReceipt, Permit, SheetPages
from federation.broker.peers.verify import verified_quote
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import PrivateKey, generate, public_keys
from federation.trust.merkle import merkle_root
from schemas.entity import Jwks
from schemas.interface import Interface, InterfaceKind, Peer
from schemas.labels import lowest, parse, ranges
from schemas.offer import ClassTerms, Delta, Disclosure, Item, Manifest, Offer, Page
from schemas.order import Confirm, Order
from schemas.price import Money, charge, total
from schemas.problem import Outcome, Problem
from schemas.quote import Rfq, SegmentQuote
from schemas.segment import End, Promise
from tests.support.seams import CountingEntropy, FixedClock

GBPS = 10**9
SHEET_LIFE_S = 3600


@dataclass
class Hold:
    """What one quote keeps."""

    rfq: Rfq
    held: HeldQuote
    labels: tuple[tuple[str, int], ...]


@dataclass
class FakeOperator:
    """One operator. Tests edit its members to make it run out, misbehave or go away."""

    entity: str
    name: str
    clock: FixedClock
    currency: str = "EUR"
    key: PrivateKey = field(default_factory=generate)
    version: int = 1
    interfaces: dict[str, Interface] = field(default_factory=dict)
    classes: dict[str, ClassTerms] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    # What is really free, when it differs from what the sheet says: labels by interface, bit/s by offer id.
    labels: dict[str, str] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)
    surcharge_micro: int = 0
    beside: dict[str, int] = field(default_factory=dict)  # of the tariff that it quotes, not of its sheet
    slower_us: int = 0
    up_within_s: int | None = None
    # Seconds that each answer takes, from a generator with the test's seed; None answers at once.
    delays: random.Random | None = None
    down: bool = False
    silent: bool = False
    refusals: list[Problem] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    asked: list[Rfq] = field(default_factory=list)
    declined: list[str] = field(default_factory=list)

    slow: bool = False
    loses: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    questions: dict[str, tuple[str, Rfq]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entropy = CountingEntropy(self.name[:3].lower())
        self.news: asyncio.Queue[Delta | Problem] = asyncio.Queue()

    # -- what it sells ---------------------------------------------------------------------------------------

    def uni(self, interface: str, city: str, **changes: object) -> FakeOperator:
        """Add a customer edge."""
        return self._interface(interface, city, kind=InterfaceKind.UNI, **changes)

    def enni(self, interface: str, city: str, peer: str, peer_interface: str, **changes: object) -> FakeOperator:
        """Add a meeting point."""
        return self._interface(interface, city, kind=InterfaceKind.ENNI, peer=Peer(peer, peer_interface), **changes)

    def _interface(self, interface: str, city: str, **changes: object) -> FakeOperator:
        base = {
            "id": interface,
            "name": interface,
            "city": city,
            "country": "NL",
            "lat_udeg": 52_000_000,
            "lon_udeg": 5_000_000,
            "speed_bps": 100 * GBPS,
            "mtu": 9000,
            "labels": "2-4094",
            "free": ((0, 100 * GBPS),),
        }
        self.interfaces[interface] = Interface(**(base | changes))  # type: ignore[arg-type]
        return self

    def offer(self, a: str, z: str, *, price: int = 100, us: int = 100, route_class: str = "any") -> FakeOperator:
        """Sell a stretch for `price` units an hour; 400 Gb/s are free."""
        self.classes.setdefault(route_class, ClassTerms(id=route_class))
        name = f"{a}--{z}:{route_class}"
        self.offers[name] = Offer(
            id=name,
            a=a,
            z=z,
            route_class=route_class,
            hourly_micro=price * 1_000_000,
            promise=Promise(latency_us=us, jitter_us=1),
            free=((0, 400 * GBPS),),
        )
        return self

    # -- the peer --------------------------------------------------------------------------------------------

    async def sheet(self) -> SheetPages:
        """Everything it lists, on one page."""
        self._answer()
        items: tuple[Item, ...] = (*self.interfaces.values(), *self.classes.values(), *self.offers.values())
        pages = (msgspec.json.encode(Page(self.version, 0, items)),)
        now = self.clock.now()
        manifest = Manifest(
            iss=self.entity,
            iat=now,
            exp=now + SHEET_LIFE_S,
            jti=self.entropy.token(),
            version=self.version,
            currency=self.currency,
            disclosure=Disclosure.MESH,
            pages=len(pages),
            root=merkle_root(pages),
        )
        return SheetPages(manifest=manifest, pages=pages)

    def publish(self, *put: Item, drop: tuple[tuple[str, str], ...] = (), from_version: int | None = None) -> None:
        """Send a delta to the watcher."""
        before = self.version if from_version is None else from_version
        self.version += 1
        now = self.clock.now()
        self.news.put_nowait(
            Delta(
                iss=self.entity,
                iat=now,
                exp=now + 60,
                jti=self.entropy.token(),
                from_version=before,
                to_version=self.version,
                put=put,
                drop=drop,
            )
        )

    async def watch(self, from_version: int) -> AsyncGenerator[Delta, None]:
        """Deltas as the test publishes them; a `Problem` in the queue breaks the stream."""
        self._answer()
        while True:
            news = await self.news.get()
            if isinstance(news, Problem):
                raise news
            yield news

    async def quote(self, rfq_jws: str, rfq: Rfq, permit: Permit | None = None) -> HeldQuote:
        """Hold and price, or refuse."""
        self.asked.append(rfq)
        if self.silent:
            await asyncio.Event().wait()
        if self.delays is not None:
            await asyncio.sleep(self.delays.uniform(0.001, 0.05))
        self._answer(Outcome.UNKNOWN)
        if self.refusals:
            raise self.refusals.pop(0).with_outcome(Outcome.NONE, operator=self.entity)
        replaced = next((i for i, hold in self.holds.items() if hold.held.quote_h == rfq.replaces), None)
        ends = self._labels(rfq, replaced)
        self._capacity(rfq)
        if replaced is not None:
            del self.holds[replaced]
        jws = sign_jws(self.key, self._claims(rfq_jws, rfq, ends))
        claims = verified_quote(jws, rfq_jws, rfq, keys=public_keys(Jwks((self.key.jwk(),))), now=self.clock.now())
        held = HeldQuote(
            operator=self.entity,
            quote_id=f"quote-{self.entropy.token()}",
            item_id="1",
            rfq_jws=rfq_jws,
            quote_jws=jws,
            quote_h=doc_hash(jws),
            quote=claims,
        )
        labels = tuple((end.interface, end.label) for end in ends if end.label is not None)
        self.holds[held.quote_id] = Hold(rfq, held, labels)
        return held

    async def ask(self, rfq_jws: str, rfq: Rfq, answer_by: int, permit: Permit | None = None) -> HeldQuote | Deferred:
        """Hold and price, or, where a person answers, wait for `grant` or `refuse`; once per question."""
        self.holds = {i: hold for i, hold in self.holds.items() if hold.held.quote.exp > self.clock.now()}
        if rfq.jti in self.answers:
            return await self._again(rfq.jti)
        prolonged = any(h.held.quote_h == rfq.replaces and h.rfq.segment == rfq.segment for h in self.holds.values())
        if self.slow and not prolonged:
            self._answer(Outcome.UNKNOWN)
            self.asked.append(rfq)
            self.answers[rfq.jti] = Deferred(operator=self.entity, quote_id=f"slow-{self.entropy.token()}")
            self.questions[rfq.jti] = (rfq_jws, rfq)
        else:
            self.answers[rfq.jti] = await self.quote(rfq_jws, rfq, permit)
        if self.loses:
            self.loses -= 1
            raise Problem("OPERATOR_UNREACHABLE", f"{self.name} did not answer", outcome=Outcome.UNKNOWN)
        return await self._again(rfq.jti)

    async def answered(self, rfq_jws: str, rfq: Rfq, quote_id: str | None = None) -> HeldQuote | Deferred | None:
        """What became of a question."""
        self._answer()
        return await self._again(rfq.jti) if rfq.jti in self.answers else None

    async def _again(self, jti: str) -> Any:
        answer = self.answers[jti]
        if isinstance(answer, Problem):
            raise answer
        if isinstance(answer, HeldQuote) and answer.quote_id not in self.holds:
            return None
        return answer

    async def cancel(self, quote_id: str) -> None:
        """Forget a question, or let its hold go."""
        self._answer()
        for jti, answer in list(self.answers.items()):
            if isinstance(answer, Deferred) and answer.quote_id == quote_id:
                del self.answers[jti], self.questions[jti]
                return
        await self.decline(quote_id)

    async def grant(self) -> None:
        """A person says yes to everything that waits."""
        for jti, (rfq_jws, rfq) in list(self.questions.items()):
            del self.questions[jti]
            self.answers[jti] = await self.quote(rfq_jws, rfq)

    def refuse(self) -> None:
        """A person says no to everything that waits."""
        for jti in list(self.questions):
            del self.questions[jti]
            self.answers[jti] = Problem("OPERATOR_REFUSED", f"{self.name}: no", outcome=Outcome.NONE)

    def _claims(self, rfq_jws: str, rfq: Rfq, ends: tuple[End, End]) -> SegmentQuote:
        offer = self._offer(rfq)
        terms = self.classes[offer.route_class]
        tariff = terms.tariff(self.currency, offer.hourly_micro + self.surcharge_micro, offer.gbps_hourly_micro)
        tariff = msgspec.structs.replace(tariff, **self.beside)
        window = rfq.segment.window
        lines = charge(tariff, rfq.segment.bandwidth_bps, window.start_s, window.end_s, window.duration_s)
        now = self.clock.now()
        return SegmentQuote(
            iss=self.entity,
            sub=rfq.sub,
            aud=rfq.iss,
            iat=now,
            exp=now + rfq.hold_s,
            jti=self.entropy.token(),
            rfq_h=doc_hash(rfq_jws),
            action=rfq.action,
            segment=msgspec.structs.replace(rfq.segment, a=ends[0], z=ends[1]),
            promise=Promise(offer.promise.latency_us + self.slower_us, offer.promise.jitter_us),
            tariff=tariff,
            lines=lines,
            total=Money(self.currency, total(lines)),
            held=True,
            product=rfq.product,
            up_within_s=self.up_within_s,
        )

    def _offer(self, rfq: Rfq) -> Offer:
        wanted = {rfq.segment.a.interface, rfq.segment.z.interface}
        for offer in self.offers.values():
            if {offer.a, offer.z} == wanted and offer.route_class == rfq.segment.route_class:
                return offer
        raise Problem("OPERATOR_REFUSED", "no such stretch", outcome=Outcome.NONE, extra={"operator": self.entity})

    def _labels(self, rfq: Rfq, replaced: str | None) -> tuple[End, End]:
        taken = {label for i, hold in self.holds.items() if i != replaced for label in hold.labels}
        return self._end(rfq.segment.a, taken, rfq), self._end(rfq.segment.z, taken, rfq)

    def _end(self, end: End, taken: set[tuple[str, int]], rfq: Rfq) -> End:
        if rfq.product is not None:
            return end
        free = parse(self.labels.get(end.interface, self.interfaces[end.interface].labels))
        for interface, label in taken:
            free &= ~(1 << label) if interface == end.interface else -1
        if end.label is None and free:
            return End(end.interface, lowest(free))
        if end.label is None or not free >> end.label & 1:
            extra = {"operator": self.entity, "interface": end.interface, "free": ranges(free)}
            raise Problem("LABEL_TAKEN", "taken", outcome=Outcome.NONE, extra=extra)
        return end

    def _capacity(self, rfq: Rfq) -> None:
        offer = self._offer(rfq)
        free = self.capacity.get(offer.id, offer.free[0][1])
        free -= sum(h.rfq.segment.bandwidth_bps for h in self.holds.values() if self._offer(h.rfq) is offer)
        if rfq.segment.bandwidth_bps > free:
            extra = {"operator": self.entity, "free": free}
            raise Problem("CAPACITY_CHANGED", f"{free} bit/s left", outcome=Outcome.NONE, extra=extra)

    def _answer(self, outcome: Outcome | None = None) -> None:
        if self.down:
            extra = {"operator": self.entity}
            raise Problem("OPERATOR_UNREACHABLE", f"{self.name} did not answer", outcome=outcome, extra=extra)

    async def decline(self, quote_id: str) -> None:
        """Let a hold go."""
        self._answer(Outcome.UNKNOWN)
        self.declined.append(quote_id)
        self.holds.pop(quote_id, None)

    # -- not needed by discovery and quotes ------------------------------------------------------------------

    async def order(
        self, order_jws: str, order: Order, held: HeldQuote | None, permit: Permit | None = None
    ) -> LeaseReceipt:
        raise NotImplementedError

    async def find_order(self, order_jws: str, order: Order, held: HeldQuote | None) -> LeaseReceipt | None:
        raise NotImplementedError

    async def confirm(self, confirm_jws: str, confirm: Confirm) -> LeaseReceipt:
        raise NotImplementedError

    async def lease(self, product: str) -> LeaseReceipt | None:
        raise NotImplementedError

    async def watch_leases(self) -> AsyncGenerator[LeaseHint, None]:
        raise NotImplementedError
        yield

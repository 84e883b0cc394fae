"""Random lives of an operator: quotes, orders, confirms, extensions, releases, time, failing disks and restarts.

Whatever happens in whatever order, nothing is oversold, no label is shared, what the inventory keeps is exactly what
the live rows own, on disk as in memory; and once time has run out, nothing is left.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from federation.sonata.asking import BuyerProfile, Ordered, order_body, quote_body
from federation.sonata.asks import order_ask, quote_ask
from federation.sonata.protocols import Caller, OrderRecord, QuoteRecord
from operators.config import Holds
from operators.orders.timers import RETRY_S
from schemas.order import Confirm, Order
from schemas.problem import Problem
from schemas.quote import Action, Rfq
from schemas.segment import End, Segment, window
from tests.support.footprints import ENTITY, GBPS, footprint, link, uni
from tests.support.operator_shop import ShopWorld
from tests.support.seams import NOW

BROKER = "https://broker.example"
CALLER = Caller(BROKER)
PROFILE = BuyerProfile(name="n", number="1", email_address="n@b.example", billing_account="x")
EXAMPLES = 400 if os.environ.get("PEERWAY_TEST_LONG") else 60
OPERATING = {
    "CAPACITY_CHANGED", "DOCUMENT_INVALID", "HOLD_LOST", "IDEMPOTENCY_CONFLICT", "INCOMPATIBLE_STATE",
    "INVALID_ARGUMENT", "LABEL_TAKEN", "NOT_FOUND", "QUOTE_EXPIRED", "QUOTE_USED", "UNAVAILABLE",
}  # fmt: skip


class Life:
    """A broker's side of a random life: what it asked for, and what came of it."""

    def __init__(self) -> None:
        drawn = footprint(
            ["a", "b", "c"],
            [link("a", "b"), link("b", "c"), link("a", "c", 500)],
            [uni("a", labels="2-4"), uni("b", labels="2-4"), uni("c", labels="2-4")],
        )
        self.world = ShopWorld(drawn, Holds(seconds_max=60, per_broker=6, per_buyer=6))
        self.quotes: list[tuple[Rfq, QuoteRecord]] = []
        self.orders: list[tuple[str, OrderRecord]] = []
        self.count = 0

    def party(self) -> dict[str, Any]:
        self.count += 1
        now = self.world.clock.now()
        return {"iss": BROKER, "sub": "one", "aud": ENTITY, "iat": now, "exp": now + 60, "jti": f"{self.count:022d}"}

    async def quote(
        self, pair: tuple[str, str], gbps: int, label: int | None, when: tuple[int, int], hold_s: int
    ) -> None:
        a, z = pair
        start = self.world.clock.now() + when[0]
        frame = window(start, start + when[1])
        asked = Segment(a=End(f"uni-{a}", label), z=End(f"uni-{z}"), bandwidth_bps=gbps * GBPS, window=frame)
        await self.ask(Rfq(**self.party(), segment=asked, hold_s=hold_s))

    async def buy(self, pair: tuple[str, str], gbps: int, when: tuple[int, int]) -> None:
        await self.quote(pair, gbps, None, when, 30)
        await self.order(0)
        await self.confirm(0)

    async def prolong(self, pick: int, seconds: int) -> None:
        await self.extend(pick, seconds)
        await self.order(0)
        await self.confirm(0)

    async def swap(self, pick: int, gbps: int) -> None:
        if self.quotes:
            rfq, record = self.quotes[-1 - pick % len(self.quotes)]
            row = await self.world.store.quote(record.id)
            assert row is not None
            asked = msgspec.structs.replace(rfq.segment, bandwidth_bps=gbps * GBPS)
            await self.ask(Rfq(**self.party(), segment=asked, replaces=row.hash))

    async def extend(self, pick: int, seconds: int) -> None:
        leases = list(self.world.shop.leases.values())
        if leases:
            lease = leases[pick % len(leases)]
            longer = msgspec.structs.replace(lease.segment, window=window(lease.end_s, lease.end_s + seconds))
            await self.ask(Rfq(**self.party(), segment=longer, action=Action.MODIFY, product=lease.id))

    async def resize(self, pick: int, gbps: int) -> None:
        leases = list(self.world.shop.leases.values())
        if leases:
            lease = leases[pick % len(leases)]
            frame = window(min(self.world.clock.now(), lease.end_s - 1), lease.end_s)
            asked = msgspec.structs.replace(lease.segment, window=frame, bandwidth_bps=gbps * GBPS)
            await self.ask(Rfq(**self.party(), segment=asked, action=Action.MODIFY, product=lease.id))

    async def change(self, pick: int, gbps: int) -> None:
        await self.resize(pick, gbps)
        await self.order(0)
        await self.confirm(0)

    async def ask(self, rfq: Rfq) -> None:
        body = quote_body(self.world.gate.token(rfq), rfq, PROFILE, None)
        record = await self.world.desk.quote(CALLER, quote_ask(msgspec.json.encode(body), "segment"))
        if record.refusal is None:
            self.quotes.append((rfq, record))

    async def order(self, pick: int) -> None:
        if self.quotes:
            rfq, record = self.quotes[-1 - pick % len(self.quotes)]
            row = await self.world.store.quote(record.id)
            assert row is not None
            assert record.segment is not None
            document = Order(
                **self.party(), action=rfq.action, product=rfq.product, quote_h=row.hash, path_root="R" * 43
            )
            ordered = Ordered(quote_id=record.id, segment=record.segment)
            await self.place(document, ordered)

    async def release(self, pick: int) -> None:
        if self.orders:
            _, placed = self.orders[-1 - pick % len(self.orders)]
            if placed.product:
                await self.place(Order(**self.party(), action=Action.RELEASE, product=placed.product), None)

    async def place(self, document: Order, ordered: Ordered | None) -> None:
        token = self.world.gate.token(document)
        body = order_body(token, document, PROFILE, ordered, None)
        record = await self.world.desk.order(CALLER, order_ask(msgspec.json.encode(body), "segment"))
        self.orders.append((self.world.gate.name(token, Order, "order").hash, record))

    async def confirm(self, pick: int, void: str | None = None) -> None:
        if self.orders:
            order_h, placed = self.orders[-1 - pick % len(self.orders)]
            lease = self.world.shop.leases.get(placed.product or "")
            if lease is not None and lease.receipt_h is not None:
                claims = Confirm(
                    **self.party(),
                    order_h=order_h,
                    prev_h=lease.receipt_h,
                    path_root="R" * 43,
                    product=lease.id,
                    void=void,
                )
                await self.world.desk.confirm(BROKER, self.world.gate.token(claims))

    async def take_back(self, pick: int) -> None:
        await self.confirm(pick, "https://as2.example")

    async def decline(self, pick: int) -> None:
        if self.quotes:
            await self.world.desk.decline(CALLER, self.quotes[-1 - pick % len(self.quotes)][1].id)

    async def advance(self, seconds: int) -> None:
        """Time jumps; steps that a failing disk refused are tried again, and may be late until then."""
        failing = self.world.store.failing
        await self.world.pass_time(seconds)
        while self.world.store.failing < failing:
            self.world.assert_sound(late=True)
            failing = self.world.store.failing
            await self.world.pass_time(RETRY_S)

    async def fail(self) -> None:
        self.world.store.failing += 1

    async def restart(self) -> None:
        self.world.store.failing = 0
        await self.world.start()


picks = st.sampled_from([0, 0, 0, 1, 2, 3])
pairs = st.permutations(["a", "b", "c"]).map(lambda p: (p[0], p[1]))
moments = st.tuples(st.sampled_from([0, 0, 60, 300]), st.sampled_from([30, 120, 900]))
bandwidths, labels = st.sampled_from([20, 45, 60, 100]), st.sampled_from([None, 2, 3])
steps = st.one_of(
    st.tuples(st.just("quote"), pairs, bandwidths, labels, moments, st.sampled_from([0, 10, 30])),
    st.tuples(st.just("buy"), pairs, bandwidths, moments),
    st.tuples(st.just("order"), picks),
    st.tuples(st.just("confirm"), picks),
    st.tuples(st.just("extend"), picks, st.sampled_from([60, 600])),
    st.tuples(st.just("prolong"), picks, st.sampled_from([60, 600])),
    st.tuples(st.just("swap"), picks, st.sampled_from([20, 80])),
    st.tuples(st.just("resize"), picks, bandwidths),
    st.tuples(st.just("change"), picks, bandwidths),
    st.tuples(st.just("take_back"), picks),
    st.tuples(st.just("release"), picks),
    st.tuples(st.just("decline"), picks),
    st.tuples(st.just("advance"), st.sampled_from([1, 10, 31, 61, 300])),
    st.tuples(st.just("fail")),
    st.tuples(st.just("restart")),
)
BUY = ("buy", ("a", "b"), 20, (0, 30))
LATE = [[BUY], [BUY], [BUY], [("fail",), ("advance", 300)]]  # the disk refuses the end of a lease, minutes after it
HOLD = ("quote", ("a", "b"), 60, None, (0, 900), 30)
LOST = [[HOLD], [("fail",), ("swap", 0, 20), HOLD], [("order", 1)], [("restart",)], [("order", 0)]]  # what it gave up
lives = st.lists(st.lists(steps, min_size=1, max_size=4), min_size=4, max_size=25)


async def tried(act: Any) -> None:
    """An act that may be refused, but for no other reason than an operating one."""
    done = (await asyncio.gather(act, return_exceptions=True))[0]
    if isinstance(done, BaseException):
        assert isinstance(done, Problem), repr(done)
        assert done.code in OPERATING, done


async def live(moves: list[list[tuple[Any, ...]]]) -> None:
    life = Life()
    await life.world.start()
    for together in moves:
        alone = [move for move in together if move[0] in {"restart", "advance"}]
        raced = [move for move in together if move not in alone]
        await asyncio.gather(*(tried(getattr(life, name)(*how)) for name, *how in raced))
        while life.world.shop.lost:
            await life.world.pass_time(RETRY_S)
        life.world.assert_sound()
        for name, *how in alone:
            await tried(getattr(life, name)(*how))
            life.world.assert_sound()
    life.world.store.failing = 0
    for _ in range(6):
        await life.advance(2_000)
    life.world.assert_sound()
    assert life.world.shop.inventory.claims() == ()
    assert (life.world.shop.quotes, life.world.shop.leases, life.world.driver.up) == ({}, {}, {})


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lives)
@example(LATE)
@example(LOST)
def test_nothing_is_ever_oversold_or_orphaned(moves: list[list[tuple[Any, ...]]]) -> None:
    asyncio.run(live(moves))


def test_thirty_two_buyers_race_for_the_last_gigabit_and_the_last_label() -> None:
    async def race() -> None:
        life = Life()
        life.world.holds = Holds()
        await life.world.start()
        await asyncio.gather(*(tried(life.quote(("a", "b"), 40, 2, (0, 900), 30)) for _ in range(32)))
        assert len(life.quotes) == 1
        await asyncio.gather(*(tried(life.quote(("a", "c"), 60, None, (0, 900), 30)) for _ in range(32)))
        assert len(life.quotes) == 2
        life.world.assert_sound()
        assert life.world.shop.inventory.free(("uni-a",), NOW, NOW + 1) == 0
        await asyncio.gather(*(tried(life.order(number)) for number in range(32)))
        assert len(life.world.shop.leases) == 2
        life.world.assert_sound()

    asyncio.run(race())

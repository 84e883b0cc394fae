"""A real operator on loopback: quote, hold, order, confirm, extend and release, with bills checked by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from operators.fabric.null import NullDriver
from schemas.boundary import Boundary, Flow
from schemas.lease import State
from schemas.price import Line, Money
from schemas.problem import Problem
from schemas.quote import Action
from schemas.segment import Segment, moment, window
from schemas.sonata.states import OrderState, ProductStatus, QuoteState
from tests.support.footprints import GBPS
from tests.support.operator_world import HOUR, UNI_A, UNI_C, Deal, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio
INSIDE = "link-b--c"


BOUNDARY = Boundary(flows=(Flow(a=("10.1.0.0/16",), z=("10.2.0.0/16",), protocol="tcp", ports=("443",)),), bytes_max=9)


class Boundless(NullDriver):
    """A driver of a network that carries whatever it is handed."""

    bounds = False


def extended_of(deal: Deal, seconds: int = 600) -> Segment:
    """The segment of a lease in the window after it."""
    held = deal.receipts[-1].segment
    longer = plan(gbps=held.bandwidth_bps // GBPS, start=held.window.end_s, duration_s=seconds)
    return structs.replace(longer, boundary=held.boundary)


def extension(deal: Deal, seconds: int) -> dict[str, object]:
    """What is asked for to prolong a lease."""
    return {"segment": extended_of(deal, seconds), "action": Action.MODIFY, "product": deal.product}


async def test_a_purchase_from_quote_to_bill(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan(label_a=7))
        quote = deal.held
        assert quote.held
        assert (quote.segment.a.label, quote.segment.z.label) == (7, 5)
        # a - b - c, 30 km: ports 0.90 an hour; 10 Gb/s x (2 x 0.02 + 30 x 0.0004) an hour
        assert quote.lines == (
            Line("set_up", 2_000_000),
            Line("port", 900_000),
            Line("bandwidth", 520_000),
            Line("minimum", 0),
        )
        assert quote.total == Money("EUR", 3_420_000)
        assert quote.promise.latency_us == 150
        assert (world.free(UNI_A), world.free(INSIDE)) == (90, 390)

        placed = await world.broker.order(deal)
        assert placed.state is OrderState.COMPLETED
        up = deal.receipts[-1]
        assert (up.state, up.segment, up.confirm_by, up.prev_h) == (State.UP, quote.segment, NOW + 60, None)
        assert list(world.driver.up) == [deal.product]

        world.clock.advance(10)
        active = await world.broker.confirm(deal)
        assert (active.state, active.confirm_by) == (State.ACTIVE, None)

        world.clock.advance(1_000)
        released = await world.broker.release(deal)
        assert released.state is State.RELEASED
        assert released.bill is not None
        assert (released.bill.start, released.bill.end) == (moment(NOW + 10), moment(NOW + 1_010))
        # 1,000 s of 0.90 and of 0.52 an hour, the second rounded up; and the exit, for it was to last an hour
        assert released.bill.lines == (
            Line("set_up", 2_000_000),
            Line("port", 250_000),
            Line("bandwidth", 144_445),
            Line("minimum", 0),
            Line("exit", 5_000_000),
        )
        assert released.bill.total.micro == 7_394_445
        world.assert_nothing_held()


async def test_the_driver_receives_exactly_the_boundary_that_was_signed(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(boundary=BOUNDARY))
        assert deal.held.segment.boundary == deal.receipts[-1].segment.boundary == BOUNDARY
        assert world.driver.up[deal.product].segment.boundary == BOUNDARY

        other = Boundary(bytes_max=10)
        for changed in (None, other):
            asked = structs.replace(extended_of(deal), boundary=changed)
            with pytest.raises(Problem, match="differs from the lease") as caught:
                await world.broker.ask(asked, action=Action.MODIFY, product=deal.product)
            assert caught.value.field == "segment.boundary"
        longer = await world.broker.ask(extended_of(deal), action=Action.MODIFY, product=deal.product)
        assert longer.held.segment.boundary == BOUNDARY


async def test_a_boundary_that_no_driver_keeps_is_not_taken(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    world.driver = Boundless()
    async with world.run():
        with pytest.raises(Problem, match="holds no traffic to a boundary") as caught:
            await world.broker.ask(plan(boundary=BOUNDARY))
        assert (caught.value.code, caught.value.field) == ("NOT_IMPLEMENTED", "segment.boundary")
        world.assert_nothing_held()
        assert (await world.broker.lease(plan())).receipts[-1].state is State.ACTIVE


async def test_a_boundary_is_taken_where_something_else_in_the_network_keeps_it(tmp_path: Path) -> None:
    world = OperatorWorld(tmp_path)
    world.driver = Boundless()
    written = tmp_path / "operator.toml"
    written.write_text("bounded_elsewhere = true\n" + written.read_text())
    async with world.run():
        deal = await world.broker.lease(plan(boundary=BOUNDARY))
        assert world.driver.up[deal.product].segment.boundary == BOUNDARY


async def test_what_came_of_it_can_be_asked_for(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        sonata = world.broker.sonata
        found = await sonata.find_quote(deal.rfq.jti)
        assert found is not None
        assert (found.id, found.state) == (deal.answer.id, QuoteState.ACCEPTED)
        product = await sonata.product(deal.product)
        assert product.status is ProductStatus.ACTIVE
        assert product.segment == deal.held.segment
        world.broker.note(deal, product.receipt_jws)
        assert deal.receipts[-1].state is State.ACTIVE
        assert [p.id for p in await sonata.products(ProductStatus.ACTIVE)] == [deal.product]
        await world.broker.release(deal)
        assert await sonata.products(ProductStatus.ACTIVE) == ()
        assert [p.id for p in await sonata.products(ProductStatus.TERMINATED)] == [deal.product]


async def test_a_hold_ends_when_its_quote_expires(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan(gbps=80), hold_s=30)
        await world.pass_time(29)
        assert world.free(UNI_A) == 20
        world.clock.advance(1)
        with pytest.raises(Problem) as caught:
            await world.broker.order(deal)
        assert caught.value.code == "QUOTE_EXPIRED"
        await world.run_due()
        world.assert_nothing_held()
        assert (await world.broker.sonata.get_quote(deal.answer.id)).state is QuoteState.EXPIRED


async def test_a_hold_is_let_go(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        await world.broker.sonata.decline(deal.answer.id)
        world.assert_nothing_held()
        await world.broker.sonata.decline(deal.answer.id)
        with pytest.raises(Problem) as caught:
            await world.broker.order(deal)
        assert caught.value.code == "HOLD_LOST"


async def test_what_is_not_confirmed_comes_down_free_of_charge(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
        await world.pass_time(59)
        assert world.free(UNI_A) == 90
        late = world.broker.confirm_of(deal)
        await world.pass_time(1)
        world.assert_nothing_held()
        with pytest.raises(Problem) as caught:
            await world.broker.send_confirm(late)
        assert caught.value.code == "INCOMPATIBLE_STATE"
        product = await world.broker.sonata.product(deal.product)
        over = world.broker.note(deal, product.receipt_jws)
        assert over.state is State.RELEASED
        assert over.bill is not None
        assert (over.bill.lines, over.bill.total, over.bill.start) == ((), Money("EUR", 0), None)


async def test_a_confirm_after_its_time_is_refused_even_before_the_timer(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
        world.clock.advance(60)
        with pytest.raises(Problem, match="confirm_by"):
            await world.broker.confirm(deal)


async def test_the_operator_releases_at_the_end_of_the_window(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        await world.pass_time(HOUR)
        world.assert_nothing_held()
        product = await world.broker.sonata.product(deal.product)
        over = world.broker.note(deal, product.receipt_jws)
        assert over.bill is not None
        assert [line.name for line in over.bill.lines] == ["set_up", "port", "bandwidth", "minimum"]
        assert over.bill.total == deal.held.total


async def test_a_lease_that_starts_later_waits_committed(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan(start=NOW + 600))
        placed = await world.broker.order(deal)
        assert placed.state is OrderState.IN_PROGRESS
        assert deal.receipts[-1].state is State.COMMITTED
        assert deal.receipts[-1].confirm_by == NOW + 660
        assert world.driver.up == {}
        assert world.free(UNI_A, NOW, NOW + 600) == 100
        with pytest.raises(Problem, match="COMMITTED cannot become ACTIVE"):
            await world.broker.confirm(deal)
        await world.pass_time(600)
        assert list(world.driver.up) == [deal.product]
        order = await world.broker.sonata.get_order(placed.id)
        assert order.state is OrderState.COMPLETED
        assert world.broker.note(deal, order.receipt_jws).state is State.UP
        assert (await world.broker.confirm(deal)).state is State.ACTIVE


async def test_what_has_not_begun_is_cancelled_or_released(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        first = await world.broker.ask(plan(start=NOW + 600))
        placed = await world.broker.order(first)
        await world.broker.sonata.cancel(placed.id, "a sibling failed")
        assert (await world.broker.sonata.get_order(placed.id)).state is OrderState.CANCELLED
        assert (await world.broker.sonata.product(first.product)).status is ProductStatus.CANCELLED
        second = await world.broker.ask(plan(start=NOW + 600))
        await world.broker.order(second)
        released = await world.broker.release(second)
        assert released.bill is not None
        assert released.bill.lines == ()
        world.assert_nothing_held()
        with pytest.raises(Problem) as caught:
            await world.broker.sonata.cancel(placed.id, "again")
        assert caught.value.code == "INCOMPATIBLE_STATE"


async def test_a_voided_segment_bills_nothing(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        world.clock.advance(100)
        released = await world.broker.release(deal, void="https://as2.example")
        assert released.bill is not None
        assert released.bill.lines == ()


async def test_a_void_after_the_end_of_the_window_has_a_new_bill(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(duration_s=90))
        await world.pass_time(100)
        released = await world.broker.release(deal, void="https://as2.example")
        assert released.state is State.RELEASED
        assert released.bill is not None
        assert released.bill.lines == ()
        assert await world.broker.release(deal) == released


async def test_a_release_is_legal_again_and_again(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        older = deal.receipts[0]
        first = await world.broker.release(deal, prev_h=None)
        again = await world.broker.release(deal)
        assert again == first
        assert older.state is State.UP


async def test_an_extension_is_all_or_nothing(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        longer = await world.broker.ask(**extension(deal, 1_800))
        assert longer.held.action is Action.MODIFY
        assert longer.held.segment.a.label == deal.held.segment.a.label
        assert longer.held.lines[0] == Line("set_up", 0)
        assert (world.free(UNI_A), world.free(UNI_A, NOW + HOUR, NOW + HOUR + 1)) == (90, 90)

        placed = await world.broker.order(longer)
        assert placed.state is OrderState.IN_PROGRESS
        pending = longer.receipts[-1]
        assert (pending.state, pending.segment, pending.confirm_by) == (State.ACTIVE, deal.held.segment, NOW + 60)
        assert (await world.broker.sonata.product(deal.product)).status is ProductStatus.PENDING_CHANGE

        extended = await world.broker.confirm(longer)
        assert extended.segment.window == window(NOW, NOW + HOUR + 1_800)
        assert (await world.broker.sonata.get_order(placed.id)).state is OrderState.COMPLETED
        claims = world.running.desk.shop.inventory.claims()
        assert [claim.end_s for claim in claims] == [NOW + HOUR + 1_800]

        await world.pass_time(HOUR)
        world.clock.advance(600)
        bill = (await world.broker.release(longer)).bill
        assert bill is not None
        # an hour and ten minutes at 0.90 and 0.52 an hour, each period for itself, and the exit of the extension
        assert [(line.name, line.micro) for line in bill.lines] == [
            ("set_up", 2_000_000),
            ("port", 900_000),
            ("bandwidth", 520_000),
            ("port", 150_000),
            ("bandwidth", 86_667),
            ("minimum", 0),
            ("exit", 5_000_000),
        ]
        world.assert_nothing_held()


async def test_an_extension_that_is_not_confirmed_lapses(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        longer = await world.broker.ask(**extension(deal, 1_800))
        placed = await world.broker.order(longer)
        with pytest.raises(Problem) as caught:
            await world.broker.ask(**extension(deal, 60))
        assert caught.value.code == "INCOMPATIBLE_STATE"
        await world.pass_time(60)
        assert world.free(UNI_A, NOW + HOUR, NOW + HOUR + 1) == 100
        assert (await world.broker.sonata.get_order(placed.id)).state is OrderState.FAILED
        product = await world.broker.sonata.product(deal.product)
        assert product.status is ProductStatus.ACTIVE
        receipt = world.broker.note(deal, product.receipt_jws)
        assert (receipt.state, receipt.segment.window) == (State.ACTIVE, window(NOW, NOW + HOUR))
        again = await world.broker.ask(**extension(deal, 60))
        await world.broker.order(again)
        await world.broker.confirm(again)
        await world.broker.release(again)
        world.assert_nothing_held()


async def test_an_extension_needs_room(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(gbps=60))
        blocker = await world.broker.ask(plan(gbps=50, start=NOW + HOUR + 100))
        refused = (await world.broker.ask(**extension(deal, 200))).answer.refusal
        assert refused is not None
        assert (refused.code, refused.extra["free"]) == ("CAPACITY_CHANGED", 50 * GBPS)
        assert (await world.broker.ask(**extension(deal, 100))).answer.refusal is None
        assert blocker.held.held


async def test_a_change_that_is_asked_for_again_takes_the_place_of_the_hold_whose_answer_was_lost(
    tmp_path: Path,
) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal, after = await world.broker.lease(plan(gbps=60)), NOW + HOUR
        lost = await world.broker.ask(**extension(deal, 600))
        again = await world.broker.ask(**extension(deal, 600))
        assert (again.held.held, again.held.segment, world.free(UNI_A, after)) == (True, lost.held.segment, 40)
        with pytest.raises(Problem, match="replaced"):
            await world.broker.order(lost)
        await world.broker.ask(plan(gbps=50, start=after + 600))
        assert (await world.broker.ask(**extension(deal, 700))).answer.refusal, "and then the hold before stays"
        await world.broker.order(again)
        assert (await world.broker.confirm(again)).segment.window == window(NOW, NOW + HOUR + 600)
        await world.broker.release(again)
        assert world.free(UNI_A, after) == 100


async def test_to_ask_what_a_change_costs_lets_go_of_no_hold(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan(gbps=60))
        held = await world.broker.ask(**extension(deal, 600))
        await world.broker.ask(**extension(deal, 700), hold_s=0)
        await world.broker.order(held)
        assert (await world.broker.confirm(held)).segment.window == window(NOW, NOW + HOUR + 600)


async def test_release_lets_a_waiting_extension_go(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        longer = await world.broker.ask(**extension(deal, 1_800))
        placed = await world.broker.order(longer)
        await world.broker.release(longer)
        assert (await world.broker.sonata.get_order(placed.id)).state is OrderState.FAILED
        world.assert_nothing_held()


async def test_documents_are_read_by_their_hash_and_only_by_their_parties(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        url = f"{world.origin}/peerway/v1/documents"
        for name in (deal.order_h, deal.receipt_h, deal.held.rfq_h, deal.receipts[0].quote_h):
            statuses = []
            for broker in world.brokers:
                async with broker.session.get(f"{url}/{name}") as answer:
                    statuses.append(answer.status)
            assert statuses == [200, 404]
        async with world.session.get(f"{url}/{deal.order_h}") as answer:
            assert answer.status == 401
        async with world.session.get(f"{world.origin}/healthz") as answer:
            assert answer.status == 200


async def test_the_network_that_does_not_do_it_fails_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with OperatorWorld(tmp_path).run() as world:

        async def refuse(product: str, wiring: object) -> None:
            raise ConnectionError("the switch is away")

        monkeypatch.setattr(world.driver, "bring_up", refuse)
        deal = await world.broker.ask(plan())
        placed = await world.broker.order(deal)
        assert placed.state is OrderState.FAILED
        assert placed.refusal is not None
        assert placed.refusal.code == "OPERATOR_REFUSED"
        assert deal.receipts[-1].state is State.FAILED
        world.assert_nothing_held()


async def test_a_segment_that_will_not_come_down_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        tries: list[str] = []

        async def refuse(product: str) -> None:
            tries.append(product)
            raise ConnectionError("the switch is away")

        with monkeypatch.context() as patch:
            patch.setattr(world.driver, "take_down", refuse)
            world.clock.advance(100)
            with pytest.raises(AssertionError):
                await world.broker.release(deal)
        assert world.free(UNI_C) == 90
        await world.pass_time(5)
        assert tries
        world.assert_nothing_held()
        over = world.broker.note(deal, (await world.broker.sonata.product(deal.product)).receipt_jws)
        assert over.bill is not None
        assert over.bill.end == moment(NOW + 100)


async def test_of_a_lease_that_ended_long_ago_nothing_is_left_but_leaves_of_the_log(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        store = world.running.desk.shop.store
        kept = await world.broker.lease(plan(gbps=1, duration_s=2 * HOUR))
        deal = await world.broker.lease(plan())
        longer = await world.broker.ask(**extension(deal, 1_800))
        await world.broker.order(longer)
        await world.broker.confirm(longer)
        await world.broker.release(longer)
        world.clock.advance(100)
        assert await store.prune_ended(world.clock.now(), 10) == 1
        with pytest.raises(Problem, match="product"):
            await world.broker.sonata.product(deal.product)
        await world.broker.release(kept)

    def left(table: str) -> int:
        with closing(sqlite3.connect(tmp_path / "data" / "operator.sqlite")) as books:
            return int(books.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    tables = ("leases", "orders", "quotes", "requests", "seen", "documents")
    one = dict(zip(tables, (1, 2, 1, 3, 4, 8), strict=True))  # quote, order, confirm and release of the other lease
    assert {table: left(table) for table in tables} == one

"""What a real operator refuses, and that a refusal leaves nothing behind: labels, room, caps, strangers, replays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from federation.trust.jose import sign_jws
from operators.inventory.ledger import Claim
from schemas.order import Confirm
from schemas.price import Money
from schemas.problem import Outcome, Problem
from schemas.quote import Action, Rfq
from schemas.segment import Limits, window
from schemas.sonata.states import OrderState, QuoteState
from tests.support.footprints import GBPS
from tests.support.operator_world import ENNI_B, HOUR, MANDATE_H, UNI_A, OperatorWorld, plan
from tests.support.seams import NOW

pytestmark = pytest.mark.asyncio


async def refusal(world: OperatorWorld, *args: Any, **more: Any) -> Problem:
    """Why a good request was not met."""
    answer = (await world.broker.ask(*args, **more)).answer
    assert answer.state is QuoteState.UNABLE_TO_PROVIDE
    assert answer.refusal is not None
    return answer.refusal


async def rejection(world: OperatorWorld, *args: Any, **more: Any) -> Problem:
    """Why a bad request was turned away."""
    with pytest.raises(Problem) as caught:
        await world.broker.ask(*args, **more)
    assert caught.value.outcome is Outcome.NONE
    return caught.value


async def test_a_taken_label_says_which_are_free(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        await world.broker.ask(plan(label_z=5))
        why = await refusal(world, plan(label_z=5))
        assert (why.code, why.field, why.extra["free"]) == ("LABEL_TAKEN", "segment.z.label", "6")
        assert (await world.broker.ask(plan())).held.segment.z.label == 6
        assert (await refusal(world, plan())).extra["free"] == ""
        assert (await world.broker.ask(plan(start=NOW + HOUR))).held.segment.z.label == 5


async def test_an_interface_that_cannot_swap_has_one_label_for_both_ends(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        picked = (await world.broker.ask(plan(z=ENNI_B))).held.segment
        assert (picked.a.label, picked.z.label) == (100, 100)
        given = (await world.broker.ask(plan(z=ENNI_B, label_a=101))).held.segment
        assert (given.a.label, given.z.label) == (101, 101)
        why = await rejection(world, plan(z=ENNI_B, label_a=7, label_z=100))
        assert why.field == "segment.z.label"


async def test_room_that_is_gone_says_how_much_is_left(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        await world.broker.ask(plan(gbps=70))
        why = await refusal(world, plan(gbps=31))
        assert (why.code, why.extra["free"], why.extra["interface"]) == ("CAPACITY_CHANGED", 30 * GBPS, UNI_A)
        assert (await world.broker.ask(plan(gbps=30))).held.held


async def test_a_route_without_room_is_gone_round(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        shop = world.running.desk.shop
        for number in range(4):
            taken = Claim(
                id=f"x{number}", links=("link-b--c",), ends=(), bandwidth_bps=99 * GBPS, start_s=NOW, end_s=NOW + HOUR
            )
            assert shop.inventory.admit(taken) is None
        assert (await world.broker.ask(plan())).held.promise.latency_us == 600
        why = await refusal(world, plan(), limits=Limits(latency_us=599))
        assert (why.code, why.field, why.extra["promise"]) == (
            "NO_FEASIBLE_PATH",
            "limits.latency_us",
            {"latency_us": 600},
        )
        why = await refusal(world, plan(route_class="domestic"))
        assert (why.code, why.extra["free"]) == ("CAPACITY_CHANGED", 4 * GBPS)


@pytest.mark.parametrize(
    ("segment", "field"),
    [
        (plan(a="uni-x"), "segment.a.interface"),
        (plan(z=UNI_A), "segment.z.interface"),
        (plan(gbps=101), "segment.bandwidth_bps"),
        (plan(mtu=9001), "segment.mtu"),
        (plan(route_class="lunar"), "segment.route_class"),
        (plan(duration_s=59), "segment.window"),
        (plan(start=NOW - 121), "segment.window"),
        (plan(start=NOW + 800 * 86_400), "segment.window"),
    ],
)
async def test_what_could_never_be_met_is_turned_away(tmp_path: Path, segment: Any, field: str) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        why = await rejection(world, segment)
        assert (why.code, why.field) == ("INVALID_ARGUMENT", field)
        world.assert_nothing_held()


async def test_hold_caps_per_buyer_and_per_broker(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path, holds="per_buyer = 2, per_broker = 3").run() as world:
        first = await world.broker.ask(plan(gbps=1), hold_s=20)
        await world.broker.ask(plan(gbps=1), hold_s=30)
        why = await refusal(world, plan(gbps=1, z=ENNI_B))
        assert (why.code, why.retry_after_s) == ("TOO_MANY_REQUESTS", 20)
        assert (await world.broker.ask(plan(gbps=1, z=ENNI_B), sub="another-buyer")).held.held
        why = await refusal(world, plan(gbps=1, z=ENNI_B), sub="a-third-buyer")
        assert "one broker" in why.detail
        assert (await world.brokers[1].ask(plan(gbps=1, z=ENNI_B))).held.held
        await world.broker.sonata.decline(first.answer.id)
        assert (await world.broker.ask(plan(gbps=1))).held.held


async def test_over_the_cap_a_price_without_a_hold_can_still_be_ordered(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path, holds="per_buyer = 1").run() as world:
        await world.broker.ask(plan(gbps=60))
        deal = await world.broker.ask(plan(gbps=40), hold_s=0)
        assert not deal.held.held
        assert world.free(UNI_A) == 40
        assert (await world.broker.order(deal)).state is OrderState.COMPLETED
        assert world.free(UNI_A) == 0


async def test_an_order_without_a_hold_may_come_too_late(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan(gbps=60), hold_s=0)
        await world.broker.ask(plan(gbps=60), sub="another-buyer")
        document = world.broker.order_of(deal)
        placed = await world.broker.sonata.order(
            sign_jws(world.broker.key, document), document, world.broker.ordered(deal)
        )
        assert placed.state is OrderState.FAILED
        assert placed.refusal is not None
        assert placed.refusal.code == "CAPACITY_CHANGED"
        assert world.free(UNI_A) == 40


async def test_a_share_of_an_interface_is_the_most_one_buyer_holds(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path, holds="share_of_interface_ppm = 500_000").run() as world:
        await world.broker.ask(plan(gbps=40))
        assert (await refusal(world, plan(gbps=20))).code == "TOO_MANY_REQUESTS"
        assert (await world.broker.ask(plan(gbps=20, start=NOW + HOUR))).held.held
        assert (await world.broker.ask(plan(gbps=20), sub="another-buyer")).held.held


async def test_quotes_are_earned_by_orders(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path, holds="quotes_free = 1, quotes_per_order = 1").run() as world:
        deal = await world.broker.ask(plan(gbps=1))
        assert (await refusal(world, plan(gbps=1))).code == "TOO_MANY_REQUESTS"
        await world.broker.order(deal)
        assert (await world.broker.ask(plan(gbps=1, z=ENNI_B))).held.held
        assert (await refusal(world, plan(gbps=1, z=ENNI_B))).retry_after_s == HOUR - NOW % HOUR


async def squat(world: OperatorWorld) -> int:
    """T19: a broker keeps all of an interface by firm quotes that it never orders, each for another invented buyer."""
    kept = 0
    for number in range(40):
        answer = (await world.broker.ask(plan(z="uni-b", gbps=5), sub=f"invented-{number}", hold_s=60)).answer
        kept += 0 if answer.state is QuoteState.UNABLE_TO_PROVIDE else 5
    return kept


@pytest.mark.parametrize(
    ("caps", "kept"),
    [("share_per_broker_ppm = 500_000", 50), ("quotes_free_per_broker = 10", 50), ("per_broker = 10", 50)],
)
async def test_t19_a_broker_that_squats_with_invented_buyers_leaves_room_for_another(
    tmp_path: Path, caps: str, kept: int
) -> None:
    async with OperatorWorld(tmp_path, holds=caps).run() as world:
        assert await squat(world) == kept
        deal = await world.brokers[1].ask(plan(z="uni-b", gbps=50))
        assert deal.held.held
        assert (await world.brokers[1].order(deal)).state is OrderState.COMPLETED


async def test_t19_caps_per_buyer_alone_do_not_stop_a_squatter(tmp_path: Path) -> None:
    caps = "share_of_interface_ppm = 100_000, quotes_free = 1, per_buyer = 1"
    async with OperatorWorld(tmp_path, holds=caps).run() as world:
        assert await squat(world) == 100
        honest = (await world.brokers[1].ask(plan(z="uni-b", gbps=1))).answer
        assert honest.refusal is not None
        assert honest.refusal.code == "CAPACITY_CHANGED"


async def test_t19_a_broker_that_orders_earns_the_quotes_of_all_its_buyers(tmp_path: Path) -> None:
    caps = "quotes_free_per_broker = 2, quotes_per_order = 2"
    async with OperatorWorld(tmp_path, holds=caps).run() as world:
        deal = await world.broker.ask(plan(z="uni-b", gbps=1), sub="one")
        await world.broker.ask(plan(z="uni-b", gbps=1), sub="two")
        why = await refusal(world, plan(z="uni-b", gbps=1), sub="three")
        assert "2 quotes and 0 orders of this broker" in why.detail
        assert why.retry_after_s == HOUR - NOW % HOUR
        await world.broker.order(deal)
        for name in ("three", "four"):
            assert (await world.broker.ask(plan(z="uni-b", gbps=1), sub=name)).held.held
        assert (await refusal(world, plan(z="uni-b", gbps=1), sub="five")).code == "TOO_MANY_REQUESTS"
        world.clock.advance(HOUR - NOW % HOUR)
        assert (await world.broker.ask(plan(z="uni-b", gbps=1, start=NOW + HOUR), sub="five")).held.held


async def test_a_hold_is_swapped_in_one_step(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path, holds="per_buyer = 1").run() as world:
        first = await world.broker.ask(plan(gbps=60, label_z=5))
        quote_h = world.broker.order_of(first).quote_h
        second = await world.broker.ask(plan(gbps=80, label_z=5), replaces=quote_h)
        assert second.held.held
        assert world.free(UNI_A) == 20
        with pytest.raises(Problem) as caught:
            await world.broker.order(first)
        assert caught.value.code == "HOLD_LOST"
        await world.broker.order(second)
        assert len(world.running.desk.shop.inventory.claims()) == 1


async def test_a_swap_that_does_not_fit_keeps_the_old_hold(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        await world.broker.ask(plan(gbps=50), sub="another-buyer")
        first = await world.broker.ask(plan(gbps=30))
        quote_h = world.broker.order_of(first).quote_h
        why = await refusal(world, plan(gbps=60), replaces=quote_h)
        assert (why.code, why.extra["free"]) == ("CAPACITY_CHANGED", 50 * GBPS)
        assert world.free(UNI_A) == 20
        assert (await world.broker.order(first)).state is OrderState.COMPLETED


async def test_a_quote_is_ordered_once(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
        with pytest.raises(Problem) as caught:
            await world.broker.order(deal)
        assert caught.value.code == "QUOTE_USED"
        assert len(world.running.desk.shop.leases) == 1


async def test_the_same_bytes_have_one_effect_and_one_answer(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        broker, sonata = world.broker, world.broker.sonata
        rfq = Rfq(mandate_h=MANDATE_H, **broker.party(), segment=plan())
        token = sign_jws(broker.key, rfq)
        first, again = await sonata.quote(token, rfq), await sonata.quote(token, rfq)
        assert (first.id, first.quote_jws) == (again.id, again.quote_jws)
        assert len(world.running.desk.shop.quotes) == 1

        deal = await broker.ask(plan())
        document = broker.order_of(deal)
        order = sign_jws(broker.key, document)
        placed = await sonata.order(order, document, broker.ordered(deal))
        world.clock.advance(59)
        replayed = await sonata.order(order, document, broker.ordered(deal))
        assert (placed.id, placed.receipt_jws) == (replayed.id, replayed.receipt_jws)
        assert len(world.running.desk.shop.leases) == 1


async def test_a_replay_is_answered_even_after_the_document_expired(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        rfq = Rfq(mandate_h=MANDATE_H, **world.broker.party(), segment=plan())
        token = sign_jws(world.broker.key, rfq)
        first = await world.broker.sonata.quote(token, rfq)
        await world.pass_time(120)
        again = await world.broker.sonata.quote(token, rfq)
        assert (again.id, again.state) == (first.id, QuoteState.EXPIRED)
        late = Rfq(mandate_h=MANDATE_H, **world.broker.party(life_s=1), segment=plan(start=NOW + 200))
        stale = sign_jws(world.broker.key, late)
        world.clock.advance(2)
        with pytest.raises(Problem, match="a signed document is not accepted"):
            await world.broker.sonata.quote(stale, late)
        assert "expired" in (world.folder / "data" / "audit.jsonl").read_text()


async def test_a_confirm_again_has_the_same_receipt(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
        token, other = world.broker.confirm_of(deal), world.broker.confirm_of(deal)
        receipt = await world.broker.send_confirm(token)
        world.clock.advance(30)
        assert await world.broker.send_confirm(token) == receipt
        assert await world.broker.send_confirm(other) == receipt


async def test_one_jti_names_one_document(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        party = world.broker.party()
        first, second = (
            Rfq(mandate_h=MANDATE_H, **party, segment=plan()),
            Rfq(mandate_h=MANDATE_H, **party, segment=plan(gbps=11)),
        )
        await world.broker.sonata.quote(sign_jws(world.broker.key, first), first)
        with pytest.raises(Problem) as caught:
            await world.broker.sonata.quote(sign_jws(world.broker.key, second), second)
        assert caught.value.code == "IDEMPOTENCY_CONFLICT"
        assert len(world.running.desk.shop.quotes) == 1


async def test_another_broker_or_buyer_finds_nothing(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        other = world.brokers[1]
        deal = await world.broker.ask(plan())
        for broker, sub in ((other, deal.rfq.sub), (world.broker, "another-buyer")):
            document = structs.replace(world.broker.order_of(deal), **broker.party(sub))
            with pytest.raises(Problem) as caught:
                await broker.sonata.order(sign_jws(broker.key, document), document, broker.ordered(deal))
            assert caught.value.code == ("HOLD_LOST" if broker is other else "DOCUMENT_INVALID")
        for lookup in (other.sonata.get_quote(deal.answer.id), other.sonata.decline(deal.answer.id)):
            with pytest.raises(Problem) as caught:
                await lookup
            assert caught.value.code == "NOT_FOUND"
        await world.broker.order(deal)
        with pytest.raises(Problem) as caught:
            await other.sonata.product(deal.product)
        assert caught.value.code == "NOT_FOUND"
        assert await other.sonata.products() == ()
        with pytest.raises(Problem) as caught:
            await other.send_confirm(sign_jws(other.key, confirm_as(other, deal, world)))
        assert (caught.value.code, caught.value.outcome) == ("NOT_FOUND", Outcome.NONE)


def confirm_as(other: Any, deal: Any, world: OperatorWorld) -> Any:
    return Confirm(
        **other.party(), order_h=deal.order_h, prev_h=deal.receipt_h, path_root="R" * 43, product=deal.product
    )


async def test_documents_must_be_the_callers_own_and_for_us(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        ours, other = world.broker, world.brokers[1]
        forged = Rfq(mandate_h=MANDATE_H, **ours.party(), segment=plan())
        astray = Rfq(mandate_h=MANDATE_H, **(ours.party() | {"aud": "https://as2.example"}), segment=plan())
        borrowed = Rfq(mandate_h=MANDATE_H, **other.party(), segment=plan())
        for key, rfq in ((other.key, forged), (ours.key, astray), (other.key, borrowed)):
            with pytest.raises(Problem) as caught:
                await ours.sonata.quote(sign_jws(key, rfq), rfq)
            assert caught.value.code == "DOCUMENT_INVALID"
        world.assert_nothing_held()


async def test_a_stranger_is_not_let_in(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        base = f"{world.origin}/mefApi/sonata/productInventory/v8/product"
        for headers in ({}, {"Authorization": "Bearer guessed"}):
            async with world.session.get(base, headers=headers) as answer:
                assert answer.status == 401


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"quote_h": "x" * 43}, "quote_h"),
        ({"path_root": None}, "path_root"),
        ({"amount": Money("EUR", 1)}, "amount"),
        ({"confirm_by": NOW}, "confirm_by"),
    ],
)
async def test_an_order_must_say_what_was_quoted(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        with pytest.raises(Problem) as caught:
            await world.broker.order(deal, **changes)
        veiled = caught.value.code in {"DOCUMENT_INVALID", "POLICY_DENIED"}
        assert why in ((world.folder / "data" / "audit.jsonl").read_text() if veiled else str(caught.value))
        assert (await world.broker.order(deal)).state is OrderState.COMPLETED


async def test_a_confirm_must_name_the_path_and_the_receipt(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.ask(plan())
        await world.broker.order(deal)
        for changes in ({"path_root": "Q" * 43}, {"prev_h": "Q" * 43}, {"order_h": "Q" * 43}):
            with pytest.raises(Problem) as caught:
                await world.broker.confirm(deal, **changes)
            assert caught.value.field == next(iter(changes))
        await world.broker.confirm(deal)


async def test_an_extension_changes_the_end_and_nothing_else(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path).run() as world:
        deal = await world.broker.lease(plan())
        about = {"action": Action.MODIFY, "product": deal.product}
        good = plan(start=NOW + HOUR, duration_s=60)
        for segment, field in (
            (structs.replace(good, bandwidth_bps=GBPS), "segment.bandwidth_bps"),
            (structs.replace(good, window=window(NOW + HOUR + 1, NOW + 2 * HOUR)), "segment.window"),
            (structs.replace(good, z=structs.replace(good.z, label=6)), "segment.z.label"),
        ):
            assert (await rejection(world, segment, **about)).field == field
        assert (await rejection(world, good, **about, sub="another-buyer")).code == "NOT_FOUND"


ELSEWHERE = "https://as2.example"  # whose confirm is said to be missing


async def test_t19_who_orders_and_voids_again_and_again_is_given_no_more_holds(tmp_path: Path) -> None:
    caps = "voids_free = 1, voids_free_per_broker = 2, orders_per_void = 3"
    async with OperatorWorld(tmp_path, holds=caps).run() as world:
        world.clock.advance(3_600 - world.clock.now() % 3_600)

        async def used_free(sub: str) -> None:
            deal = await world.broker.lease(plan(start=world.clock.now()), sub=sub)
            world.clock.advance(300)
            bill = (await world.broker.release(deal, void=ELSEWHERE)).bill
            assert bill is not None
            assert bill.total.micro == 0

        for _ in range(2):
            await used_free("ann")
        why = await refusal(world, plan(start=world.clock.now()), sub="ann")
        assert (why.code, why.retry_after_s) == ("TOO_MANY_REQUESTS", 3_000)
        assert "2 voids and 2 orders of this buyer" in why.detail
        for sub in ("bob", "carol"):
            await used_free(sub)
        why = await refusal(world, plan(start=world.clock.now()), sub="dan")
        assert "4 voids and 4 orders of this broker" in why.detail, "one more for three orders"
        world.clock.advance(3_600)
        await used_free("ann")


async def test_t19_voids_count_where_something_was_in_use(tmp_path: Path) -> None:
    async with OperatorWorld(tmp_path, holds="voids_free = 0, voids_free_per_broker = 0").run() as world:
        never = await world.broker.ask(plan())
        await world.broker.order(never)
        await world.broker.release(never, void=ELSEWHERE)
        deal = await world.broker.lease(plan())

        async def change() -> Any:
            segment = structs.replace(deal.receipts[-1].segment, bandwidth_bps=20 * GBPS)
            asked = await world.broker.ask(segment, action=Action.MODIFY, product=deal.product)
            await world.broker.order(asked)
            return asked

        await world.broker.confirm(await change(), void=ELSEWHERE)
        confirmed = await change()
        await world.broker.confirm(confirmed)
        await world.broker.confirm(confirmed, void=ELSEWHERE)
        assert "1 voids" in (await refusal(world, plan())).detail

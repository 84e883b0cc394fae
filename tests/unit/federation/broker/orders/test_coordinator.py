"""The shell of orders: what a desk sees of it, and what happens when the store or the operators do not work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from msgspec import structs

from federation.broker.orders import terms
from federation.broker.orders.protocols import Filed
from federation.broker.orders.recovery import listen_for_hints, recover
from federation.broker.orders.saga.state import OrderState
from federation.broker.peers.protocols import LeaseHint
from federation.broker.quotes.basis import canonical_hash
from federation.broker.quotes.protocols import Claim
from federation.trust.jose import doc_hash
from operators.orders import fsm
from schemas.lease import State
from schemas.price import RateTable
from schemas.problem import Problem
from tests.support.order_shop import Shop, claim, run
from tests.support.world.run import BUYER, RATES


def test_an_order_is_placed_becomes_active_and_is_released_with_its_bill() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote()
        placed = await shop.orders.place(quote, claim("k"))
        assert (placed.state, placed.quote, placed.outcome) == (State.COMMITTED, quote.id, None)
        assert [segment.operator for segment in placed.segments] == [held.operator for held in quote.held]
        active = await shop.orders.wait(BUYER, placed.id, 10)
        assert active.state is State.ACTIVE
        assert all(segment.product and segment.receipt_h for segment in active.segments)
        assert active.segments[0].z.label == active.segments[1].a.label
        await asyncio.sleep(60)
        assert (await shop.orders.release(BUYER, placed.id, claim("r"))).state is State.RELEASING
        released = await shop.orders.wait(BUYER, placed.id, 10)
        assert released.state is State.RELEASED
        assert released.bill is not None
        assert released.bill.total.micro == sum(line.micro for line in released.bill.lines) > 0
        assert released.bill.start is not None
        assert released.bill.end is not None
        assert 60 <= (released.bill.end - released.bill.start).total_seconds() <= 61
        assert await shop.store.claim(claim("k"), 0) == await shop.store.claim(claim("r"), 0) == placed.id

    run(scenario)


def test_every_document_is_kept_for_its_buyer() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        view = await shop.orders.get(BUYER, order_id)
        for segment in view.segments:
            receipt = await shop.store.get_document(BUYER, segment.receipt_h or "")
            assert receipt is not None
            assert doc_hash(receipt) == segment.receipt_h
        kinds = [document.count(".") for (_, _), document in shop.store.documents.items()]
        assert len(kinds) >= len(view.segments) * 6  # rfq, quote, order, receipt, confirm, receipt
        assert await shop.store.get_document("bob", view.segments[0].receipt_h or "") is None

    run(scenario)


def test_32_orders_of_one_quote_make_one_order() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote()
        calls = (shop.orders.place(quote, claim(f"k{number}")) for number in range(32))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        (won,) = [one for one in outcomes if not isinstance(one, BaseException)]
        lost = [one for one in outcomes if isinstance(one, Problem)]
        assert len(lost) == 31
        assert {(one.code, one.extra["order"]) for one in lost} == {("QUOTE_USED", won.id)}
        assert (await shop.orders.wait(BUYER, won.id, 10)).state is State.ACTIVE
        assert [len(operator.leases) for operator in shop.world.operators] == [
            1 if any(held.operator == operator.entity for held in quote.held) else 0
            for operator in shop.world.operators
        ]

    run(scenario)


def test_what_belongs_to_another_buyer_is_not_found() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        calls = (
            shop.orders.get("bob", order_id),
            shop.orders.wait("bob", order_id, 1),
            shop.orders.release("bob", order_id, None),
            shop.orders.get(BUYER, "no-such-order"),
        )
        for found in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(found, Problem)
            assert found.code == "NOT_FOUND"
        assert await shop.orders.list("bob") == ()
        assert [view.id for view in await shop.orders.list(BUYER)] == [order_id]
        assert (await shop.orders.get(BUYER, order_id)).state is State.ACTIVE

    run(scenario)


def test_wait_answers_at_once_when_nothing_is_on_its_way_and_in_time_when_it_is() -> None:
    async def scenario(shop: Shop) -> None:
        loop = asyncio.get_running_loop()
        quote = await shop.quote(start_in_s=1000)
        order = await shop.orders.place(quote, claim("k"))
        waiting = await shop.orders.wait(BUYER, order.id, 30)
        assert waiting.state is State.COMMITTED
        assert {segment.state for segment in waiting.segments} == {State.COMMITTED}
        assert loop.time() - 1000 < 1
        for operator in shop.world.operators:
            operator.down = True
        before = loop.time()
        await shop.orders.release(BUYER, order.id, None)
        assert (await shop.orders.wait(BUYER, order.id, 5)).state is State.RELEASING
        assert 5 <= loop.time() - before < 6

    run(scenario)


def test_an_expired_quote_other_rates_and_a_quote_of_an_extension_are_refused() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote()
        other = Shop(shop.world, shop.orders._tasks, RateTable("2026-11-03", {"EUR": 1}))
        with pytest.raises(Problem, match="exchange rates have changed"):
            await other.orders.place(quote, claim("k"))
        await asyncio.sleep(30)
        with pytest.raises(Problem) as found:
            await shop.orders.place(quote, claim("k"))
        assert found.value.code == "QUOTE_EXPIRED"
        order_id = await shop.active()
        longer = shop.world.longer_quote(shop.store.state(order_id), 100)
        await shop.store.put_quote(longer, claim("quote longer"))
        with pytest.raises(Problem, match="this quote extends order"):
            await shop.orders.place(longer, claim("k"))
        with pytest.raises(Problem, match="does not extend this order"):
            terms.extend_asked(await shop.quote(), shop.store.state(order_id), shop.world.clock.now_us())

    run(scenario)


def test_an_extension_is_granted_once_at_a_time_and_only_while_active() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        end_s = shop.store.state(order_id).end_s
        quotes = [shop.world.longer_quote(shop.store.state(order_id), by_s) for by_s in (100, 200)]
        for quote in quotes:
            await shop.store.put_quote(quote, claim(f"quote {quote.id}"))
        view = await shop.orders.extend(quotes[0], claim("x0"))
        assert view.window.end_s == end_s
        with pytest.raises(Problem, match="another change is under way"):
            await shop.orders.extend(quotes[1], claim("x1"))
        longer = await shop.orders.wait(BUYER, order_id, 10)
        assert (longer.state, longer.window.end_s) == (State.ACTIVE, end_s + 100)
        assert longer.total.micro > view.total.micro
        with pytest.raises(Problem, match="ask for a new quote"):
            await shop.orders.extend(quotes[1], claim("x1"))
        await shop.orders.release(BUYER, order_id, None)
        await shop.orders.wait(BUYER, order_id, 10)
        with pytest.raises(Problem, match="only an ACTIVE one"):
            await shop.orders.extend(quotes[1], claim("x1"))
        assert await shop.store.claim(claim("x0"), 0) == order_id
        assert await shop.store.claim(claim("x1"), 0) is None

    run(scenario)


def test_an_operator_that_left_the_federation_is_unreachable_and_nothing_more() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote()
        gone = shop.peers.pop(quote.held[0].operator)
        order = await shop.orders.place(quote, claim("k"))
        failed = await shop.orders.wait(BUYER, order.id, 60)
        assert (failed.state, failed.outcome) == (State.COMPENSATING, "pending")
        assert failed.why is not None
        assert "not answered in time" in failed.why
        shop.peers[gone.entity] = gone
        over = await shop.orders.wait(BUYER, order.id, 120)
        assert (over.state, over.outcome) == (State.FAILED, "undone")

    run(scenario)


def test_a_fault_of_a_peer_is_an_unknown_outcome() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote()
        peer = shop.peers[quote.held[0].operator]
        real, faults = peer.order, iter([RuntimeError("a bug")])

        async def order(*args: object) -> object:
            for fault in faults:
                raise fault
            return await real(*args)  # type: ignore[arg-type]

        peer.order = order  # type: ignore[assignment, method-assign]
        placed = await shop.orders.place(quote, claim("k"))
        assert (await shop.orders.wait(BUYER, placed.id, 10)).state is State.ACTIVE

    run(scenario)


def test_a_store_that_cannot_write_lets_nothing_happen() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        real, full = shop.store.save, True

        async def save(state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
            if full:
                raise Problem("UNAVAILABLE", "the store cannot write (disk full); nothing was changed")
            await real(state, claims, filed)

        shop.store.save = save  # type: ignore[method-assign]
        with pytest.raises(Problem, match="disk full"):
            await shop.orders.release(BUYER, order_id, None)
        with pytest.raises(Problem, match="disk full"):
            await shop.orders.place(await shop.quote(), claim("k"))
        await asyncio.sleep(3600)  # the end comes, and cannot be noted
        assert (await shop.orders.get(BUYER, order_id)).state is State.ACTIVE
        full = False
        assert (await shop.orders.wait(BUYER, order_id, 10)).state is State.ACTIVE
        await asyncio.sleep(5)
        assert (await shop.orders.get(BUYER, order_id)).state is State.RELEASED

    run(scenario)


def test_recovery_takes_up_what_is_unfinished_and_a_closed_shop_takes_nothing() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        released = await shop.active()
        await shop.orders.release(BUYER, released, None)
        await shop.orders.wait(BUYER, released, 10)
        await shop.orders.close()
        with pytest.raises(Problem) as found:
            await shop.orders.get(BUYER, order_id)
        assert found.value.code == "UNAVAILABLE"
        again = Shop(shop.world, shop.orders._tasks)
        assert await recover(shop.store, again.orders) == 1
        assert (await again.orders.get(BUYER, order_id)).state is State.ACTIVE
        await again.orders.release(BUYER, order_id, None)
        assert (await again.orders.wait(BUYER, order_id, 10)).state is State.RELEASED
        assert (await again.orders.release(BUYER, order_id, claim("again"))).state is State.RELEASED
        assert await shop.store.claim(claim("again"), 0) == order_id
        await again.orders.close()

    run(scenario)


def test_closing_tells_those_who_wait_to_ask_again() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        stuck: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def save(state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
            await stuck

        shop.store.save = save  # type: ignore[method-assign]
        asked = asyncio.ensure_future(shop.orders.release(BUYER, order_id, None))
        await asyncio.sleep(1)
        await shop.orders.close()
        with pytest.raises(Problem) as found:
            await asked
        assert (found.value.code, found.value.outcome) == ("UNAVAILABLE", "unknown")

    run(scenario)


def test_a_caller_that_goes_away_leaves_an_order_that_runs() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote()
        call = asyncio.ensure_future(shop.orders.place(quote, claim("k")))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.sleep(1)
        (order,) = await shop.orders.list(BUYER)
        assert order.state is State.ACTIVE

    run(scenario)


def test_a_hint_makes_the_end_of_a_lease_known_at_once() -> None:
    async def scenario(shop: Shop) -> None:
        order_id = await shop.active()
        segment = (await shop.orders.get(BUYER, order_id)).segments[0]
        operator = next(one for one in shop.world.operators if one.entity == segment.operator)
        product = segment.product or ""
        operator.leases[product] = _ended(operator.leases[product], operator.now())
        hints = [LeaseHint(operator=operator.entity, product=product, state=State.RELEASED, at_ms=0)]

        async def watch_leases():  # type: ignore[no-untyped-def]
            for hint in hints:
                yield hint
            raise Problem("OPERATOR_UNREACHABLE", "gone")

        peer = shop.peers[operator.entity]
        peer.watch_leases = watch_leases  # type: ignore[method-assign]
        listening = asyncio.create_task(listen_for_hints(peer, shop.orders))
        await asyncio.sleep(2)
        listening.cancel()
        over = await shop.orders.get(BUYER, order_id)
        assert over.state is State.RELEASED
        assert any("ended its lease" in change.why for change in over.history)
        await shop.orders.hint(LeaseHint(operator=operator.entity, product="unknown", state=State.UP, at_ms=0))

    run(scenario)


def _ended(lease, now: int):  # type: ignore[no-untyped-def]
    return fsm.close(fsm.release(lease, now, "the network broke"), now)


def test_the_hash_of_the_rates_is_the_one_that_quotes_carry() -> None:
    assert terms.rates_hash(RATES) == canonical_hash(RATES)


def test_pages_of_an_agent_hold_its_orders_alone() -> None:
    async def scenario(shop: Shop) -> None:
        placed = []
        for number in range(6):
            quote = await shop.quote()
            order = await shop.orders.place(quote, claim(quote.id))
            placed.append(order.id)
            await shop.orders.wait(BUYER, order.id, 10)
            state = shop.store.state(order.id)
            agent = "a" * 43 if number % 3 == 0 else None
            changed = structs.replace(state, terms=structs.replace(state.terms, agent=agent))
            shop.store.journal[order.id] = msgspec.json.encode(changed)
        latest = placed[::-1]
        assert [view.id for view in await shop.orders.list(BUYER, None, 4)] == latest[:4]
        assert [view.id for view in await shop.orders.list(BUYER, None, 4, latest[3])] == latest[4:]
        own = [view.id for view in await shop.orders.list(BUYER, "a" * 43, 1)]
        assert own == [placed[3]]
        assert [view.id for view in await shop.orders.list(BUYER, "a" * 43, 5, own[0])] == [placed[0]]
        for agent, after in ((None, "no-such-order"), ("a" * 43, placed[1])):
            with pytest.raises(Problem, match="is no order of yours"):
                await shop.orders.list(BUYER, agent, 5, after)

    run(scenario)


def test_a_heartbeat_is_journaled_coarsely_and_silence_releases() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote(idle_release_s=80)
        order = await shop.orders.place(quote, claim(quote.id))
        assert (await shop.orders.wait(BUYER, order.id, 10)).idle_release_s == 80
        journaled = []
        for pause_s in (5, 40, 5, 80):
            await asyncio.sleep(pause_s)
            beaten = await shop.orders.heartbeat(BUYER, order.id)
            assert beaten.state is State.ACTIVE
            journaled.append(shop.store.state(order.id).heard_s)
        assert len(set(journaled)) == 3, "the first counts from ACTIVE, and 5 s after another none is written"
        await asyncio.sleep(91)
        silent = await shop.orders.wait(BUYER, order.id, 10)
        assert (silent.state, silent.idle_release_at) == (State.RELEASED, None)
        assert "its holder was silent for 80 s" in {change.why for change in silent.history}
        assert (await shop.orders.heartbeat(BUYER, order.id)).state is State.RELEASED
        with pytest.raises(Problem, match="not known"):
            await shop.orders.heartbeat("bob", order.id)

    run(scenario)


def test_receipts_that_decide_nothing_alone_share_a_journal_entry_and_are_not_kept_waiting_long() -> None:
    async def scenario(shop: Shop) -> None:
        journaled: list[list[State]] = []
        save = shop.store.save

        async def noted(state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
            journaled.append([leg.state for leg in state.legs])
            await save(state, claims, filed)

        shop.store.save = noted  # type: ignore[method-assign]
        await shop.active()
        placed, up, active = [State.HELD] * 2, [State.UP] * 2, [State.ACTIVE] * 2
        assert journaled == [placed, up, active]

        journaled.clear()
        quote = await shop.quote()
        slow = shop.peers[quote.held[1].operator]
        order = slow.order

        async def late(*args: object) -> object:
            await asyncio.sleep(5)
            return await order(*args)  # type: ignore[arg-type]

        slow.order = late  # type: ignore[method-assign,assignment]
        await shop.orders.place(quote, claim(quote.id))
        await asyncio.sleep(20)
        assert journaled == [placed, [State.UP, State.HELD], up, active], "what is known shows while a sibling is slow"

    run(scenario, operators=2)


def test_a_broker_that_was_stopped_grants_another_period() -> None:
    async def scenario(shop: Shop) -> None:
        quote = await shop.quote(idle_release_s=80)
        order = await shop.orders.place(quote, claim(quote.id))
        await shop.orders.wait(BUYER, order.id, 10)
        now_us, ahead = shop.world.clock.now_us, 0
        shop.world.clock.now_us = lambda: now_us() + ahead  # type: ignore[method-assign]
        ahead = 600_000_000  # the process stood still, and its timers fire when it goes on
        await asyncio.sleep(91)
        assert (await shop.orders.get(BUYER, order.id)).state is State.ACTIVE
        await asyncio.sleep(91)
        assert (await shop.orders.wait(BUYER, order.id, 10)).state is State.RELEASED

    run(scenario)

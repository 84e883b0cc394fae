"""What nobody foresaw, and what comes without end: it is of one order, or of one operator, and ends no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from federation.broker.orders.protocols import Filed
from federation.broker.orders.recovery import listen_for_hints
from federation.broker.orders.saga.state import OrderState
from federation.broker.peers.protocols import LeaseHint
from federation.broker.quotes.protocols import Claim
from schemas.lease import State
from schemas.problem import Problem
from tests.support.order_shop import Shop, claim, run
from tests.support.world.run import BUYER


def test_a_fault_in_one_order_ends_no_other_and_is_gone_over_again() -> None:
    """What nobody foresaw of one operator's answer must not take the broker down, again with every start."""

    async def scenario(shop: Shop) -> None:
        order_id, other = await shop.active(), await shop.active()
        real = shop.store.save
        faults = [KeyError("ASKED")]

        async def save(state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
            if state.terms.id == order_id and faults:
                raise faults.pop()
            await real(state, claims, filed)

        shop.store.save = save  # type: ignore[method-assign]
        with pytest.raises(Problem) as found:
            await shop.orders.release(BUYER, order_id, claim("r"))
        assert (found.value.code, found.value.outcome) == ("INTERNAL", "unknown")
        await shop.orders.release(BUYER, other, None)
        assert (await shop.orders.wait(BUYER, other, 10)).state is State.RELEASED
        await shop.orders.release(BUYER, order_id, claim("r"))
        assert (await shop.orders.wait(BUYER, order_id, 10)).state is State.RELEASED

    run(scenario)


def test_a_fault_in_placing_one_order_is_told_and_ends_no_other() -> None:
    async def scenario(shop: Shop) -> None:
        other, quote = await shop.active(), await shop.quote()
        real = shop.store.begin

        async def begin(*given: object) -> None:
            raise OverflowError("what nobody foresaw")

        shop.store.begin = begin  # type: ignore[method-assign,assignment]
        with pytest.raises(OverflowError):
            await shop.orders.place(quote, claim("k"))
        shop.store.begin = real  # type: ignore[method-assign]
        placed = await shop.orders.place(quote, claim("k"))
        assert (await shop.orders.wait(BUYER, placed.id, 10)).state is State.ACTIVE
        await shop.orders.release(BUYER, other, None)
        assert (await shop.orders.wait(BUYER, other, 10)).state is State.RELEASED

    run(scenario)


def test_hints_without_end_are_taken_at_a_pace() -> None:
    """Each is looked up, so an operator that sends them as fast as it can would keep the broker from everybody else."""

    async def scenario(shop: Shop) -> None:
        peer, taken = next(iter(shop.peers.values())), 0

        async def watch_leases():  # type: ignore[no-untyped-def]
            nonlocal taken
            while taken < 5_000:
                taken += 1
                yield LeaseHint(operator=peer.entity, product="unknown", state=State.UP, at_ms=0)
            await asyncio.Event().wait()

        peer.watch_leases = watch_leases  # type: ignore[method-assign]
        listening = asyncio.create_task(listen_for_hints(peer, shop.orders))
        await asyncio.sleep(10)
        listening.cancel()
        assert 1_000 < taken < 2_500

    run(scenario)

"""The journal took an entry and its answer was lost: the buyer does not know, and the order goes on from it at once."""

from __future__ import annotations

import asyncio

import pytest

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.ownership import Alone
from federation.broker.orders.saga.state import OrderState
from schemas.lease import State
from schemas.problem import Outcome, Problem
from tests.support.order_shop import Shop, claim, run
from tests.support.seams import CountingEntropy
from tests.support.world.run import BUYER, KEY, RATES


def test_a_wish_that_may_have_been_journaled_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(shop: Shop) -> None:
        order_id, save = await shop.active(), shop.store.save

        async def lost(*entry: object) -> None:
            monkeypatch.undo()
            await save(*entry)  # type: ignore[arg-type]
            raise Problem("UNAVAILABLE", "the answer was lost", outcome=Outcome.UNKNOWN)

        monkeypatch.setattr(shop.store, "save", lost)
        with pytest.raises(Problem) as caught:
            await shop.orders.release(BUYER, order_id, claim("r"))
        assert caught.value.outcome is Outcome.UNKNOWN
        assert await shop.store.claim(claim("r"), 0) == order_id
        assert (await shop.orders.wait(BUYER, order_id, 10)).state is State.RELEASED

    run(scenario)


class Telling(Alone):
    """What the other replicas are told."""

    shared = True

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def tell(self, state: OrderState) -> None:
        self.told.append((state.terms.id, state.version))


def test_whoever_carries_the_order_is_told_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(shop: Shop) -> None:
        order_id, save, telling = await shop.active(), shop.store.save, Telling()
        beside = Coordinator(
            key=KEY, peers=shop.peers, store=shop.store, quotes=shop.store, rates=RATES, clock=shop.world.clock,
            entropy=CountingEntropy("b"), tasks=shop.orders._tasks, ownership=telling,
        )  # fmt: skip

        async def lost(*entry: object) -> None:
            await save(*entry)  # type: ignore[arg-type]
            raise Problem("UNAVAILABLE", "the answer was lost", outcome=Outcome.UNKNOWN)

        with monkeypatch.context() as patch:
            patch.setattr(shop.store, "save", lost)
            with pytest.raises(Problem):
                await beside.release(BUYER, order_id, claim("r"))
        assert telling.told == [(order_id, shop.store.state(order_id).version)]
        shop.orders.heard(*telling.told[0])
        await asyncio.sleep(1)
        assert (await shop.orders.wait(BUYER, order_id, 10)).state is State.RELEASED

    run(scenario)

"""The journal took an entry and its answer was lost: the buyer does not know, and the order goes on from it at once."""

from __future__ import annotations

import pytest

from schemas.lease import State
from schemas.problem import Outcome, Problem
from tests.support.order_shop import Shop, claim, run
from tests.support.world.run import BUYER


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

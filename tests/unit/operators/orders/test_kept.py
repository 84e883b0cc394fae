"""What a lease costs at an operator has nothing to do with how many others are in force."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from itertools import count
from typing import Any

import msgspec

from federation.sonata.asking import Ordered, order_body, quote_body
from federation.sonata.asks import order_ask, quote_ask
from federation.sonata.protocols import Caller
from operators.config import Holds
from schemas.lease import State
from schemas.order import Confirm, Order
from schemas.quote import Action, Rfq
from schemas.segment import End, Id, Segment, window
from schemas.sonata.segment import OFFERING
from tests.support.footprints import ENTITY, footprint, link, uni
from tests.support.operator_shop import ShopWorld
from tests.support.seams import NOW
from tests.unit.operators.orders.test_approving import BROKER, PROFILE

KEPT = 80
CALLER = Caller(BROKER)
ROOT_H = "R" * 43


class Buyer:
    """Buys leases over the same two interfaces, each with a label and an end of its own."""

    def __init__(self, world: ShopWorld) -> None:
        self._world, self._labels = world, count(2)

    async def lease(self) -> Id:
        """A lease in force, released again by `release`: its product."""
        gate, desk, label = self._world.gate, self._world.desk, next(self._labels)
        a, z, frame = End("uni-w", label), End("uni-e", label), window(NOW, NOW + 3_600 + label)
        rfq = Rfq(**self._party(), segment=Segment(a=a, z=z, bandwidth_bps=10**6, window=frame))
        body = msgspec.json.encode(quote_body(gate.token(rfq), rfq, PROFILE, None))
        quote = await self._world.store.quote((await desk.quote(CALLER, quote_ask(body, None))).id)
        assert quote is not None
        order = Order(**self._party(), action=Action.ADD, quote_h=quote.hash, path_root=ROOT_H)
        product = await self._order(order, Ordered(quote_id=quote.id, segment=quote.segment))
        lease = self._world.shop.leases[product]
        named = {"order_h": lease.order_h or "", "prev_h": lease.receipt_h or "", "path_root": ROOT_H}
        confirm = Confirm(**self._party(), **named, product=product)
        await desk.confirm(BROKER, gate.token(confirm))
        assert self._world.shop.leases[product].state is State.ACTIVE
        return product

    async def release(self, product: Id) -> None:
        await self._order(Order(**self._party(), action=Action.RELEASE, product=product), None)
        assert product not in self._world.shop.leases

    async def _order(self, order: Order, ordered: Ordered | None) -> Id:
        body = order_body(self._world.gate.token(order), order, PROFILE, ordered, None)
        placed = await self._world.desk.order(CALLER, order_ask(msgspec.json.encode(body), OFFERING))
        return placed.product or ""

    def _party(self) -> dict[str, Any]:
        jti = self._world.entropy.token()
        return {"iss": BROKER, "sub": "b", "aud": ENTITY, "iat": NOW, "exp": NOW + 60, "jti": jti}


async def calls_of(work: Coroutine[Any, Any, Any]) -> int:
    """How many calls of Python functions it takes."""
    calls = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(note)
    try:
        await work
    finally:
        sys.setprofile(None)
    return calls


async def lease_and_release(buyer: Buyer) -> None:
    await buyer.release(await buyer.lease())


def test_a_lease_costs_the_same_whatever_is_in_force() -> None:
    async def main() -> tuple[int, int]:
        net = footprint(["w", "e"], [link("w", "e")], [uni("w"), uni("e")])
        world = ShopWorld(net, Holds(quotes_free=1_000, quotes_free_per_broker=1_000))
        await world.start()
        buyer = Buyer(world)
        await lease_and_release(buyer)  # what is done once only
        empty = await calls_of(lease_and_release(buyer))
        for _ in range(KEPT):
            await buyer.lease()
        return empty, await calls_of(lease_and_release(buyer))

    empty, kept = asyncio.run(main())
    assert kept <= empty * 1.02, f"{kept} calls with {KEPT} leases in force, {empty} with none"

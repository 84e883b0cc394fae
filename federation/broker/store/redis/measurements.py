"""What buyers measured: `MeasurementStore` over Redis. `measured:ORDER` ranks them in the order they came."""

from __future__ import annotations

from typing import Final

import msgspec

from federation.broker.measuring import KEPT_MAX
from federation.broker.quotes.protocols import Claim
from federation.broker.store.redis.claims import bind
from federation.broker.store.redis.keys import Keyspace, Transaction, counter, named
from schemas.answer import MeasurementView
from schemas.problem import Outcome, Problem

_DECODER: Final = msgspec.json.Decoder(MeasurementView)


class MeasurementKeys:
    """Implements `MeasurementStore`."""

    _space: Keyspace

    async def put_measurement(self, view: MeasurementView, claim: Claim) -> None:
        """See `MeasurementStore.put_measurement`."""
        name = named("measured", view.order)

        async def work(transaction: Transaction) -> None:
            (kept,) = await transaction.get(counter(name))
            if int(kept or 0) >= KEPT_MAX:
                why = f"{KEPT_MAX} measurements of one order are kept, and no more"
                raise Problem("TOO_MANY_REQUESTS", why, outcome=Outcome.NONE)
            transaction.append(name, msgspec.json.encode(view).decode())
            await bind(transaction, claim, view.id, int(view.at.timestamp()))

        await self._space.transact(work)

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        """See `MeasurementStore.measurements`."""
        found = [_DECODER.decode(body) for body in await self._space.keys.ranked(named("measured", order_id))]
        return tuple(sorted(found, key=lambda view: (view.at, view.id)))

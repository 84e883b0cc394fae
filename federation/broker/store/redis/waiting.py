"""Quotes that are not answered yet: `WaitingStore` over Redis. `waiting:ID` is one; `waiting` ranks those
that are open, `waited` those that are over, by the second that was."""

from __future__ import annotations

from typing import Final

import msgspec

from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.waiting import Waiting
from federation.broker.store.redis.claims import bind
from federation.broker.store.redis.keys import Keyspace, Transaction, named

OPEN, OVER = "waiting", "waited"
_DECODER: Final = msgspec.json.Decoder(Waiting)


class WaitingKeys:
    """Implements `WaitingStore`."""

    _space: Keyspace

    async def put_waiting(self, waiting: Waiting, claim: Claim | None = None) -> bool:
        """See `WaitingStore.put_waiting`."""

        async def work(transaction: Transaction) -> bool:
            (body,) = await transaction.get(_name(waiting.id))
            if (_DECODER.decode(body).version if body else 0) != waiting.version - 1:
                return False
            transaction.put(_name(waiting.id), msgspec.json.encode(waiting).decode())
            if waiting.open:
                transaction.rank(OPEN, waiting.id, waiting.asked_at)
            else:
                transaction.drop(OPEN, waiting.id)
                transaction.rank(OVER, waiting.id, waiting.beat_s)
            if claim is not None:
                await bind(transaction, claim, waiting.id, waiting.beat_s)
            return True

        return await self._space.transact(work)

    async def get_waiting(self, buyer: str, quote_id: str) -> Waiting | None:
        """See `WaitingStore.get_waiting`."""
        (body,) = await self._space.keys.get([_name(quote_id)])
        found = None if body is None else _DECODER.decode(body)
        return found if found is not None and found.buyer == buyer else None

    async def open_waiting(self) -> tuple[Waiting, ...]:
        """See `WaitingStore.open_waiting`."""
        names = sorted(await self._space.keys.ranked(OPEN))
        bodies = await self._space.all([_name(one) for one in names])
        found = [_DECODER.decode(body) for body in bodies if body is not None]
        return tuple(one for one in found if one.open)

    async def prune_waiting(self, before_s: int) -> None:
        """See `WaitingStore.prune_waiting`."""
        old = await self._space.keys.between(OVER, 0, before_s - 1)

        async def work(transaction: Transaction) -> None:
            for name in old:
                transaction.forget(_name(name))
                transaction.drop(OVER, name)

        if old:
            await self._space.transact(work)


def _name(quote_id: str) -> str:
    return named("waiting", quote_id)

"""Exactly once: the same signed document again has the first answer and no second effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from operators.access.gate import Named
from operators.orders.keeping import Seen
from operators.orders.shop import Shop
from schemas.problem import Problem
from schemas.segment import EntityId

T = TypeVar("T")


async def once(
    shop: Shop,
    broker: EntityId,
    named: Named,
    again: Callable[[str], Awaitable[T]],
    first: Callable[[], Awaitable[T]],
) -> T:
    """`first`, unless this document already had an effect: then `again`, with the row that answered it.

    `first` must write a `Seen` of the document in the transaction of its effect. Two at a time wait for each other.
    A document that had an effect is answered even after it has expired: it was verified then.
    """
    async with shop.locks.hold(f"doc:{broker} {named.jti}"):
        seen = await shop.store.seen(broker, named.jti)
        if seen is None:
            return await first()
        if seen.hash != named.hash:
            raise Problem("IDEMPOTENCY_CONFLICT", "another document of yours had the same jti", field="jti")
        return await again(seen.ref)


def seen(broker: EntityId, named: Named | None, ref: str) -> list[Seen]:
    """What to write down of a document that has an effect; nothing where there was none."""
    return [] if named is None else [Seen(broker, named.jti, named.hash, ref)]

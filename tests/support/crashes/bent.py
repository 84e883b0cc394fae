"""Daemons that break a rule on which recovering rests: the campaign has to find each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

WANTED = "PEERWAY_TEST_BENT"


def no_order_is_taken_up() -> None:
    """A broker that starts leaves unfinished orders as they are, also those that somebody asks about."""
    from federation.broker.orders.coordinator import Coordinator

    Coordinator.resume = lambda *_: None  # type: ignore[method-assign]


def operators_answer_before_it_is_on_disk() -> None:
    """What an operator decided is written a moment after it was answered."""
    from operators.store.sqlite import SqliteStore

    commit, late = SqliteStore.commit, set()

    async def committed(store: SqliteStore, batch: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(0.05)
            await commit(store, batch)

        late.add(asyncio.get_running_loop().create_task(later()))

    SqliteStore.commit = committed  # type: ignore[method-assign]


def keys_are_forgotten() -> None:
    """A broker binds no answer to the key that it was asked for with."""
    from federation.broker.store import orders

    orders.bind = lambda *_: None  # type: ignore[attr-defined]


BENT: dict[str, Callable[[], None]] = {
    rule.__name__: rule for rule in (no_order_is_taken_up, operators_answer_before_it_is_on_disk, keys_are_forgotten)
}

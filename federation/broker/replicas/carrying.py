"""Carries this replica's share of the orders: `Ownership` over a stream, and the loop that keeps it true.

A replica that stops being looked for is one that does not look: what it carried is taken over after `takeover_s`. A
replica takes over only after having been in touch with the server for that long itself: after an outage nobody could
look, and a server that came back does not know who did. Whoever was stopped and wakes up finds with its next write, or
its next look, that it carries less.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from federation.broker.orders.coordinator import Coordinator
from federation.broker.orders.protocols import OrderStore
from federation.broker.orders.saga.state import OrderState
from federation.broker.replicas.announcements import Announced, Announcements
from federation.broker.replicas.leases import Leadership, SharedTurns
from federation.broker.replicas.news import News
from schemas.lease import TERMINAL
from schemas.problem import Problem

LOOKS: Final = 5  # at what is ours, in the time after which it may be taken over
AT_ONCE: Final = 200  # orders taken over in one look, so that several replicas share what one left
REREAD_ROUNDS: Final = 30  # looks until every order was read again, whatever was heard of it
SWEEP_ROUNDS: Final = 30  # looks between two searches for orders that nobody announces
OFFICE: Final = "announcing"
ANY_VERSION: Final = sys.maxsize
log = logging.getLogger(__name__)


class Carrying:
    """Implements `Ownership` among replicas. `unfinished` tells the ids of orders that are not over."""

    shared = True

    def __init__(
        self,
        announcements: Announcements,
        news: News,
        store: OrderStore,
        *,
        unfinished: Callable[[], Awaitable[list[str]]],
        leadership: Leadership,
        turns: SharedTurns,
        takeover_s: float,
    ) -> None:
        self._unfinished = unfinished
        self._announcements, self._news, self._store = announcements, news, store
        self._leadership, self._turns, self._takeover_s = leadership, turns, takeover_s
        self._over: set[str] = set()
        self._mine: list[Announced] = []
        self._without: dict[str, float] = {}
        self._in_touch_since: float | None = None
        self._in_touch_with = ""
        self._rounds = 0

    # --- what the coordinator calls --------------------------------------------------------------------------

    async def own(self, buyer: str, order_id: str) -> None:
        """See `Ownership.own`."""
        await self._announcements.add(buyer, order_id)

    def over(self, order_id: str) -> None:
        """See `Ownership.over`."""
        self._over.add(order_id)

    def tell(self, state: OrderState) -> None:
        """See `Ownership.tell`."""
        self._news.tell(state)

    @property
    def settled(self) -> bool:
        """Whether this replica was in touch for long enough to call others silent."""
        now = asyncio.get_running_loop().time()
        return self._in_touch_since is not None and now - self._in_touch_since >= self._takeover_s

    # --- the loop --------------------------------------------------------------------------------------------

    async def run(self, coordinator: Coordinator) -> None:
        """Until cancelled: keep what is ours, take over what is nobody's. Then others may have it at once."""
        try:
            while True:
                await self._tried(coordinator)
                await asyncio.sleep(self._takeover_s / LOOKS)
        finally:
            await self._hand_back()

    async def _tried(self, coordinator: Coordinator) -> None:
        try:
            await self._round(coordinator)
        except Problem as problem:
            self._in_touch_since = None
            log.debug("out of touch: %s", problem.detail)

    async def _hand_back(self) -> None:
        try:
            mine = await self._announcements.mine()  # others may have taken some since the last look
            await self._announcements.hand_back([one.entry for one in mine])
        except Problem as problem:
            log.debug("could not say good-bye: %s", problem.detail)

    async def _round(self, coordinator: Coordinator) -> None:
        now, over = asyncio.get_running_loop().time(), frozenset(self._over)
        self._mine = await self._announcements.mine()
        if self._in_touch_since is None or self._announcements.server != self._in_touch_with:
            self._in_touch_since, self._in_touch_with = now, self._announcements.server
        elif self.settled and await self._announcements.take_over(round(self._takeover_s * 1000), AT_ONCE):
            self._mine = await self._announcements.mine()
        await self._turns.keep()
        await self._leadership.keep()
        await self._announcements.drop([one.entry for one in self._mine if await self._is_over(one, coordinator)])
        self._over -= over  # what was not ours to drop is another's, or was never announced
        self._without = {
            one.order_id: self._without[one.order_id] for one in self._mine if one.order_id in self._without
        }
        self._look_again(coordinator)
        self._rounds += 1
        if self._rounds % SWEEP_ROUNDS == 0 and await self._leadership.lead(OFFICE):
            await self._put_right()

    async def _is_over(self, one: Announced, coordinator: Coordinator) -> bool:
        """Whether nobody has to carry it; where somebody has to, we do from now on. An order not written for long will
        hardly be, because whoever announced it is gone; if it is, it is found as one that is announced nowhere.
        """
        if one.order_id in self._over or not one.order_id:
            self._over.discard(one.order_id)
            return True
        if coordinator.carries(one.order_id):
            return False
        state = await self._store.get_order(one.buyer, one.order_id)
        if coordinator.carries(one.order_id):
            return False
        if state is None:
            now = asyncio.get_running_loop().time()
            return now - self._without.setdefault(one.order_id, now) > self._takeover_s
        self._without.pop(one.order_id, None)
        if state.state in TERMINAL:
            return True
        log.info("taking over order %s", one.order_id)
        coordinator.take(state)
        return False

    def _look_again(self, coordinator: Coordinator) -> None:
        """At what others may have taken, and in turn at everything else, since news may be lost."""
        mine = {one.order_id for one in self._mine}
        for place, order_id in enumerate(coordinator.carried):
            if order_id not in mine or place % REREAD_ROUNDS == self._rounds % REREAD_ROUNDS:
                coordinator.heard(order_id, ANY_VERSION)

    async def _put_right(self) -> None:
        """Announce what was lost with a server's last second, or written by a replica that had been given up. What is
        announced twice would go to and fro between two replicas."""
        await self._announcements.tidy()
        unfinished = await self._unfinished()  # before the stream: what is announced meanwhile is there then
        announced = await self._announcements.all()
        first = {one.order_id: one.entry for one in reversed(announced)}
        await self._announcements.drop([one.entry for one in announced if first[one.order_id] != one.entry])
        lost = frozenset(unfinished) - first.keys()
        for state in await self._store.unfinished() if lost else ():
            if state.terms.id in lost:
                log.warning("order %s was announced nowhere", state.terms.id)
                await self._announcements.add(state.terms.buyer, state.terms.id)

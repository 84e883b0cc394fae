"""A path for the length of an `async with` block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Final, Protocol, Self

from schemas.answer import OrderView, QuotePending, QuoteView, ResizeView
from schemas.intent import Intent
from schemas.lease import BILLABLE, TERMINAL
from schemas.order import CONFIRM_WITHIN_S
from schemas.problem import Outcome, Problem, invalid
from schemas.quote import CONFIRM_WITHIN_S_MAX
from schemas.request import Extension, Resize, Way
from schemas.segment import moment

POLL_S: Final = 20  # the longest that one request waits; the broker answers as soon as nothing is on its way
POLLS_MAX: Final = 6
SPARE_POLLS: Final = 3  # for the broker's own word once the time is up
BEATS: Final = 3  # in a period of silence after which the broker would release a lease
log = logging.getLogger(__name__)


class Buyer(Protocol):
    """What a lease needs of a client; keys are made where none is given."""

    async def quote(self, intent: Intent) -> QuoteView:
        """A firm quote."""
        ...

    async def decline(self, quote_id: str) -> QuoteView | QuotePending:
        """A quote let go."""
        ...

    async def order(self, quote_id: str) -> OrderView:
        """An order."""
        ...

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        """The order as it stands."""
        ...

    async def extend(self, order_id: str, extension: Extension, key: str | None = None) -> OrderView:
        """A longer lease."""
        ...

    async def resize(self, order_id: str, asked: Resize, key: str | None = None) -> ResizeView:
        """Another bandwidth."""
        ...

    async def heartbeat(self, order_id: str) -> OrderView:
        """A sign of life."""
        ...

    async def release(self, order_id: str) -> OrderView:
        """The end of a lease."""
        ...


class Lease:
    """Quoted, ordered and ACTIVE when the block begins; released when it ends, whatever happened inside.

    `view` is the latest the broker said; after the block it holds the bill (where a new path took the place of another,
    that of the last; the order before has its own, and is named by `replaces`). Where the intent has `idle_release_s`,
    the broker is sent a heartbeat three times as often, so that it releases the lease should this process die.
    """

    def __init__(self, broker: Buyer, intent: Intent) -> None:
        if intent.start is not None:
            raise invalid("start", "a lease for the length of a block begins now; leave start out, or order it")
        self._broker, self._intent = broker, intent
        self._view: OrderView | None = None
        self._beating: asyncio.Task[None] | None = None

    @property
    def view(self) -> OrderView:
        """The order as last seen."""
        assert self._view, "use Lease with `async with`"
        return self._view

    async def __aenter__(self) -> Self:
        quote = await self._broker.quote(self._intent)
        try:
            self._view = await self._broker.order(quote.id)
            self._view = await active(self._broker, self._view, self._intent.up_within_s or CONFIRM_WITHIN_S)
        except BaseException:
            await (self._release() if self._view else _finished(_let_go(self._broker, quote.id)))
            raise
        if self._intent.idle_release_s is not None:
            pause_s = self._intent.idle_release_s / BEATS
            self._beating = asyncio.create_task(self._beat(pause_s), name=f"heartbeats of {self.view.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
        await self._release()

    async def _beat(self, pause_s: float) -> None:
        """Until the lease is over, or the block. What is heard while the lease is changed is older than the change."""
        while self.view.state not in TERMINAL:
            await asyncio.sleep(pause_s)
            before = self.view
            try:
                heard = await beat(self._broker, before.id)
            except Problem as problem:
                log.warning("no heartbeat was heard for %s: %s", before.id, problem)
                continue
            if self._view is before:
                self._view = heard

    async def extend(self, by_s: int) -> OrderView:
        """Make it last `by_s` seconds longer. Raises `Problem` when it does not."""
        self._view = await extended(self._broker, self.view, Extension(by_s=by_s))
        return self._view

    async def resize(self, bandwidth_bps: int, way: Way | None = None) -> Way:
        """Give it another bandwidth, in place or over a new path, which `view` then shows.

        Raises `Problem` when it does not get it.
        """
        answer = await resized(self._broker, self.view.id, Resize(bandwidth_bps=bandwidth_bps, way=way))
        self._view = answer.order
        return answer.way

    async def _release(self) -> None:
        async def released_all() -> None:
            self._view = await _all_released(self._broker, self.view)

        await _finished(released_all())


async def active(broker: Buyer, order: OrderView, within_s: int = CONFIRM_WITHIN_S_MAX) -> OrderView:
    """Wait until an order is in force, which takes `within_s` at most where operators need so long.

    Raises `OPERATOR_REFUSED` when it failed, `UNAVAILABLE` when time is up.
    """
    for _ in range(within_s // POLL_S + SPARE_POLLS):
        if order.state in BILLABLE:
            return order
        if order.state in TERMINAL:
            detail = order.why or f"the order ended as {order.state}"
            raise Problem("OPERATOR_REFUSED", detail, outcome=Outcome.UNDONE, extra={"order": order.id})
        order = await broker.get_order(order.id, POLL_S)
    raise Problem(
        "UNAVAILABLE",
        f"the order is still {order.state}; ask again for order {order.id}",
        outcome=Outcome.PENDING,
        extra={"order": order.id},
    )


async def extended(broker: Buyer, order: OrderView, extension: Extension, key: str | None = None) -> OrderView:
    """Extend an order and wait until every operator agreed. Raises `OPERATOR_REFUSED` where it keeps its old end."""
    until = extension.end or moment(order.window.end_s + (extension.by_s or 0))
    order = await broker.extend(order.id, extension, key)
    for _ in range(POLLS_MAX):
        if order.window.end >= until:
            return order
        if order.state not in BILLABLE:
            break
        order = await broker.get_order(order.id, POLL_S)
    detail = order.why or f"the order is {order.state} and ends at {order.window.end:%Y-%m-%d %H:%M:%SZ}"
    raise Problem("OPERATOR_REFUSED", detail, outcome=Outcome.UNDONE, extra={"order": order.id})


async def resized(broker: Buyer, order_id: str, asked: Resize, key: str | None = None) -> ResizeView:
    """Give a lease another bandwidth and wait until it is in force; the answer's order is the one to use from then on.

    Where operators that held it in place do not confirm it after all, it is tried over a new path, if that may be.
    Raises `OPERATOR_REFUSED` where the lease stays as it was.
    """
    answer = await broker.resize(order_id, asked, key)
    if answer.way is Way.NEW_PATH:
        return ResizeView(way=answer.way, order=await active(broker, answer.order))
    order = answer.order
    for _ in range(POLLS_MAX):
        if order.bandwidth_bps == asked.bandwidth_bps:
            return ResizeView(way=answer.way, order=order)
        if order.state not in BILLABLE:
            break
        order = await broker.get_order(order.id, POLL_S)
    if asked.way is None and order.state in BILLABLE:
        return await resized(broker, order_id, Resize(bandwidth_bps=asked.bandwidth_bps, way=Way.NEW_PATH))
    detail = order.why or f"the order is {order.state} and has {order.bandwidth_bps} bit/s"
    raise Problem("OPERATOR_REFUSED", detail, outcome=Outcome.UNDONE, extra={"order": order.id})


async def beat(broker: Buyer, order_id: str) -> OrderView:
    """One heartbeat; where another order has taken the place of this one meanwhile, for that one. Raises `Problem`."""
    order = await broker.heartbeat(order_id)
    while order.state in TERMINAL and order.replaced_by is not None:
        order = await broker.heartbeat(order.replaced_by)
    return order


async def beaten(broker: Buyer, order_id: str) -> OrderView:
    """Send heartbeats until the lease is over, over whatever path it goes; once, where it needs none. Raises
    `Problem`."""
    order = await beat(broker, order_id)
    while order.state not in TERMINAL and order.idle_release_s is not None:
        await asyncio.sleep(order.idle_release_s / BEATS)
        order = await beat(broker, order.id)
    return order


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """A lease costs money: what ends it goes on when the block was cancelled, and is waited for."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _let_go(broker: Buyer, quote_id: str) -> None:
    """Leave nothing of a quote that may have been ordered: the answer was lost, or the block left before it came."""
    try:
        await broker.decline(quote_id)
    except Problem as problem:
        ordered = problem.extra.get("order")
        if not isinstance(ordered, str):
            log.warning("quote %s was not let go, and may have been ordered: %s", quote_id, problem)
            return
        await _all_released(broker, await broker.get_order(ordered, 0))


async def _all_released(broker: Buyer, order: OrderView) -> OrderView:
    """Release an order, and whatever has taken its place while nobody waited for that: the block may have been left in
    the middle of a change."""
    ended = await released(broker, order)
    while ended.replaced_by is not None:
        ended = await released(broker, await broker.get_order(ended.replaced_by, 0))
    return ended


async def released(broker: Buyer, order: OrderView) -> OrderView:
    """Release an order and wait until nothing of it is left; the answer holds the bill."""
    order = await broker.release(order.id)
    for _ in range(POLLS_MAX):
        if order.state in TERMINAL:
            return order
        order = await broker.get_order(order.id, POLL_S)
    return order

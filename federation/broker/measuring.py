"""What buyers measure of their leases, held against what was promised and against the speed of light.

A latency below what light needs between the two ends shows that one of them is not where it is said to be. One that
fits shows nothing: so a measurement is answered with what it contradicts, and never counts as proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from federation.broker.authority.power import Buyer
from federation.broker.market.sites import Standpoint, contradicts, floor_us
from federation.broker.market.words import milliseconds
from federation.broker.orders.protocols import OrderStore
from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import Claim, QuoteStore
from federation.node.seams import Clock, Entropy
from schemas.answer import MeasurementView
from schemas.lease import BILLABLE
from schemas.problem import Outcome, Problem, not_found
from schemas.request import Measurement
from schemas.segment import moment

KEPT_MAX: Final = 1_000  # of one order
Where = Callable[[str, str], Standpoint | None]  # of an operator's interface


class MeasurementStore(Protocol):
    """Measurements by order, the first first."""

    async def put_measurement(self, view: MeasurementView, claim: Claim) -> None:
        """Keep one and bind its id to the claim. Raises TOO_MANY_REQUESTS where an order has `KEPT_MAX` already."""
        ...

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        """All of an order."""
        ...


class Measuring:
    """Takes measurements of ACTIVE leases and answers with what they contradict."""

    def __init__(
        self,
        orders: OrderStore,
        quotes: QuoteStore,
        store: MeasurementStore,
        where: Where,
        *,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._orders, self._quotes, self._store = orders, quotes, store
        self._where, self._clock, self._entropy = where, clock, entropy

    async def report(self, buyer: Buyer, order_id: str, measured: Measurement, claim: Claim) -> MeasurementView:
        """Keep a measurement. Raises NOT_FOUND, INCOMPATIBLE_STATE where the lease is not in force."""
        state = await self._order(buyer, order_id)
        if state.state not in BILLABLE:
            why = f"the order is {state.state}; what is not in force cannot be measured"
            raise Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.NONE)
        quote = await self._quotes.get_quote(buyer.name, state.terms.quote)
        assert quote is not None, "an order has a quote"
        promised = quote.claims.promise.latency_us
        ends = self._ends(state)
        view = MeasurementView(
            id=self._entropy.token(),
            order=order_id,
            at=moment(self._clock.now()),
            latency_us=measured.latency_us,
            promised_us=promised,
            floor_us=floor_us(ends[0].place, ends[1].place) if ends else None,
            contradicts=tuple(_contradicted(measured.latency_us, promised, ends)),
        )
        await self._store.put_measurement(view, claim)
        return view

    async def all(self, buyer: Buyer, order_id: str) -> tuple[MeasurementView, ...]:
        """The measurements of an order. Raises NOT_FOUND."""
        await self._order(buyer, order_id)
        return await self._store.measurements(order_id)

    async def again(self, buyer: Buyer, order_id: str, measurement_id: str) -> MeasurementView:
        """The one with an id. Raises NOT_FOUND."""
        for view in await self.all(buyer, order_id):
            if view.id == measurement_id:
                return view
        raise not_found(f"measurement {measurement_id}")

    async def _order(self, buyer: Buyer, order_id: str) -> OrderState:
        state = await self._orders.get_order(buyer.name, order_id)
        if state is None or not state.terms.of_agent(buyer.agent):
            raise not_found(f"order {order_id}")
        return state

    def _ends(self, state: OrderState) -> tuple[Standpoint, Standpoint] | None:
        first, last = state.terms.parts[0], state.terms.parts[-1]
        a, z = self._where(first.operator, first.a.interface), self._where(last.operator, last.z.interface)
        return None if a is None or z is None else (a, z)


def _contradicted(measured_us: int, promised_us: int, ends: tuple[Standpoint, Standpoint] | None) -> Iterator[str]:
    if measured_us > promised_us:
        yield f"the promise: {milliseconds(promised_us)} one way, and {milliseconds(measured_us)} were measured"
    if ends is not None and contradicts(measured_us, ends[0].place, ends[1].place):
        needed = milliseconds(floor_us(ends[0].place, ends[1].place))
        where = f"light needs {needed} between {ends[0]} and {ends[1]}"
        yield f"the places: {where}, so one of them is elsewhere, or this was not measured"

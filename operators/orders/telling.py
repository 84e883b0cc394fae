"""Who is told of what: the hubs that brokers registered, and the events that follow from a decision.

Events are written with the decision that they tell of, and posted by `federation.sonata.delivery`. They are hints:
whoever got none finds the same by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from federation.sonata.hub import listener
from federation.sonata.protocols import HubAsk, HubRecord
from federation.trust.jose import sha256_b64
from operators.orders.fsm import Lease
from operators.orders.keeping import Batch, HubRow, Told
from operators.orders.records import order_state, quote_state
from schemas.problem import Problem, not_found
from schemas.segment import EntityId, Id, moment
from schemas.sonata import hub as sonata

HUBS_MAX: Final = 16  # of one broker
Hubs = Mapping[EntityId, Mapping[Id, HubRow]]


class Telling:
    """The hubs by broker. `news` is called when there is something to be posted."""

    def __init__(self) -> None:
        self._hubs: dict[EntityId, dict[Id, HubRow]] = {}
        self.news: Callable[[], None] = lambda: None

    def remember(self, hubs: Iterable[HubRow]) -> None:
        """Hubs that are in the store."""
        for hub in hubs:
            self._hubs.setdefault(hub.broker, {})[hub.id] = hub

    def find(self, broker: EntityId, api: str, hub_id: Id) -> HubRow:
        """A broker's own hub. Raises `NOT_FOUND`."""
        found = self._hubs.get(broker, {}).get(hub_id)
        if found is None or found.api != api:
            raise not_found("this hub")
        return found

    def find_all(self, broker: EntityId) -> tuple[HubRow, ...]:
        """A broker's hubs."""
        return tuple(self._hubs.get(broker, {}).values())

    def same(self, broker: EntityId, ask: HubAsk) -> HubRow | None:
        """The hub that a broker has registered in the same words before."""
        mine = self._hubs.get(broker, {}).values()
        return next(
            (hub for hub in mine if (hub.api, hub.callback, hub.types) == (ask.api, ask.callback, ask.types)), None
        )

    def check_room(self, broker: EntityId) -> None:
        """Raises `TOO_MANY_REQUESTS` where a broker has as many hubs as it may."""
        if len(self._hubs.get(broker, {})) >= HUBS_MAX:
            raise Problem("TOO_MANY_REQUESTS", f"{HUBS_MAX} hubs are yours already; remove one first")

    def told(self, batch: Batch, leases: Mapping[Id, Lease]) -> list[Told]:
        """What is to be told of a decision, before it is written. `leases` are those before it."""
        if not self._hubs:
            return []
        return [
            one for broker, event, at in _events(batch, leases, self._hubs) for one in self._told(broker, event, at)
        ]

    def heard(self, batch: Batch) -> None:
        """After it is written: hubs come and go, and there may be something to post."""
        self.remember(batch.hubs)
        for hub_id in batch.unhubbed:
            for hubs in self._hubs.values():
                hubs.pop(hub_id, None)
        if batch.told:
            self.news()

    def _told(self, broker: EntityId, event: sonata.Event, at: int) -> Iterator[Told]:
        for hub in self._hubs.get(broker, {}).values():
            if event.event_type in hub.types:
                yield Told(hub.id, listener(record(hub), event), msgspec.json.encode(event), at)


def record(hub: HubRow) -> HubRecord:
    """A hub as Sonata shows it."""
    return HubRecord(id=hub.id, api=hub.api, callback=hub.callback, query=hub.query, types=hub.types)


def _events(batch: Batch, leases: Mapping[Id, Lease], hubs: Hubs) -> Iterator[tuple[EntityId, sonata.Event, int]]:
    """Changes of state, with whom they concern and when they happened; of brokers that want to be told of any."""
    kind = sonata.EventType
    for quote in batch.quotes:
        if hubs.get(quote.broker) and quote.firm:
            at = quote.history[-1].at
            yield quote.broker, _event(kind.QUOTE, quote.id, quote_state(quote), at), at
    for lease in batch.leases:
        before = leases.get(lease.id)
        if hubs.get(lease.broker) and (before is None or order_state(before) is not order_state(lease)):
            at = lease.history[-1].at
            yield lease.broker, _event(kind.ORDER, lease.order_id, order_state(lease), at), at
    for order in batch.orders:
        if hubs.get(order.broker) and order.outcome is not None and order.ended_at is not None:
            yield order.broker, _event(kind.ORDER, order.id, order.outcome, order.ended_at), order.ended_at


def _event(kind: sonata.EventType, name: Id, state: str, at: int) -> sonata.Event:
    """Its id follows from what it tells, so that whoever gets it twice can know."""
    event_id = sha256_b64(f"{kind}/{name}/{state}/{at}".encode())[:22]
    return sonata.Event(
        event_id=event_id, event_time=moment(at), event_type=kind, event=sonata.Told(id=name, state=state)
    )

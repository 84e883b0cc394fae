"""Interfaces and offers as published, with the capacity and labels that are free now."""

from __future__ import annotations

from typing import Final, NamedTuple

from operators.catalog.layout import Layout, Stretch
from operators.catalog.steps import Steps, least, near, published
from operators.inventory.footprint import Uni
from operators.inventory.ledger import Inventory
from operators.pricing.network import Network
from schemas import labels
from schemas.interface import Interface, InterfaceKind, Peer
from schemas.offer import Item, Offer
from schemas.segment import Id

DAY_S = 86_400
HOUR_S = 3_600
SLIGHT_SHARE: Final = 64
Key = tuple[str, Id]


class Span(NamedTuple):
    """The stretch of time that is published: capacity free at `now_s` holds from `from_s`, nothing after `to_s`.

    `from_s` lies an hour or two back, so that a broker whose clock is a little behind finds its "now" covered.
    """

    now_s: int
    from_s: int
    to_s: int


def span(now_s: int, horizon_days: int) -> Span:
    """Up to the end of a day, so that the horizon moves once a day and not with every delta."""
    return Span(now_s, now_s - now_s % HOUR_S - HOUR_S, now_s - now_s % DAY_S + horizon_days * DAY_S)


class Seen(NamedTuple):
    """What is free on a link or an interface: bit/s over time, rounded down, and a mask of labels."""

    free: Steps
    labels: int


class Renderer:
    """Items of one layout over one inventory; what is free on a resource is read once per renderer."""

    def __init__(self, network: Network, inventory: Inventory, during: Span, granularity_bps: int) -> None:
        self._network, self._inventory, self._span = network, inventory, during
        self._granularity_bps = granularity_bps
        self._seen: dict[Id, Seen] = {}

    def offer(self, stretch: Stretch) -> Offer:
        """A stretch with what is free on it."""
        free = least([self.seen(resource).free for resource in dict.fromkeys(stretch.resources)])
        return Offer(
            id=stretch.id,
            a=stretch.a,
            z=stretch.z,
            route_class=stretch.route_class,
            hourly_micro=stretch.rates.hourly_micro,
            gbps_hourly_micro=stretch.rates.gbps_hourly_micro,
            promise=stretch.promise,
            free=self._published(free),
        )

    def interface(self, name: Id) -> Interface:
        """An interface with its free capacity, and the labels free until the horizon."""
        found = self._network.interfaces[name]
        pop, seen = self._network.pops[found.pop], self.seen(name)
        uni = isinstance(found, Uni)
        return Interface(
            id=found.id,
            kind=InterfaceKind.UNI if uni else InterfaceKind.ENNI,
            name=found.name if isinstance(found, Uni) else f"{pop.name} to {found.peer_entity}",
            city=pop.name,
            country=pop.country,
            lat_udeg=round(pop.lat * 1_000_000),
            lon_udeg=round(pop.lon * 1_000_000),
            speed_bps=found.speed_bps,
            mtu=found.mtu,
            labels=labels.ranges(seen.labels),
            swap=found.swap,
            owner=found.owner if isinstance(found, Uni) else None,
            peer=None if isinstance(found, Uni) else Peer(found.peer_entity, found.peer_interface),
            latency_us=0 if isinstance(found, Uni) else found.latency_us,
            free=self._published(seen.free),
            capabilities=found.capabilities if isinstance(found, Uni) else (),
        )

    def seen(self, resource: Id) -> Seen:
        """What is free on a link or an interface now."""
        if resource not in self._seen:
            now_s, to_s = self._span.now_s, self._span.to_s
            free = self._inventory.free_steps(resource, now_s, to_s, self._granularity_bps)
            with_labels = resource in self._network.interfaces
            mask = self._inventory.free_labels(resource, now_s, to_s) if with_labels else 0
            self._seen[resource] = Seen(free, mask)
        return self._seen[resource]

    def _published(self, steps: Steps) -> Steps:
        return published(steps, self._span.from_s, self._span.to_s)


def everything(network: Network, layout: Layout, renderer: Renderer) -> dict[Key, Item]:
    """Every item of a sheet by kind and id: terms and nodes first, then interfaces, then offers."""
    found: list[Item] = [*layout.terms, *layout.nodes]
    found += [renderer.interface(name) for name in sorted(network.interfaces)]
    found += [renderer.offer(stretch) for stretch in layout.stretches.values()]
    return {key(item): item for item in found}


def touched(layout: Layout, renderer: Renderer, network: Network, resources: set[Id]) -> dict[Key, Item]:
    """The items that show what is free on some links and interfaces."""
    stretches = {name for resource in resources for name in layout.by_resource.get(resource, ())}
    found: list[Item] = [renderer.interface(name) for name in sorted(resources & network.interfaces.keys())]
    found += [renderer.offer(layout.stretches[name]) for name in sorted(stretches)]
    return {key(item): item for item in found}


def slight(was: Seen, now: Seen) -> bool:
    """Whether a buyer who still sees a resource as it was is hardly ever wrong: free capacity and free labels differ by
    at most one part in `SLIGHT_SHARE`. What is gone altogether, or there again, is never slight.
    """
    moved = (was.labels ^ now.labels).bit_count()
    return moved * SLIGHT_SHARE <= was.labels.bit_count() and near(was.free, now.free, SLIGHT_SHARE)


def key(item: Item) -> Key:
    """Kind and id, by which a delta replaces."""
    return item.__struct_config__.tag, item.id  # type: ignore[return-value]  # every Item has a text tag; msgspec types it wider

"""Prices, capacity and labels that change while an operator's network stays: the same network, with other figures.

Prices change every second, and labels with every hold; places and promises hardly ever. A sheet that differs from the
one before in figures only makes a network that shares all but the arcs of these offers and the interfaces that they
are of, so that nothing is joined or numbered anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import compress
from operator import attrgetter, is_, is_not
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from federation.broker.paths.network import Arc, Network, label_mask
from schemas.offer import Offer

if TYPE_CHECKING:
    from federation.broker.discovery.sheet import OperatorSheet


class Renewal(NamedTuple):
    """A network after its sheet changed in figures only, and the places of the arcs and interfaces that differ."""

    network: Network
    arcs: tuple[int, ...]
    sides: tuple[int, ...]


def renewed(network: Network, sheet: OperatorSheet) -> Renewal | None:
    """The network of another sheet of the same operator; None where more than prices, capacity and labels differ."""
    before = network.sheet
    same = before.currency == sheet.currency and before.nodes == sheet.nodes and before.entity == sheet.entity
    if not same or before.classes != sheet.classes:
        return None
    made = Network.__new__(Network)
    for slot in Network.__slots__:
        setattr(made, slot, getattr(network, slot))
    made.sheet = sheet
    arcs, sides = _arcs(made, before), _sides(made, before)
    return None if arcs is None or sides is None else Renewal(made, arcs, sides)


def _arcs(made: Network, before: OperatorSheet) -> tuple[int, ...] | None:
    """Give a network the arcs of its sheet; the places of those that differ."""
    names = changed(before.offers, made.sheet.offers)
    if names is None:
        return None
    arcs, places = list(made.arcs), list[int]()
    for name in names:
        was, now = before.offers[name], made.sheet.offers[name]
        if not _alike(was, now):
            return None
        place = bisect_left(made.arcs, name, key=attrgetter("offer"))
        if place < len(arcs) and arcs[place].offer == name:
            arcs[place] = _figured(arcs[place], now)
            places.append(place)
    made.arcs = tuple(arcs)
    return tuple(places)


def _sides(made: Network, before: OperatorSheet) -> tuple[int, ...] | None:
    """Give a network the interfaces of its sheet; the places of those that differ."""
    names = changed(before.interfaces, made.sheet.interfaces)
    if names is None:
        return None
    interfaces, labels, places = list(made.interfaces), list(made.labels), list[int]()
    for name in names:
        was, now = before.interfaces[name], made.sheet.interfaces[name]
        if structs.replace(was, labels=now.labels, free=now.free) != now:
            return None
        place = made.index[name]
        interfaces[place], labels[place] = now, label_mask(now.labels)
        places.append(place)
    made.interfaces, made.labels = tuple(interfaces), tuple(labels)
    return tuple(places)


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...] | None:
    """The ids of the items that are not the very same object; None where others, or in another order, are published.

    A delta that only puts items which were there leaves the order as it was.
    """
    if len(before) != len(after) or not all(map(is_, before, after)):
        return None
    return tuple(compress(after, map(is_not, before.values(), after.values())))


def no_more(now: tuple[tuple[int, int], ...], then: tuple[tuple[int, int], ...]) -> bool:
    """Whether at no time more is free than before."""
    return all(_at(now, second) <= _at(then, second) for second, _ in (*now, *then))


def _at(steps: tuple[tuple[int, int], ...], second: int) -> int:
    free = 0
    for begins, bps in steps:
        if begins > second:
            break
        free = bps
    return free


def _alike(was: Offer, now: Offer) -> bool:
    """Whether an offer leads from and to where it did, and promises the same."""
    return (was.a, was.z, was.route_class, was.promise) == (now.a, now.z, now.route_class, now.promise)


def _figured(arc: Arc, offer: Offer) -> Arc:
    return arc._replace(hourly_micro=offer.hourly_micro, gbps_hourly_micro=offer.gbps_hourly_micro, free=offer.free)

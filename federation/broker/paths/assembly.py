"""From the last label of a path to a route: every figure is computed again from the offers, by the agreed rules."""

from __future__ import annotations

from typing import NamedTuple

from federation.broker.paths.labels import CARBON, LATENCY, Label
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route, RouteSegment
from federation.broker.paths.solver import steps
from federation.broker.paths.usable import Stretch, Usable
from schemas.price import Money, charge, total
from schemas.segment import Promise


class Leg(NamedTuple):
    """A segment as the search knows it: vertices where it enters and leaves, and what it runs over."""

    entry: int
    exit: int
    stretches: tuple[Stretch, ...]


def legs(label: Label) -> tuple[Leg, ...]:
    """The segments of a whole path, in order."""
    found: list[Leg] = []
    for step in reversed([step for step in steps(label) if not step.goal]):
        if step.stretch is None:
            found.append(Leg(step.vertex, step.vertex, ()))
        else:
            last = found[-1]
            found[-1] = Leg(last.entry, step.vertex, (*last.stretches, step.stretch))
    return tuple(found)


def sequence(label: Label) -> tuple[int, ...]:
    """What makes a path another one: its source, then the interface at which it leaves each operator."""
    path = legs(label)
    return (path[0].entry, *(leg.exit for leg in path))


def route(usable: Usable, query: Query, label: Label) -> Route:
    """The route of a whole path. What the search counted and what the agreed rules say must be the same."""
    path = legs(label)
    segments = tuple(_billed(usable, query, leg) for leg in path)
    between = tuple(_latency_us(usable, leg.exit) for leg in path[:-1])
    promise = along(segments, between)
    keeps = tuple(not (usable.interface(leg.entry).swap and usable.interface(leg.exit).swap) for leg in path)
    assert sum(segment.total.micro for segment in segments) == label.past_micro, "a price differs from its bound"
    assert (promise.latency_us, promise.carbon_mg_gb) == (label.sums[LATENCY], label.sums[CARBON]), "a sum differs"
    return Route(
        segments=segments,
        labels=shared(_places(usable, path), keeps),
        keeps=keeps,
        interconnect_us=between,
        promise=promise,
        total_micro=label.past_micro,
    )


def along(segments: tuple[RouteSegment, ...], between_us: tuple[int, ...]) -> Promise:
    """The promise of segments in order, with the latency of each interconnect between them."""
    promise = segments[0].promise
    for latency_us, segment in zip(between_us, segments[1:], strict=True):
        promise = promise.then(Promise(latency_us=latency_us)).then(segment.promise)
    return promise


def shared(places: tuple[int, ...], keeps: tuple[bool, ...]) -> tuple[int, ...]:
    """Labels per place, narrowed to what every place that must have the same value has."""
    narrowed = list(places)
    for place, kept in enumerate(keeps):
        if kept:
            narrowed[place + 1] &= narrowed[place]
    for place in reversed(range(len(keeps))):
        if keeps[place]:
            narrowed[place] = narrowed[place + 1]
    return tuple(narrowed)


def _places(usable: Usable, path: tuple[Leg, ...]) -> tuple[int, ...]:
    between = (usable.beyond(leg.exit) for leg in path[:-1])
    middle = (beyond.labels for beyond in between if beyond is not None)
    return (usable.sources[path[0].entry], *middle, usable.targets[path[-1].exit])


def _latency_us(usable: Usable, exit_: int) -> int:
    beyond = usable.beyond(exit_)
    assert beyond is not None, "segments follow each other over interconnects"
    return beyond.latency_us


def _billed(usable: Usable, query: Query, leg: Leg) -> RouteSegment:
    """A segment; the paths of one question, and of the next one of this size, have many in common."""
    key = (leg.entry, leg.exit, *(id(stretch.arc) for stretch in leg.stretches))  # the graph keeps its arcs
    known: RouteSegment | None = usable.judged.segments.get(key)
    if known is None:
        known = usable.judged.segments[key] = _segment(usable, query, leg)
    return known


def _segment(usable: Usable, query: Query, leg: Leg) -> RouteSegment:
    network, meter = usable.network(leg.entry), leg.stretches[0].meter
    offers = [network.sheet.offers[stretch.arc.offer] for stretch in leg.stretches]
    promise = offers[0].promise
    for offer in offers[1:]:
        promise = promise.then(offer.promise)
    hourly, gbps = sum(o.hourly_micro for o in offers), sum(o.gbps_hourly_micro for o in offers)
    tariff = meter.terms.tariff(network.sheet.currency, hourly, gbps)
    lines = charge(tariff, query.bandwidth_bps, query.window.start_s, query.window.end_s, query.term_s)
    price = Money(tariff.currency, total(lines))
    return RouteSegment(
        operator=network.entity,
        route_class=meter.terms.id,
        a=usable.interface(leg.entry).id,
        z=usable.interface(leg.exit).id,
        offers=tuple(offer.id for offer in offers),
        promise=promise,
        tariff=tariff,
        price=price,
        total=query.rates.convert(price, query.currency),
    )

"""From the last label of a path to a route: every figure is computed again from the offers, by the agreed rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from federation.broker.paths.labels import CARBON, LATENCY, Behind, Label, Leg
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route, RouteSegment
from federation.broker.paths.solver import steps
from federation.broker.paths.usable import Beyond, Usable
from schemas.price import Money, charge, total
from schemas.segment import PPB, Promise


def legs(label: Label) -> tuple[Leg, ...]:
    """The segments of a whole path, in order."""
    found: list[Leg] = []
    here: Label | None = label
    while isinstance(here, Behind):
        found.append(here.leg)
        here = here.parent
    return tuple(reversed(found)) if found else tuple(_stepwise(label))


def _stepwise(label: Label) -> list[Leg]:
    """The segments of a path that is told step by step."""
    found: list[Leg] = []
    entry = 0
    for step in reversed([step for step in steps(label) if not step.goal]):
        if step.stretch is None:
            entry = step.vertex
        elif found and found[-1].entry == entry:
            found[-1] = Leg(entry, step.vertex, step.stretch.meter, (*found[-1].arcs, step.stretch.arc))
        else:
            found.append(Leg(entry, step.vertex, step.stretch.meter, (step.stretch.arc,)))
    return found


def sequence(label: Label) -> tuple[int, ...]:
    """What makes a path another one: its source, then the interface at which it leaves each operator."""
    path = legs(label)
    return (path[0].entry, *(leg.exit for leg in path))


def route(usable: Usable, query: Query, label: Label) -> Route:
    """The route of a whole path. What the search counted and what the agreed rules say must be the same."""
    path = legs(label)
    billed = [_billed(usable, query, leg) for leg in path]
    segments, keeps = tuple([segment for segment, _ in billed]), tuple([kept for _, kept in billed])
    between = [_crossed(usable, leg.exit) for leg in path[:-1]]
    latencies = tuple([beyond.latency_us for beyond in between])
    promise = along(segments, latencies)
    places = usable.sources[path[0].entry], *[beyond.labels for beyond in between], usable.targets[path[-1].exit]
    assert sum([segment.total.micro for segment in segments]) == label.past_micro, "a price differs from its bound"
    assert (promise.latency_us, promise.carbon_mg_gb) == (label.sums[LATENCY], label.sums[CARBON]), "a sum differs"
    return Route(
        segments=segments,
        labels=shared(places, keeps),
        keeps=keeps,
        interconnect_us=latencies,
        promise=promise,
        total_micro=label.past_micro,
    )


def along(segments: Sequence[RouteSegment], between_us: Sequence[int]) -> Promise:
    """The promise of segments in order, with the latency of each interconnect between them."""
    return in_a_row([segment.promise for segment in segments], sum(between_us))


def in_a_row(promises: Iterable[Promise], between_us: int = 0) -> Promise:
    """What `Promise.then` makes of promises one after the other, and of some latency between them, in one go."""
    latency, jitter, carbon = between_us, 0, 0
    delivered = available = PPB
    for promise in promises:
        latency, jitter, carbon = (
            latency + promise.latency_us,
            jitter + promise.jitter_us,
            carbon + promise.carbon_mg_gb,
        )
        delivered = delivered * (PPB - promise.loss_ppb) // PPB
        available = available * promise.availability_ppb // PPB
    return Promise(latency, jitter, PPB - delivered, available, carbon)


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


def _crossed(usable: Usable, exit_: int) -> Beyond:
    beyond = usable.beyond(exit_)
    assert beyond is not None, "segments follow each other over interconnects"
    return beyond


def _billed(usable: Usable, query: Query, leg: Leg) -> tuple[RouteSegment, bool]:
    """A segment, and whether it keeps its label; the paths of one question, and of the next one of this size, have many
    in common."""
    key = (leg.entry, leg.exit, *map(id, leg.arcs))  # the graph keeps its arcs
    known: tuple[RouteSegment, bool] | None = usable.judged.segments.get(key)
    if known is None:
        known = usable.judged.segments[key] = _segment(usable, query, leg)
    return known


def _segment(usable: Usable, query: Query, leg: Leg) -> tuple[RouteSegment, bool]:
    sheet, terms = usable.network(leg.entry).sheet, leg.meter.terms
    a, z = usable.interface(leg.entry), usable.interface(leg.exit)
    names = tuple([arc.offer for arc in leg.arcs])
    offers = [sheet.offers[name] for name in names]
    hourly = gbps = 0
    for offer in offers:
        hourly, gbps = hourly + offer.hourly_micro, gbps + offer.gbps_hourly_micro
    tariff = terms.tariff(sheet.currency, hourly, gbps)
    window = query.window
    lines = charge(tariff, query.bandwidth_bps, window.start_s, window.end_s, query.term_s)
    price = Money(tariff.currency, total(lines))
    segment = RouteSegment(
        operator=sheet.entity,
        route_class=terms.id,
        a=a.id,
        z=z.id,
        offers=names,
        promise=in_a_row([offer.promise for offer in offers]),
        tariff=tariff,
        price=price,
        total=query.rates.convert(price, query.currency),
    )
    return segment, not (a.swap and z.swap)

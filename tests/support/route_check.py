"""Judges one returned route by the sheets alone: does it hang together, is every figure right, every limit kept?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route, RouteSegment
from schemas import labels
from tests.support.brute_paths import Piece, beyond, judged, keeps


def faults(sheets: Mapping[str, OperatorSheet], query: Query, route: Route) -> Iterator[str]:
    """Everything that is wrong with a route."""
    yield from _joints(sheets, query, route)
    pieces = tuple(piece_of(sheets, segment) for segment in route.segments)
    walk = judged(sheets, query, pieces)
    if walk is None:
        yield "uses what is excluded, has no label or no rate"
        return
    if not keeps(walk, query):
        yield "breaks a limit"
    if walk.price != route.total_micro or sum(s.total.micro for s in route.segments) != route.total_micro:
        yield "its price is not what it will be billed"
    if walk.promise != route.promise:
        yield "its promise is not what its offers come to"
    yield from _labels(sheets, query, route)


def piece_of(sheets: Mapping[str, OperatorSheet], segment: RouteSegment) -> Piece:
    sheet = sheets[segment.operator]
    offers = tuple(sheet.offers[name] for name in segment.offers)
    return Piece(segment.operator, segment.route_class, segment.a, segment.z, offers)


def _joints(sheets: Mapping[str, OperatorSheet], query: Query, route: Route) -> Iterator[str]:
    first, last = route.segments[0], route.segments[-1]
    if (first.operator, first.a) not in query.sources or (last.operator, last.z) not in query.targets:
        yield "does not lead from a source to a target"
    if len({s.operator for s in route.segments}) != len(route.segments):
        yield "enters an operator twice"
    for ours, theirs in pairwise(route.segments):
        if beyond(sheets, ours.operator, ours.z) != (theirs.operator, theirs.a):
            yield f"nothing joins {ours.operator} {ours.z} and {theirs.operator} {theirs.a}"
    for segment in route.segments:
        here = segment.a
        for name in segment.offers:
            offer = sheets[segment.operator].offers[name]
            if here not in (offer.a, offer.z) or offer.route_class != segment.route_class:
                yield f"offer {name} does not go on from {here}"
            here = offer.z if here == offer.a else offer.a
        if here != segment.z or segment.a == segment.z:
            yield f"the offers of {segment.operator} do not end at {segment.z}"


def _labels(sheets: Mapping[str, OperatorSheet], query: Query, route: Route) -> Iterator[str]:
    ends = [((s.operator, s.a), (s.operator, s.z)) for s in route.segments]
    places = [(ends[0][0],), *((a[1], b[0]) for a, b in pairwise(ends)), (ends[-1][1],)]
    for mask, place in zip(route.labels, places, strict=True):
        free = -1
        for operator, name in place:
            free &= labels.parse(sheets[operator].interfaces[name].labels)
            free &= ~query.banned_labels.get((operator, name), 0)
        if not mask or mask & ~free:
            yield f"labels of {place} are not all free"
    for index, segment in enumerate(route.segments):
        interfaces = sheets[segment.operator].interfaces
        keeps_label = not (interfaces[segment.a].swap and interfaces[segment.z].swap)
        if route.keeps[index] != keeps_label:
            yield f"{segment.operator} swaps or not, and the route says otherwise"
        if keeps_label and route.labels[index] != route.labels[index + 1]:
            yield f"{segment.operator} must keep the label, and its ends offer different ones"

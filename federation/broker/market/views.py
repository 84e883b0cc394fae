"""Paths as a buyer is shown them (pure): interfaces with their cities, money in both currencies, countries attested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.market.asking import Facts
from federation.broker.paths.route import Route, RouteSegment
from schemas.answer import EndView, PathView, SegmentView
from schemas.price import Money
from schemas.segment import End

Sheets = Mapping[str, OperatorSheet]


def route_view(route: Route, currency: str, sheets: Sheets, facts: Facts, why: str = "") -> PathView:
    """A path found among the offers; it has no labels yet."""
    return PathView(
        segments=tuple(_segment(segment, sheets) for segment in route.segments),
        promise=route.promise,
        total=Money(currency, route.total_micro),
        countries=countries_of([(s.operator, s.route_class) for s in route.segments], facts),
        why=why,
    )


def _segment(segment: RouteSegment, sheets: Sheets) -> SegmentView:
    return SegmentView(
        operator=segment.operator,
        operator_name=sheets[segment.operator].name,
        route_class=segment.route_class,
        a=end_view(segment.operator, End(segment.a), sheets),
        z=end_view(segment.operator, End(segment.z), sheets),
        promise=segment.promise,
        price=segment.price,
        total=segment.total,
    )


def end_view(operator: str, end: End, sheets: Sheets) -> EndView:
    """One end of a segment. An interface that is not published any more keeps its id and has no place."""
    sheet = sheets.get(operator)
    interface = sheet.interfaces.get(end.interface) if sheet else None
    city, country = (interface.city, interface.country) if interface else ("", "")
    return EndView(interface=end.interface, city=city, country=country, label=end.label)


def countries_of(crossed: Iterable[tuple[str, str]], facts: Facts) -> tuple[str, ...] | None:
    """Every country that the (operator, route class) pairs may cross, sorted; None where one is unattested."""
    found: set[str] = set()
    for operator, route_class in crossed:
        attested = facts(operator)
        known = attested.classes.get(route_class) if attested else None
        if known is None or not known.countries:
            return None
        found.update(known.countries)
    return tuple(sorted(found))

"""A front as a buyer is shown it (pure): its paths, what each wins over the one before, and what is certain."""

from __future__ import annotations

from collections.abc import Iterator

from federation.broker.market.answer import LEAST, difference
from federation.broker.market.asking import Facts
from federation.broker.market.views import Sheets, route_view
from federation.broker.market.words import milliseconds, money
from federation.broker.paths.front.search import Front
from schemas.answer import FrontView, PathView
from schemas.intent import Objective


def front_view(front: Front, currency: str, sheets: Sheets, facts: Facts) -> FrontView:
    """What the buyer is told of a front."""
    return FrontView(
        objectives=front.objectives,
        paths=tuple(_paths(front, currency, sheets, facts)),
        complete=front.complete,
        least=front.least,
        why=_why(front, currency),
    )


def _paths(front: Front, currency: str, sheets: Sheets, facts: Facts) -> Iterator[PathView]:
    for place, found in enumerate(front.routes):
        best = " and ".join(f"the {LEAST[name]}" for name in _won(front, place))
        after = difference(found, front.routes[place - 1], currency) + " than the one before" if place else ""
        why = "; ".join(part for part in (best, after) if part)
        yield route_view(found, currency, sheets, facts, why)


def _won(front: Front, place: int) -> Iterator[Objective]:
    """The objectives on which no path of the front is better than the one at a place."""
    for column, name in enumerate(front.objectives):
        if front.values[place][column] == min(values[column] for values in front.values):
            yield name


def _why(front: Front, currency: str) -> str:
    if front.complete:
        return "" if len(front.routes) > 1 else "one path is the best on all of them"
    if not front.sure:
        return "incomplete: the search ran out of work before it was certain which end is the nearest"
    first, least = front.objectives[0], front.least or 0
    said = money(least, currency) if first is Objective.PRICE else milliseconds(least)
    lacks = "found more of them than an answer has room for" if front.full else "ran out of work"
    return f"incomplete, for the search {lacks}: a path that is missing has a {first} of {said} or more"

"""What a buyer is told of a search (pure): paths with why they stand where they do, or what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from federation.broker.market.asking import Facts
from federation.broker.market.market import Snapshot
from federation.broker.market.obstacles import bindings, exclusions, relaxations
from federation.broker.market.views import route_view
from federation.broker.market.words import milliseconds, money
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.inquiry import floor_us
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from federation.broker.paths.search import Found
from schemas.answer import PathView, SearchAnswer
from schemas.intent import Objective


def answer_of(snapshot: Snapshot, query: Query, found: Found | Infeasible, facts: Facts, took_us: int) -> SearchAnswer:
    """The answer to one query."""
    excluded = tuple(exclusions(query, snapshot.known))
    if isinstance(found, Infeasible):
        return SearchAnswer(
            found=False,
            window=query.window,
            proven=found.proven,
            floor_us=found.floor_us,
            excluded=excluded,
            binding=bindings(found, query, snapshot.known.roster),
            relaxations=relaxations(found, query, snapshot.known.roster),
            epoch=snapshot.known.epoch,
            took_us=took_us,
        )
    return SearchAnswer(
        found=True,
        window=query.window,
        paths=tuple(_paths(found, query, snapshot, facts)),
        proven=found.proven,
        floor_us=floor_us(snapshot.graph, query),
        excluded=excluded,
        epoch=snapshot.known.epoch,
        took_us=took_us,
    )


def _paths(found: Found, query: Query, snapshot: Snapshot, facts: Facts) -> Iterator[PathView]:
    best = found.routes[0]
    yield route_view(best, query.currency, snapshot.sheets, facts, why_best(found, query))
    for other in found.routes[1:]:
        why = f"{difference(other, best, query.currency)} than the best"
        yield route_view(other, query.currency, snapshot.sheets, facts, why)


def why_best(found: Found, query: Query) -> str:
    """Why the first path is the first, against the runner-up where there is one."""
    least = "cheapest" if query.objective is Objective.PRICE else "fastest"
    if not found.proven:
        return f"the {least} found before the work allowed for one search ran out"
    if len(found.routes) > 1:
        by = difference(found.routes[1], found.routes[0], query.currency)
        return f"the {least} that keeps every limit; the next is {by}"
    alone = query.k > 1 and found.complete
    return "the only path that keeps every limit" if alone else f"the {least} that keeps every limit"


def difference(other: Route, best: Route, currency: str) -> str:
    """How one path compares with another: price, then latency."""
    parts = [
        _compared(other.total_micro - best.total_micro, "dearer", "cheaper", lambda micro: money(micro, currency)),
        _compared(other.promise.latency_us - best.promise.latency_us, "slower", "faster", milliseconds),
    ]
    said = [part for part in parts if part]
    return " and ".join(said) if said else "no dearer and no slower"


def _compared(by: int, more: str, less: str, said: Callable[[int], str]) -> str:
    return f"{said(abs(by))} {more if by > 0 else less}" if by else ""

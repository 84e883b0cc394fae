"""What a buyer is told of a search (pure): paths with why they stand where they do, or what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import structs

from federation.broker.market.asking import Facts
from federation.broker.market.market import Snapshot
from federation.broker.market.obstacles import bindings, exclusions, relaxations
from federation.broker.market.prices import made_of
from federation.broker.market.views import route_view
from federation.broker.market.words import carbon, listed, milliseconds, money
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.inquiry import floor_us
from federation.broker.paths.query import NANO, Query
from federation.broker.paths.route import Route
from federation.broker.paths.search import Found
from schemas.answer import PathView, SearchAnswer
from schemas.intent import Objective

Names = Callable[[str], str]
LEAST: Final = {
    Objective.PRICE: "cheapest",
    Objective.LATENCY: "fastest",
    Objective.CARBON: "lowest in carbon",
    Objective.WEIGHTED: "best by price, latency and carbon as weighted",
}


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
    first = route_view(best, query.currency, snapshot.sheets, facts)
    names = naming(snapshot)
    yield structs.replace(first, why=why_best(found, query, names) + nearest_ends(first, query))
    for other in found.routes[1:]:
        made = made_of(other, best, query, names)
        why = f"{difference(other, best, query.currency)} than the best" + (f": {made}" if made else "")
        yield route_view(other, query.currency, snapshot.sheets, facts, why)


def naming(snapshot: Snapshot) -> Names:
    """What operators are called."""
    return lambda entity: snapshot.known.roster.get(entity, entity)


def nearest_ends(path: PathView, query: Query) -> str:
    """Which end was chosen for being the nearest, where the intent wants that."""
    first, last = path.segments[0].a, path.segments[-1].z
    chosen = [first] * query.nearest_source + [last] * query.nearest_target
    return "".join(f"; {end.interface} in {end.city} is the nearest" for end in chosen)


def why_best(found: Found, query: Query, names: Names = str) -> str:
    """Why the first path is the first, against the runner-up where there is one."""
    least = LEAST[query.objective]
    if not found.proven:
        bound = _bound(found.bound, query)
        return f"the {least} found before the work allowed for one search ran out; {bound}"
    if query.objective is Objective.CARBON:
        least += f" ({carbon(found.routes[0].promise.carbon_mg_gb)})"
    cut = "" if found.complete else "; the work allowed for one search ran out before more were certain"
    if len(found.routes) > 1:
        best, following = found.routes[:2]
        by = f"{instead(following, best, names)} is {difference(following, best, query.currency)}"
        return f"the {least} that keeps every limit; the next{by}{cut}"
    alone = query.k > 1 and found.complete
    return "the only path that keeps every limit" if alone else f"the {least} that keeps every limit{cut}"


def instead(other: Route, best: Route, names: Names) -> str:
    """Over whom one path goes where another does not."""
    theirs, ours = ([segment.operator for segment in route.segments] for route in (other, best))
    over = listed([names(operator) for operator in theirs if operator not in ours])
    without = listed([names(operator) for operator in ours if operator not in theirs])
    if not over:
        return f", without {without}," if without else ""
    return f", over {over} instead of {without}," if without else f", over {over} as well,"


def _bound(bound: int, query: Query) -> str:
    """What no path can be better than."""
    match query.objective:
        case Objective.PRICE:
            return f"none costs less than {money(bound, query.currency)}"
        case Objective.LATENCY:
            return f"none is faster than {milliseconds(bound)}"
        case Objective.CARBON:
            return f"none emits less than {carbon(bound)}"
    return f"none is worth less than {money(bound // NANO, query.currency)}, latency and carbon counted in"


def difference(other: Route, best: Route, currency: str) -> str:
    """How one path compares with another: price, latency, then carbon."""
    parts = [
        _compared(other.total_micro - best.total_micro, "dearer", "cheaper", lambda micro: money(micro, currency)),
        _compared(other.promise.latency_us - best.promise.latency_us, "slower", "faster", milliseconds),
        _compared(other.promise.carbon_mg_gb - best.promise.carbon_mg_gb, "more carbon", "less carbon", carbon),
    ]
    return listed([part for part in parts if part]) or "no dearer and no slower"


def _compared(by: int, more: str, less: str, said: Callable[[int], str]) -> str:
    return f"{said(abs(by))} {more if by > 0 else less}" if by else ""

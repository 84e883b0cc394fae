"""The way in: the front of a query, or as much of it as the work allows and what is certain of the rest."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from federation.broker.paths.assembly import route
from federation.broker.paths.bounds import NEVER
from federation.broker.paths.front.ends import end
from federation.broker.paths.front.objective import ask_of, ordered, within
from federation.broker.paths.front.point import Point
from federation.broker.paths.front.sweep import Sweep
from federation.broker.paths.front.walk import Walk
from federation.broker.paths.graph import Graph
from federation.broker.paths.inquiry import Inquiry
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from federation.broker.paths.solving import Kernel, Prepared
from federation.broker.paths.work import Work
from schemas.intent import Objective

FRONT_MAX: Final = 100


class Front(Struct, frozen=True, kw_only=True):
    """Paths of which no other path beats any on all of `objectives`, least of the first one first.

    One path for each combination of values. `values` has them, in the order of `objectives`: micro-units of the
    buyer's currency, microseconds, milligrams per GB. With `complete` these are all; otherwise every path that is
    missing has at least `least` of the first objective: the work ran out, or `full` says that there are more than were
    asked for. Where the ends were not `sure`, nothing is known of what is missing. The best path on each objective is
    among them wherever the work sufficed to find it.
    """

    objectives: tuple[Objective, ...]
    routes: tuple[Route, ...]
    values: tuple[tuple[int, ...], ...]
    complete: bool
    sure: bool
    full: bool
    least: int | None
    work: int


def front_of(
    graph: Graph,
    query: Query,
    objectives: tuple[Objective, ...],
    *,
    kernel: Kernel | None = None,
    most: int = FRONT_MAX,
    sure: bool = True,
) -> Front:
    """The paths of a query that are on the front of two or three objectives, exactly; none where there is no path.

    At most `most` (and the best on each objective), for at most `query.work` labels. The query's own objective does not
    count. `sure` is False where the ends of the query are not certain to be those that were meant.
    """
    names, work = ordered(objectives), Work(query.work)
    assert len(names) > 1, "a front has two objectives or three"
    prepared = Inquiry(graph, query, kernel).prepared(ask_of(query, names[0]))
    ends = [point for name in names if (point := end(prepared, query, names, name, work)) is not None]
    most = max(most, len({point.values for point in ends}))
    rest: Walk | Sweep
    if len(ends) == 2 and _walks(prepared, query, names):
        rest = Walk(prepared, query, names, work, (ends[0], ends[1]))
        rest.run(most)
    else:
        rest = Sweep(prepared.usable, prepared.bounds, query, names, work, known=ends)
        rest.sweep(most)
    points = _certain(rest, ends)
    return Front(
        objectives=names,
        routes=tuple(route(prepared.usable, query, point.label) for point in points),
        values=tuple(point.values for point in points),
        complete=sure and rest.least >= NEVER,
        sure=sure,
        full=rest.full,
        least=(None if rest.least >= NEVER else rest.least) if sure else 0,
        work=work.done,
    )


def _walks(prepared: Prepared, query: Query, names: tuple[Objective, ...]) -> bool:
    """Whether a kernel takes the steps of a walk between two objectives."""
    return len(names) == 2 and prepared.taken(ask_of(within(query, names[1], 0), names[0]))


def _certain(rest: Walk | Sweep, ends: list[Point]) -> list[Point]:
    """What is proven to be on the front, by values: at the very value where the work ended, others may still come."""
    found = {point.values: point for point in rest.points if point.values[0] < rest.least}
    for point in ends:
        found.setdefault(point.values, point)
    return [found[values] for values in sorted(found)]

"""The way in: the best paths for a query, or why there is none."""

from __future__ import annotations

from itertools import islice

from msgspec import Struct, structs

from federation.broker.paths.alternatives import Ranking
from federation.broker.paths.assembly import route
from federation.broker.paths.costs import LimitCost, limit_costs
from federation.broker.paths.graph import Graph
from federation.broker.paths.infeasible import Explanation, Infeasible
from federation.broker.paths.inquiry import Inquiry
from federation.broker.paths.nearest import settled, wants_nearest
from federation.broker.paths.query import ALTERNATIVES_MAX, Ask, Limit, Query, aim_of
from federation.broker.paths.route import Route
from federation.broker.paths.solving import Kernel
from federation.broker.paths.work import Work
from schemas.intent import Objective


class Found(Struct, frozen=True, kw_only=True):
    """Paths, best first, each with another sequence of interfaces.

    `proven` says that the first is the optimum; if the work ran out before, none is better than `bound` (micro-units,
    microseconds, mg/GB or a score, as the objective is). `complete` says the same of the whole list. `work` counts
    labels expanded. `costs` are what limits cost, if asked for.
    """

    routes: tuple[Route, ...]
    proven: bool
    complete: bool
    bound: int
    work: int
    costs: tuple[LimitCost, ...] = ()


def find(
    graph: Graph, query: Query, *, explain: bool = True, costs: bool = False, kernel: Kernel | None = None
) -> Found | Infeasible:
    """The best `query.k` paths, exactly, or why there is none.

    With `explain` an infeasible query is answered with the limits that bind and the least changes that help, each
    verified by searching again; with `costs` the cheapest path is told with what the limits cost. A `kernel` only makes
    it faster. Design section 5.
    """
    inquiry, work = Inquiry(graph, query, kernel), Work(query.work)
    if inquiry.impossible:
        return _refused(inquiry, work, explain=explain)
    found, sure = _settled(inquiry, work)
    if found is None:
        return _refused(inquiry, work, explain=explain, proven=sure)
    query = found
    ask = Ask(query=query, aim=aim_of(query.objective))
    prepared = inquiry.prepared(ask)
    best = prepared.solve(ask, work)
    if best.label is None:
        return _refused(inquiry, work, explain=explain, proven=best.complete)
    wanted = min(query.k, ALTERNATIVES_MAX) - 1
    ranking = Ranking(prepared, ask, work) if best.complete and wanted > 0 else None
    others = () if ranking is None else islice(ranking.after(best.label), wanted)
    routes = tuple(route(prepared.usable, query, label) for label in (best.label, *others))
    proven = best.complete and sure  # where it is not sure which end is the nearest, another may have the better path
    bound = best.least if sure else 0
    worth = proven and costs and query.objective is Objective.PRICE
    told = limit_costs(inquiry, query, routes[0], work.done) if worth else ()
    complete = proven and (ranking is None or ranking.complete)
    return Found(routes=routes, proven=proven, complete=complete, bound=bound, work=work.done, costs=told)


def _settled(inquiry: Inquiry, work: Work) -> tuple[Query | None, bool]:
    """The query with its nearest ends, None where no path leads anywhere; and whether that is certain."""
    query = inquiry.query
    if not wants_nearest(query):
        return query, True
    ask = Ask(query=query, aim=Limit.LATENCY)
    prepared = inquiry.prepared(ask)
    found = prepared.solve(ask, work)
    return None if found.label is None else settled(query, prepared.usable, found.label), found.complete


def _refused(inquiry: Inquiry, work: Work, *, explain: bool, proven: bool = True) -> Infeasible:
    """Why there is no path; the explanation has as much work again as the search had."""
    if explain and proven:
        answer = Explanation(inquiry).answer()
        return structs.replace(answer, work=answer.work + work.done)
    floor_us, impossible = inquiry.floor_us, inquiry.impossible
    return Infeasible(proven=proven, complete=False, work=work.done, floor_us=floor_us, impossible=impossible)

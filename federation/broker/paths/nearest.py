"""Which of several ends is meant, where the nearest is: the one reached with the least latency under all limits."""

from __future__ import annotations

from msgspec import structs

from federation.broker.paths.assembly import legs
from federation.broker.paths.labels import Label
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from federation.broker.paths.usable import Usable


def wants_nearest(query: Query) -> bool:
    """Whether an end of a question is the nearest of several."""
    return query.nearest_source or query.nearest_target


def settled(query: Query, usable: Usable, fastest: Label) -> Query:
    """The question with the ends that the fastest path has where the nearest was wanted."""
    path = legs(fastest)
    graph = usable.graph
    return _with(query, graph.interface(path[0].entry), graph.interface(path[-1].exit))


def settled_by(query: Query, route: Route) -> Query:
    """The same for a question that has been answered: every path of the answer has these ends."""
    return _with(query, route.interfaces[0], route.interfaces[-1])


def _with(query: Query, source: tuple[str, str], target: tuple[str, str]) -> Query:
    return structs.replace(
        query,
        sources=(source,) if query.nearest_source else query.sources,
        targets=(target,) if query.nearest_target else query.targets,
        nearest_source=False,
        nearest_target=False,
    )

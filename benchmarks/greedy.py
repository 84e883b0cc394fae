"""What the best pair is compared with: the best path, then the best one apart from it."""

from __future__ import annotations

from msgspec import structs

from federation.broker.paths.assembly import route
from federation.broker.paths.backup.barred import Barring
from federation.broker.paths.backup.finding import Backup, Paired, Unpaired
from federation.broker.paths.backup.items import Bars, Items
from federation.broker.paths.backup.side import NOTHING, Side
from federation.broker.paths.graph import Graph
from federation.broker.paths.query import Query
from federation.broker.paths.solving import Kernel
from federation.broker.paths.work import Work


def greedy_pair(graph: Graph, query: Query, backup: Backup, *, kernel: Kernel | None = None) -> Paired | Unpaired:
    """The backup of the best path, whatever the two come to in sum."""
    items, barring, work = Items(graph, query, backup.apart), Barring(graph), Work(query.work)
    second = structs.replace(query, limits=backup.limits, hops=backup.hops, budget_micro=backup.budget_micro)
    sides = Side(graph, query, items, barring, kernel), Side(graph, second, items, barring, kernel)
    first = sides[0].best(NOTHING, work)
    if first is None:
        return Unpaired(proven=False)
    avoided: Bars = frozenset().union(*(items.ways(item)[-1] for item in first.used.items))
    other = sides[1].best(avoided, work)
    if other is None:
        return Unpaired(proven=False)
    routes = [route(way.usable, way.query, way.label) for way in (first, other)]
    return Paired(
        primary=routes[0], backup=routes[1], proven=False, bound=first.key[0], nodes=1, solves=2, work=work.done
    )

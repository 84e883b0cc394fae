"""The way in: the best pair for a query, or why there is none."""

from __future__ import annotations

from enum import StrEnum
from itertools import chain
from typing import Final

from msgspec import Struct, structs

from federation.broker.paths.assembly import route
from federation.broker.paths.backup.barred import Barring
from federation.broker.paths.backup.items import Item, Items
from federation.broker.paths.backup.pairing import Pairing
from federation.broker.paths.backup.side import NOTHING, Side, Way
from federation.broker.paths.graph import Graph
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route
from federation.broker.paths.solving import Kernel
from federation.broker.paths.work import Work
from schemas.backup import Apart
from schemas.segment import Limits

SHARED_MAX: Final = 8


class Backup(Struct, frozen=True, kw_only=True):
    """What the backup is to have in common with nothing of, and its own limits; `budget_micro` in the buyer's money."""

    apart: Apart
    limits: Limits = Limits()
    hops: int | None = None
    budget_micro: int | None = None


class Paired(Struct, frozen=True, kw_only=True):
    """Two paths apart. `proven`: no pair has less of the objective in sum; otherwise none has less than `bound`.

    `bound` is in units of the objective. `nodes` and `solves` say how much searching it took, `work` how many labels.
    """

    primary: Route
    backup: Route
    proven: bool
    bound: int
    nodes: int
    solves: int
    work: int

    @property
    def total_micro(self) -> int:
        """What both cost."""
        return self.primary.total_micro + self.backup.total_micro


class Missing(StrEnum):
    """Why there is no pair: what is missing already, before the two are to be apart or because they are."""

    PRIMARY = "primary"  # no path keeps the limits of the query
    BACKUP = "backup"  # no path at all keeps the backup's limits
    SHARED = "shared"  # both exist, and both always use `Unpaired.shared`
    TOGETHER = "together"  # both exist, nothing single is always shared, and yet no two are apart


class Unpaired(Struct, frozen=True, kw_only=True):
    """There is no pair (`proven`), or none was found before the work ran out and `missing` is None.

    `shared` are items that every primary and every backup use, of the kind asked for where there are such. `unlimited`
    is the best pair without the backup's own limits, if there is one and the backup has some; `complete` is False
    where the work did not suffice to tell.
    """

    proven: bool
    missing: Missing | None = None
    shared: tuple[Item, ...] = ()
    unlimited: Paired | None = None
    complete: bool = True
    nodes: int = 0
    solves: int = 0
    work: int = 0


def find_pair(
    graph: Graph, query: Query, backup: Backup, *, kernel: Kernel | None = None, sure: bool = True
) -> Paired | Unpaired:
    """The two paths of least sum that share nothing of a kind, exactly, or why there are none.

    The primary keeps the limits of the query, the backup its own and everything else of the query. What is exempt is
    said in `items`. At most `query.work` labels are expanded, and as many again for an explanation. Nothing is proven
    where the ends of the query are not `sure` to be those that were meant.
    """
    found = _Finding(graph, query, backup, kernel).found()
    if not sure:
        if isinstance(found, Paired):
            return structs.replace(found, proven=False, bound=0)
        return structs.replace(found, proven=False, missing=None, shared=(), complete=False)
    if isinstance(found, Paired) or not found.proven or found.missing is Missing.PRIMARY:
        return found
    free = Backup(apart=backup.apart)
    if backup == free:
        return found
    again = _Finding(graph, query, free, kernel).found()
    if isinstance(again, Paired):
        return structs.replace(found, unlimited=again)
    return structs.replace(found, complete=found.complete and again.proven)


class _Finding:
    """One search for a pair."""

    def __init__(self, graph: Graph, query: Query, backup: Backup, kernel: Kernel | None) -> None:
        self._query, self._apart = query, backup.apart
        second = structs.replace(query, limits=backup.limits, hops=backup.hops, budget_micro=backup.budget_micro)
        self._items, barring = Items(graph, query, backup.apart), Barring(graph)
        self._first = Side(graph, query, self._items, barring, kernel)
        same = second == query
        self._second = self._first if same else Side(graph, second, self._items, barring, kernel)
        self._work = Work(query.work)
        self._pairing = Pairing(self._first, self._second, self._items, self._work)

    def found(self) -> Paired | Unpaired:
        """The pair, or why there is none."""
        self._pairing.run()
        best = self._pairing.best
        if best is None:
            return self._none()
        ways = sorted((best.primary, best.backup), key=_order) if self._first is self._second else best[1:]
        primary, backup = (route(way.usable, way.query, way.label) for way in ways)
        return Paired(
            primary=primary,
            backup=backup,
            proven=self._pairing.proven,
            bound=self._pairing.bound,
            nodes=self._pairing.nodes,
            solves=self._solves,
            work=self._work.done,
        )

    @property
    def _solves(self) -> int:
        return self._first.solves + (0 if self._first is self._second else self._second.solves)

    def _none(self) -> Unpaired:
        missing, shared, complete = None, tuple[Item, ...](), True
        if self._pairing.proven:
            again = Work(self._query.work)
            missing, shared = self._missing(again)
            self._work.done += again.done
            complete = not (self._first.spent or self._second.spent)
        return Unpaired(
            proven=self._pairing.proven,
            missing=missing,
            shared=shared,
            complete=complete and self._pairing.proven,
            nodes=self._pairing.nodes,
            solves=self._solves,
            work=self._work.done,
        )

    def _missing(self, work: Work) -> tuple[Missing, tuple[Item, ...]]:
        first = self._first.best(NOTHING, work)
        if first is None:
            return Missing.PRIMARY, ()
        second = self._second.best(NOTHING, work)
        if second is None:
            return Missing.BACKUP, ()
        common = [item for item in first.used.items if item in second.used.items]
        shared = tuple(item for item in common if self._always(item, work))
        asked = shared if self._apart is Apart.SEGMENT else tuple(item for item in shared if item[0] == self._apart)
        return (Missing.SHARED if shared else Missing.TOGETHER), (asked or shared)[:SHARED_MAX]

    def _always(self, item: Item, work: Work) -> bool:
        """Whether neither path can do without an item."""
        tried = chain.from_iterable(
            (side.best(bars, work) for side in dict.fromkeys((self._first, self._second)))
            for bars in self._items.ways(item)
        )
        return all(way is None for way in tried) and not (self._first.spent or self._second.spent)


def _order(way: Way) -> tuple[tuple[int, int], str]:
    return way.key, str(sorted(way.used.all))

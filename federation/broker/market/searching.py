"""Runs one question over one snapshot of the market, away from the loop, and times it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import structs

from federation.broker.market.answer import answer_of
from federation.broker.market.asking import Terms, query_of
from federation.broker.market.backups import Pair, backup_of, backup_view
from federation.broker.market.costs import cost_views
from federation.broker.market.fronts import front_view
from federation.broker.market.kernel import Warming
from federation.broker.market.market import Market, Offload, Snapshot
from federation.broker.market.views import Sheets
from federation.broker.paths.backup.finding import find_pair
from federation.broker.paths.front.search import Front, front_of
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.nearest import settled_by
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from federation.node.seams import Clock
from schemas.answer import SearchAnswer
from schemas.backup import BackupRequest
from schemas.intent import Intent, Objective

WITH_RUNNER_UP: Final = 2


class Searching:
    """The search as the desk and quoting use it. `monotonic_us` measures; it decides nothing."""

    def __init__(
        self,
        market: Market,
        terms: Terms,
        clock: Clock,
        offload: Offload,
        *,
        monotonic_us: Callable[[], int],
        warming: Warming | None = None,
    ) -> None:
        self._warming = warming or Warming()
        self._market, self.terms, self._clock = market, terms, clock
        self._offload, self._monotonic_us = offload, monotonic_us

    @property
    def sheets(self) -> Sheets:
        """The sheets of the present snapshot."""
        return self._market.snapshot.sheets

    async def search(
        self,
        intent: Intent,
        paths: int,
        *,
        front: tuple[Objective, ...] | None = None,
        backup: BackupRequest | None = None,
    ) -> SearchAnswer:
        """At most `paths` candidates, best first, or why there is none; the first says by what it beats the next.

        Of the cheapest path also what the limits cost. Raises INVALID_ARGUMENT.

        With `front` also the paths that no other beats on all of these objectives, with `backup` the best pair of
        paths that have nothing of a kind in common.
        """
        sight = await self.look(intent, max(paths, WITH_RUNNER_UP), costs=True)
        if front is not None and isinstance(sight.found, Found):
            sight = await self._with_front(sight, front)
        if backup is not None and isinstance(sight.found, Found):
            sight = await self._with_backup(sight, backup)
        answer = sight.answer(self.terms)
        return structs.replace(answer, paths=answer.paths[:paths])

    async def look(self, intent: Intent, paths: int, *, costs: bool = False) -> Sight:
        """The same, as routes, with the snapshot and the query they were found by."""
        snapshot = self._market.snapshot
        query = query_of(intent, snapshot.known, self.terms, self._clock.now(), paths)
        begun_us = self._monotonic_us()
        kernel = self._warming.kernel
        work = functools.partial(find, snapshot.graph, query, explain=True, costs=costs, kernel=kernel)
        found = await self._offload(work)
        return Sight(snapshot, query, found, self._monotonic_us() - begun_us)

    async def again(self, snapshot: Snapshot, query: Query) -> Found | Infeasible:
        """Another query over the same snapshot."""
        kernel = self._warming.kernel
        return await self._offload(functools.partial(find, snapshot.graph, query, explain=False, kernel=kernel))

    async def _with_front(self, sight: Sight, objectives: tuple[Objective, ...]) -> Sight:
        """The same sight with the front of the question."""
        kernel, begun_us = self._warming.kernel, self._monotonic_us()
        work = functools.partial(front_of, sight.snapshot.graph, sight.settled, objectives, kernel=kernel)
        found = await self._offload(work)
        return sight._replace(front=found, took_us=sight.took_us + self._monotonic_us() - begun_us)

    async def _with_backup(self, sight: Sight, asked: BackupRequest) -> Sight:
        """The same sight with the best pair."""
        kernel, begun_us = self._warming.kernel, self._monotonic_us()
        wanted = backup_of(asked, sight.settled, self.terms)
        found = await self._offload(
            functools.partial(find_pair, sight.snapshot.graph, sight.settled, wanted, kernel=kernel)
        )
        pair = Pair(asked.apart, found)
        return sight._replace(pair=pair, took_us=sight.took_us + self._monotonic_us() - begun_us)


class Sight(NamedTuple):
    """What one search saw: the offers, the question, the results, how long they took in microseconds."""

    snapshot: Snapshot
    query: Query
    found: Found | Infeasible
    took_us: int
    front: Front | None = None
    pair: Pair | None = None

    @property
    def settled(self) -> Query:
        """The question with the ends that were found to be the nearest, where the nearest was wanted."""
        return settled_by(self.query, self.found.routes[0]) if isinstance(self.found, Found) else self.query

    def answer(self, terms: Terms) -> SearchAnswer:
        """What the buyer is told."""
        answer = answer_of(self.snapshot, self.query, self.found, terms.facts, self.took_us)
        if isinstance(self.found, Found):
            costs = cost_views(self.found.costs, self.query, self.snapshot.known.roster)
            answer = structs.replace(answer, costs=costs)
        if self.front is not None:
            view = front_view(self.front, self.query.currency, self.snapshot.sheets, terms.facts)
            answer = structs.replace(answer, front=view)
        if self.pair is not None and isinstance(self.found, Found):
            pair = backup_view(self.pair, self.query, self.snapshot, terms, self.found.routes[0])
            answer = structs.replace(answer, backup=pair)
        return answer

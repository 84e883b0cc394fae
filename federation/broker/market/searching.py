"""Runs one question over one snapshot of the market, away from the loop, and times it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

from federation.broker.market.answer import answer_of
from federation.broker.market.asking import Terms, query_of
from federation.broker.market.kernel import Warming
from federation.broker.market.market import Market, Offload, Snapshot
from federation.broker.market.views import Sheets
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.query import Query
from federation.broker.paths.search import Found, find
from federation.node.seams import Clock
from schemas.answer import SearchAnswer
from schemas.intent import Intent


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

    async def search(self, intent: Intent, paths: int) -> SearchAnswer:
        """At most `paths` candidates, best first, or why there is none. Raises INVALID_ARGUMENT."""
        return (await self.look(intent, paths)).answer(self.terms)

    async def look(self, intent: Intent, paths: int) -> Sight:
        """The same, as routes, with the snapshot and the query they were found by."""
        snapshot = self._market.snapshot
        query = query_of(intent, snapshot.known, self.terms, self._clock.now(), paths)
        begun_us = self._monotonic_us()
        found = await self.again(snapshot, query, explain=True)
        return Sight(snapshot, query, found, self._monotonic_us() - begun_us)

    async def again(self, snapshot: Snapshot, query: Query, *, explain: bool = False) -> Found | Infeasible:
        """Another query over the same snapshot."""
        kernel = self._warming.kernel
        return await self._offload(functools.partial(find, snapshot.graph, query, explain=explain, kernel=kernel))


class Sight(NamedTuple):
    """What one search saw: the offers, the question, the result, how long it took in microseconds."""

    snapshot: Snapshot
    query: Query
    found: Found | Infeasible
    took_us: int

    def answer(self, terms: Terms) -> SearchAnswer:
        """What the buyer is told."""
        return answer_of(self.snapshot, self.query, self.found, terms.facts, self.took_us)

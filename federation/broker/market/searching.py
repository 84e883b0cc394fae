"""Runs one question over one snapshot of the market, away from the loop, and times it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple

from msgspec import structs

from federation.broker.market.answer import answer_of
from federation.broker.market.asking import Terms, offered, query_of
from federation.broker.market.backups import Pair, backup_of, backup_view
from federation.broker.market.costs import cost_views
from federation.broker.market.fronts import front_view
from federation.broker.market.judging import check_broker, policy_refusals, rules_of
from federation.broker.market.kernel import Warming
from federation.broker.market.lanes import Lanes, Shared, Turns
from federation.broker.market.market import Market, Offload, Snapshot
from federation.broker.market.sites import doubted, exclusions
from federation.broker.market.views import Sheets
from federation.broker.paths.backup.finding import find_pair
from federation.broker.paths.front.search import Front, front_of
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.nearest import settled_by, wants_nearest
from federation.broker.paths.query import Query
from federation.broker.paths.route import RouteSegment
from federation.broker.paths.search import Found, find
from federation.broker.paths.solving import Kernel
from federation.node.seams import Clock
from schemas.answer import SearchAnswer
from schemas.backup import BackupRequest
from schemas.intent import Intent, Objective
from schemas.problem import Problem

WITH_RUNNER_UP: Final = 2
DOUBTS_MAX: Final = 16  # how often a question is asked again without what cannot be true


class Searching:
    """The search as the desk and quoting use it. `monotonic_us` measures; it decides nothing.

    `offload` is for what is answered soon, `long` for the rest. Where they run beside each other, a kernel takes the
    one's solves and the other's in `turn`.
    """

    def __init__(
        self,
        market: Market,
        terms: Terms,
        clock: Clock,
        offload: Offload,
        *,
        monotonic_us: Callable[[], int],
        warming: Warming | None = None,
        long: Offload | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        self._warming, self._turn = warming or Warming(), turn or nullcontext()
        self._market, self.terms, self._clock = market, terms, clock
        self._lanes, self._monotonic_us = Lanes(offload, long or offload), monotonic_us
        self._turns = Turns()

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
        buyer: str | None = None,
    ) -> SearchAnswer:
        """At most `paths` candidates, best first, or why there is none; the first says by what it beats the next.

        Of the cheapest path also what the limits cost. Raises INVALID_ARGUMENT, and TOO_MANY_REQUESTS where `buyer` has
        too many questions in flight.

        With `front` also the paths that no other beats on all of these objectives, with `backup` the best pair of
        paths that have nothing of a kind in common.
        """
        long = front is not None or backup is not None
        with self._turns.one(buyer, long=long):
            sight = await self._look(intent, max(paths, WITH_RUNNER_UP), buyer, costs=True, long=long)
            if front is not None and isinstance(sight.found, Found):
                sight = await self._with_front(sight, front)
            if backup is not None and isinstance(sight.found, Found):
                sight = await self._with_backup(sight, backup)
        answer = sight.answer(self.terms)
        return structs.replace(answer, paths=answer.paths[:paths])

    async def look(self, intent: Intent, paths: int, buyer: str | None = None) -> Sight:
        """The same, as routes, with the snapshot and the query they were found by; `buyer` may have policies of its
        own."""
        return await self._look(intent, paths, buyer, costs=False, long=False)

    async def again(self, snapshot: Snapshot, query: Query) -> Found | Infeasible:
        """Another query over the same snapshot."""
        work = functools.partial(find, snapshot.graph, explain=False, kernel=self._kernel)
        return await self._lanes.plain(query, work, explain=False)

    @property
    def _kernel(self) -> Kernel | None:
        return None if self._warming.kernel is None else Shared(self._warming.kernel, self._turn)

    async def _look(self, intent: Intent, paths: int, buyer: str | None, *, costs: bool, long: bool) -> Sight:
        snapshot, now = self._market.snapshot, self._clock.now()
        rules = rules_of(intent, self.terms, buyer, now)
        check_broker(rules, self.terms)
        refused = policy_refusals(rules, self.terms, offered(snapshot.known))
        query = query_of(intent, snapshot.known, self.terms, now, paths, refused=refused)
        begun_us, doubts = self._monotonic_us(), list[tuple[RouteSegment, str]]()
        work = functools.partial(find, snapshot.graph, explain=True, costs=costs, kernel=self._kernel)
        for _ in range(DOUBTS_MAX):
            if long:  # what follows takes its time anyway, and a plain question is not to wait for this one
                found = await self._lanes.long(functools.partial(work, query))
            else:
                found = await self._lanes.plain(query, work, explain=True)
            new = doubted(found.routes, self.terms.doubt) if isinstance(found, Found) else ()
            if not new:
                break
            doubts += new
            query = structs.replace(
                query, excluded=query.excluded | {(s.operator, o) for s, _ in new for o in s.offers}
            )
        else:
            raise Problem("UNAVAILABLE", f"path after path is promised faster than light, {DOUBTS_MAX} times over")
        return Sight(snapshot, query, found, self._monotonic_us() - begun_us, doubts=tuple(doubts))

    async def _with_front(self, sight: Sight, objectives: tuple[Objective, ...]) -> Sight:
        """The same sight with the front of the question."""
        begun_us, query = self._monotonic_us(), sight.settled
        work = functools.partial(
            front_of, sight.snapshot.graph, query, objectives, kernel=self._kernel, sure=sight.sure
        )
        found = await self._lanes.long(work)
        return sight._replace(front=found, took_us=sight.took_us + self._monotonic_us() - begun_us)

    async def _with_backup(self, sight: Sight, asked: BackupRequest) -> Sight:
        """The same sight with the best pair."""
        begun_us, query = self._monotonic_us(), sight.settled
        wanted = backup_of(asked, query, self.terms)
        work = functools.partial(find_pair, sight.snapshot.graph, query, wanted, kernel=self._kernel, sure=sight.sure)
        found = await self._lanes.long(work)
        pair = Pair(asked.apart, found)
        return sight._replace(pair=pair, took_us=sight.took_us + self._monotonic_us() - begun_us)


class Sight(NamedTuple):
    """What one search saw: the offers, the question, the results, how long they took in microseconds; in `doubts` the
    segments that it left out because light itself is slower than they are promised."""

    snapshot: Snapshot
    query: Query
    found: Found | Infeasible
    took_us: int
    front: Front | None = None
    pair: Pair | None = None
    doubts: tuple[tuple[RouteSegment, str], ...] = ()

    @property
    def settled(self) -> Query:
        """The question with the ends that were found to be the nearest, where the nearest was wanted."""
        return settled_by(self.query, self.found.routes[0]) if isinstance(self.found, Found) else self.query

    @property
    def sure(self) -> bool:
        """Whether these ends are the nearest for certain, where that is wanted."""
        return not wants_nearest(self.query) or (isinstance(self.found, Found) and self.found.proven)

    def answer(self, terms: Terms) -> SearchAnswer:
        """What the buyer is told."""
        answer = answer_of(self.snapshot, self.query, self.found, terms.facts, self.took_us)
        if self.doubts:
            beyond = exclusions(self.doubts, self.snapshot.known.roster)
            answer = structs.replace(answer, excluded=(*answer.excluded, *beyond))
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

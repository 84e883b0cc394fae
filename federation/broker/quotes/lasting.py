"""An attempt that lasts: rounds of asking operators that take long, gone on with after a restart."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.market.searching import Sight
from federation.broker.paths.route import Route
from federation.broker.paths.search import Found
from federation.broker.peers.news import News
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.ask import Shape
from federation.broker.quotes.hand import Ask, Hand
from federation.broker.quotes.journal import Journal
from federation.broker.quotes.labels import Labels
from federation.broker.quotes.patient import PatientHand
from federation.broker.quotes.quoting import NO_WAY, Asked, Attempt, Quoting
from federation.broker.quotes.seal import Sealed
from federation.broker.quotes.waiting import Waiting
from schemas.problem import Problem

HOLD_S: Final = 60  # how long fast operators are asked to hold, at most, while slow ones are waited for
SAME_WINDOW_S: Final = 90  # a window that begins now is asked for so long; then "now" is another time


class SlowAttempt(Attempt):
    """An attempt that waits for operators, and asks for what it asked before a restart."""

    def __init__(self, quoting: Quoting, asked: Asked, sight: Sight, journal: Journal, news: News) -> None:
        super().__init__(quoting, asked, sight)
        waiting = journal.waiting
        self._asked, self._journal, self._name_of_quote = asked, journal, waiting.id
        self._rounds = max(0, waiting.rounds - 1)  # the round of before a restart is the same one
        self._hand = hand_of(quoting, waiting)
        self._patient = PatientHand(self._hand, quoting.author, news, waiting.answer_by, journal.note)
        self._patient.resume(waiting.questions, waiting.held)
        if waiting.window is not None:
            self._see(sight._replace(query=structs.replace(sight.query, window=waiting.window)))

    async def run(self, first: Route) -> Sealed:
        """Rounds of asking until every operator of a path has granted, or time or paths are used up."""
        waiting = self._journal.waiting
        way = (waiting.route, waiting.labels) if waiting.route is not None else await self._way(first)
        while True:
            self._check_limits()
            if way is None:
                raise self._given_up(NO_WAY)
            if (sealed := await self._round(*way)) is not None:
                return sealed
            way = await self._elsewhere()

    def _see(self, sight: Sight) -> None:
        """Ask for what this search saw."""
        self._sight, intent = sight, self._intent
        self._shape = Shape(intent.bandwidth_bps, intent.mtu, sight.query.window, intent.boundary)

    async def _elsewhere(self) -> tuple[Route, Labels] | None:
        """The best of what is published by now, without what was refused. The window stays while it is young."""
        quoting = self._quoting
        within = quoting.within(self._asked)
        intent = within.confined(self._intent, quoting.searching.sheets) if within else self._intent
        sight, window = await quoting.searching.look(intent, 1, self._buyer), self._shape.window
        if intent.start is not None or window.start_s > quoting.author.clock.now() - SAME_WINDOW_S:
            sight = sight._replace(query=structs.replace(sight.query, window=window))
        self._see(sight)
        found = await quoting.searching.again(sight.snapshot, self._ruled.narrowed(sight.query))
        return (found.routes[0], self._labels(found.routes[0])) if isinstance(found, Found) else None

    async def _round(self, route: Route, labels: Labels) -> Sealed | None:
        await self._journal.write(route=route, labels=labels, window=self._shape.window, rounds=self._rounds + 1)
        await self._patient.only([segment.operator for segment in route.segments], self._limits.total_s_max)
        return await super()._round(route, labels)

    async def _ask(self, asks: list[Ask]) -> list[HeldQuote | Problem | None]:
        return await self._patient.ask(asks)

    def _left_s(self) -> float:
        return self._journal.waiting.answer_by - self._quoting.author.clock.now()


def hand_of(quoting: Quoting, waiting: Waiting) -> Hand:
    """An empty hand for a quote that may take long."""
    rates, hold_s = quoting.searching.terms.rates, max(HOLD_S, quoting.limits.hold_s)
    return Hand(quoting.peers, quoting.author, waiting.buyer, hold_s, power=waiting.power, rates=rates)

"""From an intent to one firm quote: search, ask every operator of the path at once, and crank back where one refuses.

The whole attempt sees one snapshot of the offers, so that its own holds do not stand in its way; what is learnt from
refusals is ruled out on top of it. It ends with every hold in the quote or let go, within its limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from federation.broker.authority.power import Power
from federation.broker.market.answer import why_best
from federation.broker.market.asking import Terms
from federation.broker.market.judging import Denied, rules_of
from federation.broker.market.searching import Searching, Sight
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.route import Route
from federation.broker.paths.search import Found
from federation.broker.peers.protocols import HeldQuote, OperatorPeer
from federation.broker.quotes.ask import Author, Shape, purpose_of, room, segment_of
from federation.broker.quotes.crankback import Ruled, given_up
from federation.broker.quotes.deciding import Judgement, judgement, whose
from federation.broker.quotes.grants import granted_to
from federation.broker.quotes.hand import Ask, Hand
from federation.broker.quotes.labels import Labels, repick, spread
from federation.broker.quotes.protocols import Claim, QuoteStore, StoredQuote
from federation.broker.quotes.seal import Bought, Sealed, path_view, seal
from federation.broker.quotes.tally import (
    Tally,
    beyond_words,
    broken,
    labels_agree,
    tally,
    too_large,
    too_late,
    too_slow,
    worse,
)
from federation.broker.quotes.within import Within
from federation.node.limits import AtOnce
from schemas.intent import Intent
from schemas.problem import Outcome, Problem

PAUSE_S_LEAST: Final = 0.05
PAUSE_S_SPREAD: Final = 0.25
NO_WAY: Final = "no other path satisfies the intent"


class QuotingLimits(Struct, frozen=True, kw_only=True):
    """How hard one quote is tried: rounds of asking, seconds in all, seconds that each hold lasts; how many quotes one
    buyer may have under way, each of which holds what others want."""

    rounds_max: int = 4
    total_s_max: float = 5.0
    round_s_least: float = 0.5
    hold_s: int = 30
    at_once_max: int = 16


class Quoting:
    """Makes end-to-end quotes and stores them."""

    def __init__(
        self,
        searching: Searching,
        peers: Mapping[str, OperatorPeer],
        author: Author,
        store: QuoteStore,
        limits: QuotingLimits,
    ) -> None:
        self.searching, self.peers, self.author = searching, peers, author
        self.store, self.limits = store, limits
        self.turn, self.turns = asyncio.Lock(), AtOnce(limits.at_once_max, "quotes")

    async def quote(
        self, buyer: str, intent: Intent, claim: Claim | None, power: Power | None = None, grants: tuple[str, ...] = ()
    ) -> StoredQuote:
        """A firm quote, durably stored, within the authority of `power`; with endpoint grants for the ends. There is no
        claim where the quote is but a step to the answer.

        Raises INVALID_ARGUMENT, POLICY_DENIED (naming the axis of the authority), NO_FEASIBLE_PATH (nothing was asked),
        or the code that says most of why operators refused, with `failed` and, where holds are left to expire,
        `left_to_expire` in `extra`; TOO_MANY_REQUESTS where the buyer has as many under way as it may.
        """
        with self.turns.one(buyer):
            return await self._quote(Asked(buyer, intent, power, grants), claim)

    async def sight(self, asked: Asked) -> tuple[Sight, Within | None]:
        """What a search for the intent sees within the authority. Raises what `quote` raises before it asks anybody."""
        intent = asked.intent
        within = self.within(asked)
        confined = within.confined(intent, self.searching.sheets) if within else intent
        sight = await self.searching.look(confined, 1, asked.buyer)
        if within is not None:
            within.check_first(sight)
            if isinstance(sight.found, Infeasible):
                for other in within.looser(intent, self.searching.sheets):
                    within.check_first(await self.searching.look(other, 1, asked.buyer))
        if isinstance(sight.found, Infeasible):
            raise no_path(sight, self.searching.terms)
        return sight, within

    def within(self, asked: Asked) -> Within | None:
        """The authority of who asks, where there is one."""
        return None if asked.power is None else Within(asked.power.authority, self.searching.terms)

    async def _quote(self, asked: Asked, claim: Claim | None) -> StoredQuote:
        sight, within = await self.sight(asked)
        attempt = Attempt(self, asked, sight)
        try:
            stored, texts = await attempt.run(first_of(sight))
            if within is not None:
                within.check_quote(stored)
            unheard = await self._put(stored, claim, texts)
        except Problem as problem:
            await attempt.let_go(())
            raise attempt.told(problem) from problem
        except Exception:
            await attempt.let_go(())
            raise
        await attempt.let_go(stored.held)
        if unheard is not None:
            raise unheard
        return stored

    async def _put(self, stored: StoredQuote, claim: Claim | None, texts: Mapping[str, str]) -> Problem | None:
        """Store a quote. Where nobody knows whether it is there, what it holds stays: who asks again may find it."""
        try:
            await self.store.put_quote(stored, claim, texts)
        except Problem as problem:
            if problem.outcome is not Outcome.UNKNOWN:
                raise
            return problem
        return None


class Asked(NamedTuple):
    """What a buyer asks, under which authority, with which endpoint grants."""

    buyer: str
    intent: Intent
    power: Power | None = None
    grants: tuple[str, ...] = ()


class Attempt:
    """One quote on its way."""

    def __init__(self, quoting: Quoting, asked: Asked, sight: Sight) -> None:
        buyer, intent, power, self._grants = asked
        self._quoting, self._limits, self._power = quoting, quoting.limits, power
        self._buyer, self._intent, self._sight = buyer, intent, sight
        self._shape = Shape(intent.bandwidth_bps, intent.mtu, sight.query.window, intent.boundary)
        rates = quoting.searching.terms.rates
        self._hand = Hand(quoting.peers, quoting.author, buyer, quoting.limits.hold_s, power=power, rates=rates)
        self._token = quoting.author.entropy.token()
        self._name_of_quote: str | None = None
        self._ruled = Ruled()
        self._came_back = False
        self._rounds = 0
        self._deadline = asyncio.get_running_loop().time() + quoting.limits.total_s_max

    async def run(self, first: Route) -> Sealed:
        """Rounds of asking until every operator of a path has granted, or nothing is left to try.

        Attempts that each hold half of the last of something would all fail. So one that others may stand in the way
        of lets go, and comes back when it is its turn: of those that come back, one at a time asks.
        """
        async with AsyncExitStack() as turn:
            sealed, route = None, first
            while sealed is None:
                self._check_limits()
                way = await self._way(route)
                if self._may_come_back and (way is None or self._rounds >= self._limits.rounds_max // 2):
                    await self._come_back(turn)
                    way = await self._way(first)
                if way is None:
                    raise self._given_up(NO_WAY)
                route, labels = way
                sealed = await self._round(route, labels)
        return sealed

    def _check_limits(self) -> None:
        if self._left_s() <= self._limits.round_s_least:
            raise self._given_up(f"the time for one quote is up, after {self._rounds} rounds")
        if self._rounds >= self._limits.rounds_max:
            raise self._given_up(f"that was the last try, after {self._rounds} rounds")

    @property
    def _may_come_back(self) -> bool:
        return self._ruled.contended and not self._came_back

    async def _come_back(self, turn: AsyncExitStack) -> None:
        """Let go of everything and wait for the turn; what others held before may be free then."""
        self._came_back = True
        await self.let_go(())
        share = spread(self._token, self._rounds) % 1024 / 1024
        await asyncio.sleep(PAUSE_S_LEAST + share * PAUSE_S_SPREAD)
        try:
            async with asyncio.timeout(self._left_s()):
                await turn.enter_async_context(self._quoting.turn)
        except TimeoutError:
            raise self._given_up("others were waiting for the same, and the time for one quote is up") from None
        self._ruled = self._ruled.reopened()

    async def _way(self, route: Route) -> tuple[Route, Labels] | None:
        """This route with labels, or the best of what is left; None where nothing is."""
        if self._ruled.allows(route):
            try:
                return route, self._labels(route)
            except Problem:
                pass  # every label of an interconnect is taken: the search looks elsewhere
        found = await self._quoting.searching.again(self._sight.snapshot, self._ruled.narrowed(self._sight.query))
        return (found.routes[0], self._labels(found.routes[0])) if isinstance(found, Found) else None

    def _labels(self, route: Route) -> Labels:
        """Labels for every place, those in hand where they may stay."""
        chosen = self._in_hand(route)
        return repick(self._ruled.places(route), route.keeps, f"{self._token}.{self._rounds}", chosen)

    def _in_hand(self, route: Route) -> Labels:
        chosen: list[int | None] = [None] * (len(route.segments) + 1)
        for index, wanted in enumerate(route.segments):
            held = self._hand.quotes.get(wanted.operator)
            for place, end, interface in ((index, "a", wanted.a), (index + 1, "z", wanted.z)):
                have = getattr(held.quote.segment, end) if held else None
                chosen[place] = have.label if have and have.interface == interface else chosen[place]
        return tuple(chosen)

    async def _round(self, route: Route, labels: Labels) -> Sealed | None:
        """Ask every operator of the route at once. None: something was refused, and is ruled out now."""
        self._rounds += 1
        first, last = route.interfaces[0], route.interfaces[-1]
        purpose = purpose_of(self._intent, (first, last), self._sight.snapshot.sheets)
        asks = [
            Ask(
                operator=wanted.operator,
                segment=segment_of(route, index, labels, self._shape),
                limits=room(self._intent.limits, route, index),
                currency=wanted.tariff.currency,
                grants=granted_to(self._grants, wanted.operator, wanted.a, wanted.z),
                purpose=purpose,
                confirm_within_s=self._intent.up_within_s,
            )
            for index, wanted in enumerate(route.segments)
        ]
        answers = await self._ask(asks)
        held = [answer for answer in answers if isinstance(answer, HeldQuote)]
        if len(held) < len(asks):
            self._learn(route, answers)
            return None
        return self._judged(route, tuple(held))

    async def _ask(self, asks: list[Ask]) -> Sequence[HeldQuote | Problem | None]:
        return await self._hand.ask(asks, self._left_s())

    def _learn(self, route: Route, answers: Sequence[HeldQuote | Problem | None]) -> None:
        for wanted, answer in zip(route.segments, answers, strict=True):
            if isinstance(answer, Problem):
                self._ruled = self._ruled.refused(wanted, self._name(wanted.operator), answer)

    def _judged(self, route: Route, held: tuple[HeldQuote, ...]) -> Sealed | None:
        """The signed quote, if the sum of what was granted keeps the intent; otherwise what fell short is ruled out."""
        assert labels_agree(held), "both sides of an interconnect were asked for one label"
        query, terms = self._sight.query, self._quoting.searching.terms
        found = tally(held, route.interconnect_us, query.currency, query.rates)
        if self._beyond_light(route, held, terms) or self._beyond_patience(route, held):
            return None
        if (absurd := beyond_words(held, found)) is not None:
            self._refuse(route, held.index(absurd), "DOCUMENT_INVALID", "quotes more than a path can be said to have")
            return None
        over = broken(found, query.limits, query.budget_micro)
        if over:
            self._fell_short(route, held, found, over)
            return None
        judged = self._judgement(held, terms)
        if judged.denied:
            self._not_permitted(route, judged.denied)
            return None
        bought = Bought(
            self._buyer, self._intent, held, found, judged, self._rounds,
            power=self._power, grants=self._grants, name=self._name_of_quote,
        )  # fmt: skip
        names = {one.operator: self._name(one.operator) for one in held}
        path = path_view(bought, names, self._sight.snapshot.sheets, terms, why=self._why)
        sealed = seal(bought, path, self._quoting.author, terms)
        if (longest := too_large(sealed.quote.document, held)) is not None:
            self._refuse(route, held.index(longest), "DOCUMENT_INVALID", "quotes at such length that a path cannot")
            return None
        return sealed

    def _beyond_light(self, route: Route, held: tuple[HeldQuote, ...], terms: Terms) -> bool:
        """Whether anybody promises what light itself could not do; who does is ruled out."""
        found = False
        for wanted, one in zip(route.segments, held, strict=True):
            segment = one.quote.segment
            why = terms.doubt(one.operator, segment.a.interface, segment.z.interface, one.quote.promise)
            if why is not None:
                name, found = self._name(wanted.operator), True
                self._ruled = self._ruled.refused(wanted, name, Problem("DOCUMENT_INVALID", f"{name} {why}"))
        return found

    def _beyond_patience(self, route: Route, held: tuple[HeldQuote, ...]) -> bool:
        """Whether a segment may come up later than was asked for, or than somebody keeps another one without a confirm;
        who needs so long, or does not wait, is ruled out."""
        late = too_late(held, self._intent.up_within_s)
        if (other := late or too_slow(held)) is None:
            return False
        hasty = "keeps nothing without a confirm for as long as others on the path need"
        why = "needs longer than was asked for" if late else hasty
        self._refuse(route, held.index(other), "OPERATOR_REFUSED", why)
        return True

    def _refuse(self, route: Route, place: int, code: str, why: str) -> None:
        """Rule out what one operator said."""
        name = self._name(route.segments[place].operator)
        self._ruled = self._ruled.refused(route.segments[place], name, Problem(code, f"{name} {why}"))

    def _judgement(self, held: tuple[HeldQuote, ...], terms: Terms) -> Judgement:
        rules = rules_of(self._intent, terms, self._buyer, self._quoting.author.clock.now())
        return judgement(rules, [(one.operator, one.quote.segment.route_class) for one in held], terms)

    def _not_permitted(self, route: Route, denied: tuple[Denied, ...]) -> None:
        """Operators that Cedar refuses are ruled out. Raises POLICY_DENIED where that is the broker itself."""
        operators = [wanted.operator for wanted in route.segments]
        for one in denied:
            place = whose(one, operators)
            if place is None:
                raise one.told(one.subject.entity)
            name = self._name(operators[place])
            self._ruled = self._ruled.refused(route.segments[place], name, one.told(name))

    @property
    def _why(self) -> str:
        """Why this path: the best there was, or the best that was left."""
        found = self._sight.found
        return self._ruled.why or (why_best(found, self._sight.query) if isinstance(found, Found) else "")

    def _fell_short(self, route: Route, held: tuple[HeldQuote, ...], found: Tally, over: tuple[str, ...]) -> None:
        said = ", ".join(over)
        for wanted in worse(route, held, found) or route.segments:
            name = self._name(wanted.operator)
            why = f"{name} quotes other than it offered, which breaks {said}"
            self._ruled = self._ruled.refused(wanted, name, Problem("OPERATOR_REFUSED", why))

    async def let_go(self, keep: tuple[HeldQuote, ...]) -> None:
        """Decline what is not kept."""
        await self._hand.let_go(keep, self._left_s())

    def told(self, problem: Problem) -> Problem:
        """The problem with what the attempt left behind."""
        return self._hand.told(problem)

    def _given_up(self, why: str) -> Problem:
        return given_up(self._ruled.failed, why, Outcome.UNDONE, rounds=self._rounds)

    def _name(self, operator: str) -> str:
        """Its name, or its id where it has left meanwhile."""
        peer = self._quoting.peers.get(operator)
        return operator if peer is None else peer.name

    def _left_s(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()


def first_of(sight: Sight) -> Route:
    """The best route of a search that found one."""
    assert isinstance(sight.found, Found), "whoever found nothing has said so"
    return sight.found.routes[0]


def no_path(sight: Sight, terms: Terms) -> Problem:
    """The intent cannot be met by anything published: what binds, and what would help."""
    answer = sight.answer(terms)
    limits = ", ".join(binding.limit for binding in answer.binding)
    why = f"no path keeps {limits}" if limits else "nothing published joins these places"
    hint = "; relaxations say what would help" if answer.relaxations else ""
    told = {
        name: getattr(answer, name) for name in ("window", "floor_us", "binding", "relaxations", "excluded", "epoch")
    }
    return Problem("NO_FEASIBLE_PATH", why + hint, outcome=Outcome.NONE, extra=msgspec.to_builtins(told))

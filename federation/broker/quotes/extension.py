"""A firm quote for a longer lease: every operator of the path, the same segments and labels, the added window.

There is no other path to go to: one refusal ends it, and what the others held for it is let go. Policy is judged
again, since what auditors attest may have changed since the order.
"""

from __future__ import annotations

from msgspec import Struct, structs

from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.crankback import Failure, given_up
from federation.broker.quotes.hand import Ask, Hand
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.quoting import Quoting
from federation.broker.quotes.seal import Bought, path_view, seal
from federation.broker.quotes.tally import labels_agree, tally
from federation.policy.limits import judge
from schemas.problem import Outcome, Problem
from schemas.segment import Segment, Window


class Leased(Struct, frozen=True, kw_only=True):
    """One segment of the order as it is in force."""

    operator: str
    product: str
    segment: Segment


class Longer(Struct, frozen=True, kw_only=True):
    """What is to be extended: the order, its quote, its segments in path order, and the window to be added."""

    order: str
    quote: StoredQuote
    leased: tuple[Leased, ...]
    window: Window


class Extending:
    """Makes extension quotes and stores them."""

    def __init__(self, quoting: Quoting) -> None:
        self._searching, self._terms = quoting.searching, quoting.searching.terms
        self._peers, self._author = quoting.peers, quoting.author
        self._store, self._limits = quoting.store, quoting.limits

    async def quote(self, longer: Longer) -> StoredQuote:
        """A firm quote over all segments, durably stored. Raises POLICY_DENIED, or why an operator refused."""
        self._check_policy(longer)
        hand = Hand(self._peers, self._author, longer.quote.buyer, self._limits.hold_s)
        try:
            stored = self._sealed(longer, await self._asked(longer, hand))
            await self._store.put_quote(stored, None)
        except Problem as problem:
            await hand.let_go((), self._limits.total_s_max)
            raise hand.told(problem) from problem
        return stored

    async def let_go(self, stored: StoredQuote) -> None:
        """Decline the holds of an extension that was not ordered."""
        hand = Hand(self._peers, self._author, stored.buyer, self._limits.hold_s)
        hand.quotes = {held.operator: held for held in stored.held}
        await hand.let_go((), self._limits.total_s_max)

    def _check_policy(self, longer: Longer) -> None:
        for leased in longer.leased:
            limits, facts = longer.quote.intent.sovereignty, self._terms.facts(leased.operator)
            for refusal in judge(limits, facts, leased.segment.route_class):
                why = f"{self._name(leased.operator)}: {refusal.detail}"
                extra = {"operator": leased.operator, "rule": refusal.rule}
                raise Problem("POLICY_DENIED", why, outcome=Outcome.NONE, extra=extra)

    async def _asked(self, longer: Longer, hand: Hand) -> tuple[HeldQuote, ...]:
        asks = [
            Ask(
                operator=leased.operator,
                segment=structs.replace(leased.segment, window=longer.window),
                product=leased.product,
            )
            for leased in longer.leased
        ]
        answers = await hand.ask(asks, self._limits.total_s_max)
        failed = [
            Failure(
                operator=ask.operator,
                operator_name=self._name(ask.operator),
                code=answer.code,
                detail=answer.detail,
            )
            for ask, answer in zip(asks, answers, strict=True)
            if isinstance(answer, Problem)
        ]
        if failed:
            raise given_up(failed, "the lease keeps its end", Outcome.UNDONE)
        return tuple(answer for answer in answers if isinstance(answer, HeldQuote))

    def _name(self, operator: str) -> str:
        return self._peers[operator].name if operator in self._peers else operator

    def _sealed(self, longer: Longer, held: tuple[HeldQuote, ...]) -> StoredQuote:
        before = longer.quote
        found = tally(held, interconnect_us(before), before.claims.total.currency, self._terms.rates)
        broken = before.intent.limits.broken_by(found.promise)
        if broken or not labels_agree(held):
            why = f"the operators now promise less: {', '.join(broken)}" if broken else "the labels do not agree"
            raise Problem("OPERATOR_REFUSED", f"{why}; the lease keeps its end")
        bought = Bought(before.buyer, before.intent, held, found, 1, longer.order)
        names = {operator: peer.name for operator, peer in self._peers.items()}
        path = path_view(bought, names, self._searching.sheets, self._terms)
        return seal(bought, path, self._author, self._terms)


def interconnect_us(quote: StoredQuote) -> tuple[int, ...]:
    """Latency of the interconnects of a quoted path: what its promise has beyond its segments, all counted once."""
    inside = sum(held.quote.promise.latency_us for held in quote.held)
    beyond = quote.claims.promise.latency_us - inside
    return (beyond, *(0 for _ in quote.held[2:])) if len(quote.held) > 1 else ()

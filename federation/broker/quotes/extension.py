"""A firm quote for a change of a lease: every operator of the path, the same segments and labels, the added window, or
another bandwidth in the window that is left.

There is no other path to go to: one refusal ends it, and what the others held for it is let go. Policy is judged
again, since what auditors attest may have changed since the order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct, structs

from federation.broker.authority.power import Power
from federation.broker.market.asking import ceiling
from federation.broker.market.judging import rules_of
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.ask import purpose_of
from federation.broker.quotes.crankback import Failure, given_up
from federation.broker.quotes.deciding import Judgement, judgement
from federation.broker.quotes.grants import granted_to
from federation.broker.quotes.hand import Ask, Hand
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.quoting import Quoting
from federation.broker.quotes.seal import Bought, Sealed, path_view, seal
from federation.broker.quotes.tally import beyond_words, labels_agree, tally, too_large
from federation.broker.quotes.within import Within
from federation.policy.limits import judge, lacking_marks
from schemas.answer import OrderView
from schemas.price import MICRO_MAX, PPM, Money, Tariff, total, usage
from schemas.problem import Outcome, Problem
from schemas.quote import SegmentQuote
from schemas.segment import Segment, Window


class Leased(Struct, frozen=True, kw_only=True):
    """One segment of the order as it is in force."""

    operator: str
    product: str
    segment: Segment


class Longer(Struct, frozen=True, kw_only=True):
    """What is to be changed: the order, its quote, its segments in path order, and the window to be added, or the one
    left that is to have `bandwidth_bps`. `total` is what the order costs beside, in full; `power` is the authority
    under which it is asked; `budget` the most that the change itself may cost.
    """

    order: str
    quote: StoredQuote
    leased: tuple[Leased, ...]
    window: Window
    total: Money
    power: Power | None = None
    bandwidth_bps: int | None = None
    budget: Money | None = None

    def segment(self, leased: Leased) -> Segment:
        """A segment as it is to be."""
        bps = self.bandwidth_bps or leased.segment.bandwidth_bps
        return structs.replace(leased.segment, window=self.window, bandwidth_bps=bps)

    def most(self, first: SegmentQuote, asked: Segment) -> Money:
        """What the tariff by which a segment was sold comes to for what is asked now, without any discount for length:
        another bandwidth counts in the term of the whole lease."""
        resized = structs.replace(first, segment=structs.replace(first.segment, bandwidth_bps=asked.bandwidth_bps))
        whole_s = self.window.end_s - first.segment.window.start_s
        return at_first_tariff(resized, self.window, None if self.bandwidth_bps is None else whole_s)


class Extending:
    """Makes quotes for changes and stores them."""

    def __init__(self, quoting: Quoting) -> None:
        self._searching, self._terms = quoting.searching, quoting.searching.terms
        self._peers, self._author = quoting.peers, quoting.author
        self._store, self._limits, self._turns = quoting.store, quoting.limits, quoting.turns
        self._asking: set[str] = set()

    async def change(self, longer: Longer, order: Callable[[StoredQuote], Awaitable[OrderView]]) -> OrderView:
        """What came of a change: `order` is given a firm quote over all segments, durably stored.

        Raises INCOMPATIBLE_STATE, POLICY_DENIED, TOO_MANY_REQUESTS, why an operator refused, or what `order` raises.
        """
        with self._alone(longer.order):
            stored = await self.quote(longer)
            return await self.kept(stored, order(stored))

    async def quote(self, longer: Longer) -> StoredQuote:
        """A firm quote over all segments, durably stored. Raises POLICY_DENIED, TOO_MANY_REQUESTS, or why an operator
        refused."""
        with self._turns.one(longer.quote.buyer):
            return await self._quote(longer)

    async def kept(self, stored: StoredQuote, ordering: Awaitable[OrderView]) -> OrderView:
        """What was ordered; its holds are let go where it was not."""
        try:
            return await ordering
        except Problem as problem:
            if problem.outcome is Outcome.UNKNOWN:
                raise  # it may have begun with these holds; if it has not, they end by themselves
            await self.let_go(stored)
            if problem.code == "NOT_FOUND":  # made while the store was away, or lost by it: nobody else knows of it
                why = "the store does not know what was quoted just now; ask again with the same key"
                raise Problem("UNAVAILABLE", why, outcome=Outcome.UNDONE, retry_after_s=1) from problem
            raise problem.with_outcome(Outcome.UNDONE) from problem

    @contextmanager
    def _alone(self, order: str) -> Iterator[None]:
        """One change of an order at a time: another would take the holds of this one."""
        if order in self._asking:
            why = "another change is being asked for; wait for its outcome"
            raise Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.NONE)
        self._asking.add(order)
        try:
            yield
        finally:
            self._asking.remove(order)

    async def _quote(self, longer: Longer) -> StoredQuote:
        self._check_policy(longer)
        hand = Hand(
            self._peers,
            self._author,
            longer.quote.buyer,
            self._limits.hold_s,
            power=longer.power,
            rates=self._terms.rates,
        )
        try:
            stored, texts = self._sealed(longer, await self._asked(longer, hand))
            if longer.power is not None:
                Within(longer.power.authority, self._terms).check_quote(stored, before=longer.total)
            await self._store.put_quote(stored, None, texts)
        except Problem as problem:
            await hand.let_go((), self._limits.total_s_max)
            raise hand.told(problem) from problem
        except Exception:
            await hand.let_go((), self._limits.total_s_max)
            raise
        return stored

    async def let_go(self, stored: StoredQuote) -> None:
        """Decline the holds of an extension that was not ordered."""
        hand = Hand(self._peers, self._author, stored.buyer, self._limits.hold_s)
        hand.quotes = {held.operator: held for held in stored.held}
        await hand.let_go((), self._limits.total_s_max)

    def _check_policy(self, longer: Longer) -> None:
        for leased in longer.leased:
            limits, facts = longer.quote.intent.sovereignty, self._terms.facts(leased.operator)
            lacking = lacking_marks(frozenset(longer.quote.intent.marks_required), self._terms.marks(leased.operator))
            for refusal in (*judge(limits, facts, leased.segment.route_class), *([lacking] if lacking else [])):
                why = f"{self._name(leased.operator)}: {refusal.detail}"
                extra = {"operator": leased.operator, "rule": refusal.rule}
                raise Problem("POLICY_DENIED", why, outcome=Outcome.NONE, extra=extra)
        self._judgement(longer)
        if longer.power is not None:  # before operators are asked, who would not say what stands in the way
            bps = longer.bandwidth_bps or longer.quote.claims.bandwidth_bps
            path = [(leased.operator, leased.segment.route_class) for leased in longer.leased]
            within = Within(longer.power.authority, self._terms)
            within.check_path(bps, path, longer.quote.intent.data_class)

    def _judgement(self, longer: Longer) -> Judgement:
        """What the policies of the intent say now. Raises POLICY_DENIED naming whom one does not permit, and why."""
        rules = rules_of(longer.quote.intent, self._terms, longer.quote.buyer, self._author.clock.now())
        path = [(leased.operator, leased.segment.route_class) for leased in longer.leased]
        found = judgement(rules, path, self._terms)
        for denied in found.denied:
            raise denied.told(self._name(denied.subject.entity), Outcome.NONE)
        return found

    async def _asked(self, longer: Longer, hand: Hand) -> tuple[HeldQuote, ...]:
        first, last = longer.leased[0], longer.leased[-1]
        ends = ((first.operator, first.segment.a.interface), (last.operator, last.segment.z.interface))
        purpose = purpose_of(longer.quote.intent, ends, self._searching.sheets)
        asks = [
            Ask(
                operator=leased.operator,
                segment=longer.segment(leased),
                product=leased.product,
                currency=first.quote.total.currency,
                grants=granted_to(
                    longer.quote.grants, leased.operator, leased.segment.a.interface, leased.segment.z.interface
                ),
                purpose=purpose,
            )
            for leased, first in zip(longer.leased, longer.quote.held, strict=True)
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
            raise given_up(failed, "the lease stays as it is", Outcome.UNDONE)
        return tuple(answer for answer in answers if isinstance(answer, HeldQuote))

    def _name(self, operator: str) -> str:
        return self._peers[operator].name if operator in self._peers else operator

    def _sealed(self, longer: Longer, held: tuple[HeldQuote, ...]) -> Sealed:
        before = longer.quote
        found = tally(held, interconnect_us(before), before.claims.total.currency, self._terms.rates)
        broken = before.intent.limits.broken_by(found.promise)
        if broken or not labels_agree(held):
            why = f"the operators now promise less: {', '.join(broken)}" if broken else "the labels do not agree"
            raise Problem("OPERATOR_REFUSED", f"{why}; the lease stays as it is")
        for one in held:
            ends = one.quote.segment.a.interface, one.quote.segment.z.interface
            why_not = self._terms.doubt(one.operator, *ends, one.quote.promise)
            if why_not is not None:
                raise Problem("OPERATOR_REFUSED", f"{self._name(one.operator)} {why_not}; the lease stays as it is")
        if (absurd := beyond_words(held, found)) is not None:
            why = f"{self._name(absurd.operator)} quotes more than a path can be said to have"
            raise Problem("OPERATOR_REFUSED", f"{why}; the lease stays as it is")
        self._check_price(longer, held, found.total)
        judged = self._judgement(longer)
        bought = Bought(before.buyer, before.intent, held, found, judged, 1, longer.order, longer.power, before.grants)
        names = {one.operator: self._name(one.operator) for one in held}
        path = path_view(bought, names, self._searching.sheets, self._terms)
        sealed = seal(bought, path, self._author, self._terms)
        if (longest := too_large(sealed.quote.document, held)) is not None:
            why = f"{self._name(longest.operator)} quotes at such length that a path cannot"
            raise Problem("OPERATOR_REFUSED", f"{why}; the lease stays as it is")
        return sealed

    def _check_price(self, longer: Longer, held: tuple[HeldQuote, ...], added: Money) -> None:
        """Nobody sees the price of a change before it is ordered, so it keeps the budget of the intent, and no
        operator takes more than the tariff by which it sold the lease comes to, nor more for leaving it early.
        """
        for first, one in zip(longer.quote.held, held, strict=True):
            most = longer.most(first.quote, one.quote.segment)
            if one.quote.total.currency != most.currency or one.quote.total.micro > most.micro:
                why = f"{self._name(one.operator)} asks {one.quote.total}, and at the tariff of the lease it is"
                raise Problem("OPERATOR_REFUSED", f"{why} {most}; the lease stays as it is")
            if (more := beside_use(first.quote.tariff, one.quote.tariff)) is not None:
                raise Problem("OPERATOR_REFUSED", f"{self._name(one.operator)} {more}; the lease stays as it is")
        if longer.budget is not None and added.micro > ceiling(longer.budget, added.currency, self._terms.rates):
            why = f"it would cost {added}, more than the budget of {longer.budget}; the lease stays as it is"
            raise Problem("NO_FEASIBLE_PATH", why, field="budget")
        most_micro = MICRO_MAX
        if longer.quote.intent.budget is not None:
            most_micro = ceiling(longer.quote.intent.budget, added.currency, self._terms.rates)
        whole = longer.total.micro + added.micro
        if whole > most_micro:
            why = f"the lease would cost {Money(added.currency, whole)}, more than the budget"
            raise Problem("NO_FEASIBLE_PATH", f"{why}; the lease stays as it is", field="budget")


def at_first_tariff(quote: SegmentQuote, added: Window, term_s: int | None = None) -> Money:
    """What a window costs by the tariff of a segment quote: its usage, without any discount for length. `term_s` is the
    term that counts where that is not the window's."""
    plain = structs.replace(quote.tariff, terms=tuple(t for t in quote.tariff.terms if t.factor_ppm > PPM))
    lines = usage(plain, quote.segment.bandwidth_bps, added.start_s, added.end_s, term_s or added.duration_s)
    return Money(quote.tariff.currency, total(lines))


def beside_use(first: Tariff, changed: Tariff) -> str | None:
    """What a change would cost beside use that the lease did not: the exit cost of the latest tariff is what counts,
    and is in no total; a set-up is due however early the lease ends."""
    if changed.exit_micro > first.exit_micro:
        asked, was = Money(changed.currency, changed.exit_micro), Money(first.currency, first.exit_micro)
        return f"asks {asked} for an early end, and sold the lease with {was}"
    if changed.set_up_micro:
        return f"asks {Money(changed.currency, changed.set_up_micro)} for setting up what is there already"
    return None


def interconnect_us(quote: StoredQuote) -> tuple[int, ...]:
    """Latency of the interconnects of a quoted path: what its promise has beyond its segments, all counted once."""
    inside = sum(held.quote.promise.latency_us for held in quote.held)
    beyond = quote.claims.promise.latency_us - inside
    return (beyond, *(0 for _ in quote.held[2:])) if len(quote.held) > 1 else ()

"""Another bandwidth for a lease in force: in place where every operator can, otherwise over a new path.

A new path is an order of its own between the same interfaces, until the same end, and in force before the old order is
released (make before break). Both are paid by the second while both exist; docs/ARCHITECTURE.md says what that is.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.authority.power import Buyer
from federation.broker.market.asking import ceiling
from federation.broker.orders.protocols import Orders
from federation.broker.orders.saga.bill import unused
from federation.broker.orders.saga.state import OrderState, Phase
from federation.broker.orders.terms import not_active
from federation.broker.quotes.extension import Extending, Leased, Longer
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.quotes.quoting import Quoting
from federation.node.seams import Clock
from schemas.answer import OrderView, ResizeView
from schemas.authority import Deed
from schemas.intent import Intent
from schemas.lease import State
from schemas.order import CONFIRM_WITHIN_S
from schemas.price import Money, RateTable, charge, total
from schemas.problem import Outcome, Problem, invalid
from schemas.request import Resize, Way
from schemas.segment import moment, window
from schemas.token import SKEW_S

# What keeps a lease from being changed where it is, and nothing else.
ELSEWHERE: Final = frozenset(
    "CAPACITY_CHANGED DOCUMENT_INVALID LABEL_TAKEN NOT_IMPLEMENTED NO_FEASIBLE_PATH OPERATOR_REFUSED "
    "OPERATOR_UNREACHABLE".split()
)

DEARER_MAX: Final = 10  # times what the lease comes to by its tariffs, for a path that nobody has seen the price of


class Resizing:
    """Changes bandwidths for the buyers of one broker."""

    def __init__(self, quoting: Quoting, extending: Extending, orders: Orders, clock: Clock) -> None:
        self._quoting, self._extending, self._orders, self._clock = quoting, extending, orders, clock

    async def resize(
        self, buyer: Buyer, state: OrderState, quote: StoredQuote, asked: Resize, claim: Claim
    ) -> ResizeView:
        """Which way it goes, and the order to use. Returns once that is durable and under way. `quote` is the one that
        became the order.

        Raises INVALID_ARGUMENT (it has that bandwidth), INCOMPATIBLE_STATE, POLICY_DENIED, or why it goes neither way.
        """
        check_resizable(state, asked)
        refused: Problem | None = None
        if asked.way is not Way.NEW_PATH:
            try:
                return ResizeView(way=Way.IN_PLACE, order=await self._in_place(buyer, state, quote, asked, claim))
            except Problem as problem:
                if asked.way is Way.IN_PLACE or problem.code not in ELSEWHERE:
                    raise
                refused = problem
        try:
            return ResizeView(way=Way.NEW_PATH, order=await self._new_path(buyer, state, quote, asked, claim))
        except Problem as problem:
            if refused is None:
                raise
            raise _neither(problem, refused) from problem

    async def _in_place(
        self, buyer: Buyer, state: OrderState, quote: StoredQuote, asked: Resize, claim: Claim
    ) -> OrderView:
        now = self._clock.now()
        buyer.may(Deed.EXTEND, now)
        freed = unused(state, min(now + CONFIRM_WITHIN_S, state.end_s) + SKEW_S)
        wanted = Longer(
            order=state.terms.id,
            quote=quote,
            leased=leased(state),
            window=window(now, state.end_s),
            total=Money(state.total.currency, max(0, state.total.micro - freed.micro)),
            power=buyer.power,
            bandwidth_bps=asked.bandwidth_bps,
            budget=asked.budget,
        )
        return await self._extending.change(wanted, lambda made: self._orders.extend(made, claim, buyer.budget))

    async def _new_path(
        self, buyer: Buyer, state: OrderState, quote: StoredQuote, asked: Resize, claim: Claim
    ) -> OrderView:
        for deed in (Deed.QUOTE, Deed.ORDER, Deed.RELEASE):
            buyer.may(deed, self._clock.now())
        rates = self._quoting.searching.terms.rates
        intent = replacing(quote.intent, state, asked, rates)
        try:
            stored = await self._quoting.quote(buyer.name, intent, None, buyer.power, quote.grants)
        except Problem as problem:
            raise _by_budget(problem, asked) from problem
        if (dear := too_dear(stored, state, rates, asked.budget)) is not None:
            await self._extending.let_go(stored)
            raise dear
        return await self._extending.kept(
            stored, self._orders.place(stored, claim, buyer.budget, replaces=state.terms.id)
        )


def check_resizable(state: OrderState, asked: Resize) -> None:
    """Whether an order may get another bandwidth now. Raises INVALID_ARGUMENT, INCOMPATIBLE_STATE."""
    if state.state is not State.ACTIVE:
        why = not_active(state, "gets another bandwidth")
        hint = "; release it, which costs nothing before its start, and order anew" if before_start(state) else ""
        raise Problem("INCOMPATIBLE_STATE", why + hint, outcome=Outcome.NONE)
    if state.extension is not None and state.extension.phase is not Phase.DROPPED:
        raise Problem("INCOMPATIBLE_STATE", "another change is under way; wait for its outcome", outcome=Outcome.NONE)
    if asked.bandwidth_bps == state.bandwidth_bps:
        raise invalid("bandwidth_bps", f"the lease has {state.bandwidth_bps:,} bit/s already; name another bandwidth")


def before_start(state: OrderState) -> bool:
    """Whether an order waits for its window to begin."""
    return state.state is State.COMMITTED and state.now_s < state.terms.start_s


def replacing(intent: Intent, state: OrderState, asked: Resize, rates: RateTable) -> Intent:
    """The intent of an order anew: another bandwidth between the very interfaces it has, from now until its end.
    Raises NO_FEASIBLE_PATH where leaving the order alone costs more than the budget."""
    first, last = leased(state)[0], leased(state)[-1]
    return structs.replace(
        intent,
        a=f"{first.segment.a.interface}@{first.operator}",
        z=f"{last.segment.z.interface}@{last.operator}",
        bandwidth_bps=asked.bandwidth_bps,
        start=None,
        duration_s=None,
        end=moment(state.end_s),
        budget=left_of(intent, state, asked.budget, rates),
    )


def left_of(intent: Intent, state: OrderState, budget: Money | None, rates: RateTable) -> Money | None:
    """What a new path may cost by the budgets of the intent and of the resize, after leaving the old one."""
    if budget is None:
        return intent.budget
    leaving = leaving_early(state, rates, intent.currency)
    most = [ceiling(budget, intent.currency, rates) - leaving.micro]
    if most[0] < 0:
        why = f"leaving the path there is costs {leaving} alone, more than the budget of {budget}"
        raise Problem("NO_FEASIBLE_PATH", why, field="budget", outcome=Outcome.NONE)
    if intent.budget is not None:
        most.append(ceiling(intent.budget, intent.currency, rates))
    return Money(intent.currency, min(most))


def leaving_early(state: OrderState, rates: RateTable, currency: str) -> Money:
    """What the operators of an order ask for its end before its time, by the latest tariffs."""
    micro = 0
    for part, leg in zip(state.terms.parts, state.legs, strict=True):
        tariff = (leg.longer[-1] if leg.longer else part.pledge).tariff
        if tariff is not None:
            micro += rates.convert(Money(tariff.currency, tariff.exit_micro), currency).micro
    return Money(currency, micro)


def too_dear(quote: StoredQuote, state: OrderState, rates: RateTable, budget: Money | None = None) -> Problem | None:
    """Why a new path is not bought unseen: with leaving it and the old one early it may come to more than the `budget`
    of the resize; where there is none, to more than the budget of the intent and far more than by the lease's tariffs.
    """
    claims = quote.claims
    currency, asked = claims.total.currency, claims.total.micro + claims.exit_total.micro
    if budget is not None:
        whole = asked + leaving_early(state, rates, currency).micro
        if whole <= ceiling(budget, currency, rates):
            return None
        why = f"with leaving both paths early it may come to {Money(currency, whole)}, more than the budget of {budget}"
        return Problem("NO_FEASIBLE_PATH", why, field="budget", outcome=Outcome.UNDONE)
    most = by_tariffs(quote, state, rates)
    allowed = quote.intent.budget
    if most is None or asked <= max(most, 0 if allowed is None else ceiling(allowed, currency, rates)):
        return None
    why = f"a new path may come to {Money(currency, asked)}, where by the tariffs of the lease it is a fraction of that"
    hint = "; ask for a quote, look at it, order it and release this order, or resize with a budget"
    return Problem("NO_FEASIBLE_PATH", why + hint, field="budget", outcome=Outcome.UNDONE)


def by_tariffs(quote: StoredQuote, state: OrderState, rates: RateTable) -> int | None:
    """So much a new path may cost where nobody said what it may, in micro-units of its currency; None for an order from
    before tariffs were kept."""
    claims, most = quote.claims, 0
    frame, currency = claims.window, claims.total.currency
    for tariff in (part.pledge.tariff for part in state.terms.parts):
        if tariff is None:
            return None
        lines = charge(tariff, claims.bandwidth_bps, frame.start_s, frame.end_s, frame.duration_s, early=True)
        most += DEARER_MAX * rates.convert(Money(tariff.currency, total(lines)), currency).micro
    return most


def leased(state: OrderState) -> tuple[Leased, ...]:
    """The segments of an order as they are in force."""
    pairs = zip(state.terms.parts, state.legs, strict=True)
    return tuple(
        Leased(operator=part.operator, product=leg.product or "", segment=leg.in_force or part.pledge.quoted)
        for part, leg in pairs
    )


def resize_view(order_id: str, order: OrderView) -> ResizeView:
    """The answer to a request that was answered before: the order that came of it says which way it went."""
    return ResizeView(way=Way.NEW_PATH if order.replaces == order_id else Way.IN_PLACE, order=order)


def _neither(problem: Problem, refused: Problem) -> Problem:
    """Why it goes neither way."""
    why = f"over a new path: {problem.detail}; in place: {refused.detail}"
    extra = problem.extra | {"in_place": {"code": refused.code, "detail": refused.detail}}
    return Problem(problem.code, why, field=problem.field, outcome=problem.outcome, extra=extra)


def _by_budget(problem: Problem, asked: Resize) -> Problem:
    """A search that finds nothing names what binds; that is the field of the resize where its budget does."""
    binding = problem.extra.get("binding", ())
    if asked.budget is None or all(one["limit"] != "budget" for one in binding):
        return problem
    return Problem(problem.code, problem.detail, field="budget", outcome=problem.outcome, extra=problem.extra)

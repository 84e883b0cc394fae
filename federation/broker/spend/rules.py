"""What an order takes from a budget, and when it is too much (pure).

Amounts convert at the quote's rates and are rounded up, against the spender: what is set aside is never less than what
a bill within the quote comes to.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from federation.broker.spend.protocols import Expense, Spent, Wanted
from federation.tokens.mandate import Budget
from schemas.price import Money
from schemas.problem import Outcome, Problem
from schemas.segment import Id


def expense_of(budget: Budget, wanted: Wanted, taken_micro: int, now: int) -> Expense:
    """The entry for an order, where `taken_micro` of the budget are taken already. Raises POLICY_DENIED."""
    micro = wanted.rates.convert(wanted.most, budget.ccy).micro
    if now >= budget.until:
        raise _denied("the mandate's time to order is over", budget, taken_micro)
    if micro > budget.per_order_micro:
        most = Money(budget.ccy, budget.per_order_micro)
        why = f"one order may cost {most}, and this may come to {Money(budget.ccy, micro)}, with the exit cost"
        raise _denied(why, budget, taken_micro)
    if micro > budget.total_micro - taken_micro:
        left = Money(budget.ccy, budget.total_micro - taken_micro)
        why = f"{left} is left under the mandate, and this may come to {Money(budget.ccy, micro)}, with the exit cost"
        raise _denied(why, budget, taken_micro)
    return Expense(
        id=wanted.id, mandate_h=budget.mandate_h, state=Spent.RESERVED, wanted=wanted, ccy=budget.ccy, micro=micro
    )


def check_same(found: Expense, budget: Budget, wanted: Wanted) -> Expense:
    """An expense entered before, if it is this one. Raises IDEMPOTENCY_CONFLICT."""
    if (found.mandate_h, found.wanted) != (budget.mandate_h, wanted):
        why = f"{wanted.id} was entered as another expense"
        raise Problem("IDEMPOTENCY_CONFLICT", why, outcome=Outcome.NONE)
    return found


def settled(found: Expense, bill: Money) -> Expense:
    """The entry with what it came to. Raises INCOMPATIBLE_STATE."""
    micro = found.wanted.rates.convert(bill, found.ccy).micro
    if found.state is Spent.SETTLED and micro == found.micro:
        return found
    if found.state is Spent.SETTLED:
        raise _impossible(f"{found.id} was settled at {Money(found.ccy, found.micro)}")
    if micro > found.micro:
        raise _impossible(f"{found.id} comes to {Money(found.ccy, micro)}, above what was set aside")
    return structs.replace(found, state=Spent.SETTLED, micro=micro)


def expense_id(order_id: Id, number: int) -> Id:
    """The expense of an order (0) or of its extension of that number."""
    return f"{order_id}.{number}" if number else order_id


def shares(bill: Money, expenses: Sequence[Expense]) -> tuple[Money, ...]:
    """What each expense of one order bears of its bill, the order's own first: none more than was set aside for it."""
    left, found = bill.micro, []
    for expense in expenses:
        most = expense.wanted.most
        share = min(left, most.micro) if most.currency == bill.currency else 0
        found.append(Money(most.currency, share))
        left -= share
    return tuple(found)


def nothing(found: Expense) -> Money:
    """The bill of an order that came to nothing."""
    return Money(found.ccy, 0)


def _denied(why: str, budget: Budget, taken_micro: int) -> Problem:
    extra = {"left": budget.total_micro - taken_micro, "ccy": budget.ccy}
    return Problem("POLICY_DENIED", why, field="mandate.spend", outcome=Outcome.NONE, extra=extra)


def _impossible(why: str) -> Problem:
    return Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.NONE)

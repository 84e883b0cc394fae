"""A ledger of expenses in memory, as plainly as it can be said: what every other one must agree with."""

from __future__ import annotations

from federation.broker.spend.protocols import Expense, Wanted
from federation.broker.spend.rules import check_same, expense_of, nothing, settled
from federation.tokens.mandate import Budget
from schemas.price import Money
from schemas.problem import not_found


class MemoryLedger:
    """Implements `SpendLedger`."""

    def __init__(self) -> None:
        self.expenses: dict[str, Expense] = {}

    def taken(self, mandate_h: str) -> int:
        """What is taken from a budget: the sum of its entries, reckoned anew each time."""
        return sum(one.micro for one in self.expenses.values() if one.mandate_h == mandate_h)

    async def reserve(self, budget: Budget, wanted: Wanted, now: int) -> Expense:
        """See `SpendLedger`."""
        if wanted.id in self.expenses:
            return check_same(self.expenses[wanted.id], budget, wanted)
        self.expenses[wanted.id] = expense_of(budget, wanted, self.taken(budget.mandate_h), now)
        return self.expenses[wanted.id]

    async def settle(self, expense_id: str, bill: Money) -> Expense:
        """See `SpendLedger`."""
        self.expenses[expense_id] = settled(self._find(expense_id), bill)
        return self.expenses[expense_id]

    async def credit(self, expense_id: str) -> Expense:
        """See `SpendLedger`."""
        return await self.settle(expense_id, nothing(self._find(expense_id)))

    async def left(self, budget: Budget) -> int:
        """See `SpendLedger`."""
        return budget.total_micro - self.taken(budget.mandate_h)

    async def reserved(self) -> tuple[Expense, ...]:
        """See `SpendLedger`."""
        return tuple(one for one in self.expenses.values() if one.state == "RESERVED")

    def _find(self, expense_id: str) -> Expense:
        if expense_id not in self.expenses:
            raise not_found(f"expense {expense_id}")
        return self.expenses[expense_id]

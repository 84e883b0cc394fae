"""What spending needs of the store, and what it keeps. SQLite implements it in `federation/broker/store`."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct

from federation.tokens.mandate import Budget
from schemas.price import Money, RateTable
from schemas.segment import Hash, Id


class Spent(StrEnum):
    """Where an expense stands: set aside at the quote's price, or settled at what it really came to."""

    RESERVED = "RESERVED"
    SETTLED = "SETTLED"


class Wanted(Struct, frozen=True, kw_only=True):
    """What an order may cost at most, exit included, at the rates of its quote. `id` is the order's; an extension has
    one of its own. The same `id` is the same expense."""

    id: Id
    most: Money
    rates: RateTable


class Charge(NamedTuple):
    """What is to be set aside of which budget, at Unix second `now`, in the transaction that begins an order."""

    budget: Budget
    wanted: Wanted
    now: int


class Expense(Struct, frozen=True, kw_only=True):
    """One entry: what it takes from the budget now, in micro-units of the mandate's currency."""

    id: Id
    mandate_h: Hash
    state: Spent
    wanted: Wanted
    ccy: str
    micro: int


class Left(Protocol):
    """What is left of a budget."""

    async def left(self, budget: Budget) -> int:
        """What may still be spent in all, in micro-units."""
        ...


class SpendLedger(Left, Protocol):
    """The budgets of the mandates that name this broker. One transaction per method, durable before it returns."""

    async def reserve(self, budget: Budget, wanted: Wanted, now: int) -> Expense:
        """Set aside what an order may cost, or find that this expense was entered before: then as it stands.

        Raises POLICY_DENIED (`extra`: left, ccy) where it is more than one order may cost or than is left, or the
        mandate's time is over; IDEMPOTENCY_CONFLICT where `wanted.id` was another expense; INVALID_ARGUMENT (rates).
        """
        ...

    async def settle(self, expense_id: Id, bill: Money) -> Expense:
        """Replace what was set aside by what it came to, at the quote's rates, rounded up; the rest is free again.

        Again with the same bill is no error. Raises NOT_FOUND, and INCOMPATIBLE_STATE for a bill above what was set
        aside or beside one that was settled: nothing changes then.
        """
        ...

    async def credit(self, expense_id: Id) -> Expense:
        """Settle at nothing: the order failed, expired or was never placed. As `settle`."""
        ...

    async def reserved(self) -> tuple[Expense, ...]:
        """Every expense that is not settled, oldest first: after a crash, those without an order are credited."""
        ...

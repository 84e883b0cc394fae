"""Budgets and expenses: `SpendLedger` over Redis, with the same rules as over SQLite.

`budget:MANDATE` holds what is taken of a budget, `expense:ID` an entry; every change of a budget depends on what was
taken before, so no two of them ever interleave. `reserve` may also run inside the transaction that begins an order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from federation.broker.spend.protocols import Expense, Spent, Wanted
from federation.broker.spend.rules import check_same, expense_of, nothing, settled, shares
from federation.broker.store.redis.keys import Keyspace, Transaction, named
from federation.tokens.mandate import Budget
from schemas.price import Money
from schemas.problem import not_found
from schemas.segment import Hash, Id

_DECODER: Final = msgspec.json.Decoder(Expense)
RESERVED: Final = "reserved"


class SpendKeys:
    """Implements `SpendLedger`."""

    _space: Keyspace

    async def reserve(self, budget: Budget, wanted: Wanted, now: int) -> Expense:
        """See `SpendLedger.reserve`."""
        return await self._space.transact(lambda transaction: reserve(transaction, budget, wanted, now))

    async def settle(self, expense_id: Id, bill: Money) -> Expense:
        """See `SpendLedger.settle`."""
        return await self._space.transact(lambda transaction: _settle(transaction, expense_id, bill))

    async def credit(self, expense_id: Id) -> Expense:
        """See `SpendLedger.credit`."""
        return await self._space.transact(lambda transaction: _settle(transaction, expense_id, None))

    async def left(self, budget: Budget) -> int:
        """See `SpendLedger.left`."""
        (taken,) = await self._space.keys.get([budget_name(budget.mandate_h)])
        return budget.total_micro - int(taken or 0)

    async def reserved(self) -> tuple[Expense, ...]:
        """See `SpendLedger.reserved`."""
        ids = await self._space.keys.ranked(RESERVED)
        bodies = await self._space.all([expense_name(one) for one in ids])
        found = (_DECODER.decode(body) for body in bodies if body is not None)
        return tuple(one for one in found if one.state is Spent.RESERVED)


async def reserve(transaction: Transaction, budget: Budget, wanted: Wanted, now: int) -> Expense:
    """`SpendLedger.reserve` within a transaction."""
    body, taken = await transaction.get(expense_name(wanted.id), budget_name(budget.mandate_h))
    if body is not None:
        transaction.rely()
        return check_same(_DECODER.decode(body), budget, wanted)
    expense = expense_of(budget, wanted, int(taken or 0), now)
    await _take(transaction, expense.mandate_h, expense.micro)
    _write(transaction, expense)
    transaction.append(RESERVED, expense.id)
    return expense


async def settle_order(transaction: Transaction, expense_ids: Sequence[Id], bill: Money) -> None:
    """Settle every expense of an order that has ended at its share of the bill. What was settled before, as that of an
    extension which came to nothing, stays and bears none of it."""
    known = await transaction.get(*map(expense_name, expense_ids))
    expenses = [_DECODER.decode(body) for body in known if body is not None]
    still = [found for found in expenses if found.state is Spent.RESERVED]
    for found, share in zip(still, shares(bill, still), strict=True):
        await _settle(transaction, found.id, share)


async def credit_unused(transaction: Transaction, expense_id: Id) -> None:
    """Credit what was set aside for an extension that came to nothing, where it still is."""
    (body,) = await transaction.get(expense_name(expense_id))
    if body is not None and _DECODER.decode(body).state is Spent.RESERVED:
        await _settle(transaction, expense_id, None)


async def _settle(transaction: Transaction, expense_id: Id, bill: Money | None) -> Expense:
    (body,) = await transaction.get(expense_name(expense_id))
    if body is None:
        raise not_found(f"expense {expense_id}")
    found = _DECODER.decode(body)
    after = settled(found, nothing(found) if bill is None else bill)
    transaction.rely()
    if after is not found:
        await _take(transaction, found.mandate_h, after.micro - found.micro)
        _write(transaction, after)
        transaction.drop(RESERVED, expense_id)
    return after


async def _take(transaction: Transaction, mandate_h: Hash, micro: int) -> None:
    (taken,) = await transaction.get(budget_name(mandate_h))
    after = int(taken or 0) + micro
    assert after >= 0, "no more is given back than was taken"
    transaction.put(budget_name(mandate_h), str(after))


def _write(transaction: Transaction, expense: Expense) -> None:
    transaction.put(expense_name(expense.id), msgspec.json.encode(expense).decode())


def budget_name(mandate_h: Hash) -> str:
    """The key of what is taken of a budget."""
    return named("budget", mandate_h)


def expense_name(expense_id: Id) -> str:
    """The key of an entry."""
    return named("expense", expense_id)

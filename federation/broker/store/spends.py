"""Budgets and expenses: `SpendLedger` over SQLite.

Each change is one transaction of the store's one writer, so no two of them ever interleave; `reserve` may also run
inside the transaction that begins an order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from federation.broker.spend.protocols import Expense, Spent, Wanted
from federation.broker.spend.rules import check_same, expense_of, nothing, settled, shares
from federation.node.sqlite import Database
from federation.tokens.mandate import Budget
from schemas.price import Money
from schemas.problem import not_found
from schemas.segment import Id

_DECODER = msgspec.json.Decoder(Expense)


class SpendRows:
    """Implements `SpendLedger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, budget: Budget, wanted: Wanted, now: int) -> Expense:
        """See `SpendLedger.reserve`."""
        return await self._database.write(lambda connection: reserve(connection, budget, wanted, now))

    async def settle(self, expense_id: Id, bill: Money) -> Expense:
        """See `SpendLedger.settle`."""
        return await self._database.write(lambda connection: _settle(connection, expense_id, bill))

    async def credit(self, expense_id: Id) -> Expense:
        """See `SpendLedger.credit`."""
        return await self._database.write(lambda connection: _settle(connection, expense_id, None))

    async def left(self, budget: Budget) -> int:
        """See `SpendLedger.left`."""
        return budget.total_micro - await self._database.read(lambda connection: _taken(connection, budget))

    async def reserved(self) -> tuple[Expense, ...]:
        """See `SpendLedger.reserved`."""
        query = "SELECT body FROM expenses WHERE state = 'RESERVED' ORDER BY rowid"
        return await self._database.read(lambda c: tuple(_DECODER.decode(row["body"]) for row in c.execute(query)))


def reserve(connection: sqlite3.Connection, budget: Budget, wanted: Wanted, now: int) -> Expense:
    """`SpendLedger.reserve` within a transaction."""
    found = _find(connection, wanted.id)
    if found is not None:
        return check_same(found, budget, wanted)
    expense = expense_of(budget, wanted, _taken(connection, budget), now)
    connection.execute(
        "INSERT INTO budgets (mandate_h, buyer, ccy, total_micro) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (mandate_h) DO UPDATE SET total_micro = max(total_micro, excluded.total_micro)",
        (budget.mandate_h, budget.buyer, budget.ccy, budget.total_micro),
    )
    _take(connection, expense, expense.micro)
    connection.execute(
        "INSERT INTO expenses (id, mandate_h, state, micro, body) VALUES (?, ?, ?, ?, ?)",
        (expense.id, expense.mandate_h, expense.state, expense.micro, msgspec.json.encode(expense)),
    )
    return expense


def settle_order(connection: sqlite3.Connection, expense_ids: Sequence[Id], bill: Money) -> None:
    """Settle every expense of an order that has ended at its share of the bill. What was settled before, as that of an
    extension which came to nothing, stays and bears none of it."""
    known = [_find(connection, name) for name in expense_ids]
    expenses = [found for found in known if found is not None and found.state is Spent.RESERVED]
    for found, share in zip(expenses, shares(bill, expenses), strict=True):
        _settle(connection, found.id, share)


def credit_unused(connection: sqlite3.Connection, expense_id: Id) -> None:
    """Credit what was set aside for an extension that came to nothing, where it still is."""
    found = _find(connection, expense_id)
    if found is not None and found.state is Spent.RESERVED:
        _settle(connection, expense_id, None)


def _settle(connection: sqlite3.Connection, expense_id: Id, bill: Money | None) -> Expense:
    found = _find(connection, expense_id)
    if found is None:
        raise not_found(f"expense {expense_id}")
    after = settled(found, nothing(found) if bill is None else bill)
    if after is not found:
        _take(connection, found, after.micro - found.micro)
        connection.execute(
            "UPDATE expenses SET state = ?, micro = ?, body = ? WHERE id = ?",
            (after.state, after.micro, msgspec.json.encode(after), expense_id),
        )
    return after


def _find(connection: sqlite3.Connection, expense_id: Id) -> Expense | None:
    row = connection.execute("SELECT body FROM expenses WHERE id = ?", (expense_id,)).fetchone()
    return None if row is None else _DECODER.decode(row["body"])


def _taken(connection: sqlite3.Connection, budget: Budget) -> int:
    row = connection.execute("SELECT taken_micro FROM budgets WHERE mandate_h = ?", (budget.mandate_h,)).fetchone()
    return 0 if row is None else int(row["taken_micro"])


def _take(connection: sqlite3.Connection, expense: Expense, micro: int) -> None:
    connection.execute(
        "UPDATE budgets SET taken_micro = taken_micro + ? WHERE mandate_h = ?", (micro, expense.mandate_h)
    )

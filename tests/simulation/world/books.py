"""A broker's store: what is written is there for every incarnation, each write may fail, and each takes a moment."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec

from federation.broker.orders.protocols import Filed
from federation.broker.orders.saga.state import OrderState, came_to_nothing
from federation.broker.quotes.basis import NO_TEXTS
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.quotes.waiting import Waiting
from federation.broker.spend.protocols import Charge, Spent
from federation.broker.spend.rules import check_same, expense_id, expense_of, nothing, settled, shares
from schemas.lease import TERMINAL
from schemas.price import Money
from schemas.problem import Problem
from tests.support.spend_model import MemoryLedger
from tests.support.world.memory import MemoryStore

WRITES: Final = frozenset({"claim", "answer", "put_quote", "put_waiting", "move_quote", "begin", "save"})


@lru_cache(maxsize=4096)
def _read(body: bytes) -> OrderState:
    """What is read is what was written; nobody changes what is frozen, so it is read once."""
    return msgspec.json.decode(body, type=OrderState)


class Books(MemoryStore):
    """`ClaimStore`, `QuoteStore` and `OrderStore` with budgets. A method is one transaction: it waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = MemoryLedger()
        self.waiting: dict[str, Waiting] = {}
        self.complaints: list[str] = []

    def states(self) -> list[OrderState]:
        """Every order, as its journal says."""
        return [_read(body) for body in self.journal.values()]

    def state(self, order_id: str) -> OrderState:
        """One order."""
        return _read(self.journal[order_id])

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Mapping[str, str] = NO_TEXTS) -> None:
        """See `QuoteStore.put_quote`: the quote of an extension answers no claim."""
        await super().put_quote(quote, claim or Claim(buyer=quote.buyer, key=f"quote {quote.id}", digest=""), texts)

    async def put_waiting(self, waiting: Waiting, claim: Claim | None = None) -> bool:
        """See `WaitingStore.put_waiting`."""
        present = self.waiting.get(waiting.id)
        if waiting.version != (present.version if present else 0) + 1:
            return False
        if claim is not None:
            await self.answer(claim, waiting.id, waiting.beat_s)
        self.waiting[waiting.id] = waiting
        return True

    async def get_waiting(self, buyer: str, quote_id: str) -> Waiting | None:
        """See `WaitingStore.get_waiting`."""
        return self._mine(self.waiting.get(quote_id), buyer, lambda waiting: waiting.buyer)

    async def open_waiting(self) -> tuple[Waiting, ...]:
        """See `WaitingStore.open_waiting`."""
        return tuple(sorted((one for one in self.waiting.values() if one.open), key=lambda one: one.id))

    async def prune_waiting(self, before_s: int) -> None:
        """See `WaitingStore.prune_waiting`."""
        self.waiting = {name: one for name, one in self.waiting.items() if one.open or one.beat_s >= before_s}

    async def begin(
        self,
        state: OrderState,
        quote_id: str,
        claim: Claim | None,
        filed: Sequence[Filed],
        charge: Charge | None = None,
    ) -> None:
        """See `OrderStore.begin`."""
        expenses = self.ledger.expenses
        expense = None
        if charge is not None:
            budget, wanted, now = charge
            found = expenses.get(wanted.id)
            taken = self.ledger.taken(budget.mandate_h)
            expense = check_same(found, budget, wanted) if found else expense_of(budget, wanted, taken, now)
        await super().begin(state, quote_id, claim, filed)
        if expense is not None:
            expenses[expense.id] = expense
            taken = self.ledger.taken(expense.mandate_h)
            if charge is not None and taken > charge.budget.total_micro:
                self.complaints.append(f"{taken} of {charge.budget.total_micro} were set aside under one mandate")

    async def save(self, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
        """See `OrderStore.save`."""
        await super().save(state, claims, filed)
        expenses = self.ledger.expenses
        names = [expense_id(state.terms.id, n) for n in range(state.extensions + 1)]
        if state.state in TERMINAL:
            open_ = [expenses[n] for n in names if n in expenses and expenses[n].state is Spent.RESERVED]
            bill = state.bill.total if state.bill else Money(state.total.currency, 0)
            for found, share in zip(open_, shares(bill, open_), strict=True):
                expenses[found.id] = settled(found, share)
        elif came_to_nothing(state) and state.extension is not None:
            found = expenses.get(expense_id(state.terms.id, state.extension.number))
            if found is not None and found.state is Spent.RESERVED:
                expenses[found.id] = settled(found, nothing(found))


@dataclass
class Disk:
    """The books behind a disk: before and after every transaction somebody else may come, or the end."""

    rng: random.Random
    told: Counter[str]
    books: Books = field(default_factory=Books)
    fails: float = 0.0

    def __getattr__(self, name: str) -> Any:
        method, write = getattr(self.books, name), name in WRITES

        async def transaction(*given: Any, **named: Any) -> Any:
            await asyncio.sleep(0)
            if write and self.fails and self.rng.random() < self.fails:
                self.told["broker's disk full"] += 1
                raise Problem("UNAVAILABLE", "the disk is full")
            answer = await method(*given, **named)
            if write:
                await asyncio.sleep(0)
            return answer

        return transaction

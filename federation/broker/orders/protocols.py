"""What the desk calls to order (`Orders`), and what orders need of a store (`OrderStore`).

SQLite implements the store in `federation/broker/store`. One transaction per method; a method returns only after a
durable commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from msgspec import Struct

from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.spend.protocols import Charge
from federation.tokens.mandate import Budget
from schemas.answer import OrderView

PAGE_MAX: Final = 500  # orders in one answer


class Orders(Protocol):
    """Orders of all buyers; each method sees one buyer's, and with `agent` only what was ordered with that key. Every
    method raises `Problem`.
    """

    async def place(
        self, quote: StoredQuote, claim: Claim, budget: Budget | None = None, replaces: str | None = None
    ) -> OrderView:
        """Commit to a held path quote. Returns once that is durable, before the operators have answered; the order
        id is bound to `claim`, and what it may come to is set aside of `budget`, in the same transaction. Raises
        QUOTE_USED (`extra`: order), QUOTE_EXPIRED, INCOMPATIBLE_STATE (declined), POLICY_DENIED (too little is left).
        Of many calls for one quote exactly one succeeds. The order that it `replaces` ends once this one is ACTIVE, and
        goes on if this one fails, which it also does where that one cannot be replaced.
        """
        ...

    async def extend(self, quote: StoredQuote, claim: Claim, budget: Budget | None = None) -> OrderView:
        """Commit to a held path quote of action modify for the order it names (`quote.claims.order`): more time, or
        another bandwidth. Returns once that is durable, with what it may come to set aside of `budget`. Raises
        NOT_FOUND, INCOMPATIBLE_STATE (not ACTIVE, a change is under way, the end is another by now), QUOTE_USED,
        QUOTE_EXPIRED, POLICY_DENIED (too little is left).
        """
        ...

    async def release(self, buyer: str, order_id: str, claim: Claim | None, agent: str | None = None) -> OrderView:
        """End it everywhere. Legal in every state, and again: then it answers with the present state. Returns once
        the wish is durable. Raises NOT_FOUND.
        """
        ...

    async def heartbeat(self, buyer: str, order_id: str, agent: str | None = None) -> OrderView:
        """The holder is still there; the order as it stands. What an eighth of its `idle_release_s` would be lost
        without is durable on return. In any state but an active one nothing comes of it. Raises NOT_FOUND.
        """
        ...

    async def get(self, buyer: str, order_id: str, agent: str | None = None) -> OrderView:
        """The order as it stands. Raises NOT_FOUND."""
        ...

    async def wait(self, buyer: str, order_id: str, wait_s: float, agent: str | None = None) -> OrderView:
        """The order once it stands still (ACTIVE, ended, or waiting for a later start), or after `wait_s` seconds as
        it then is. Raises NOT_FOUND.
        """
        ...

    async def list(
        self, buyer: str, agent: str | None = None, limit: int = PAGE_MAX, after: str | None = None
    ) -> tuple[OrderView, ...]:
        """At most `limit` orders of this buyer, latest first, those before the one named `after` in time; fewer where
        there are no more. Raises INVALID_ARGUMENT where that is no order of theirs."""
        ...


class Filed(Struct, frozen=True, kw_only=True):
    """A signed document to be kept with an order: its hash, the operator at the other end, the bytes."""

    document_h: str
    operator: str
    document: str


class Outdated(Exception):
    """The order was journaled since it was read, and nothing was written: read it again, and decide again."""


class OrderStore(Protocol):
    """The journal of orders. An entry replaces the one whose `version` is one less, and no other; the first has 1."""

    async def begin(
        self,
        state: OrderState,
        quote_id: str,
        claim: Claim | None,
        filed: Sequence[Filed],
        charge: Charge | None = None,
    ) -> None:
        """Use the quote and write the first row of an order, or the row with which its extension begins; bind the
        order id to the claim; file the documents; set the charge aside. All or nothing. Raises what
        `SpendLedger.reserve` raises, QUOTE_USED (`extra`: order) when the quote
        was used, QUOTE_EXPIRED or INCOMPATIBLE_STATE when it is EXPIRED or DECLINED, NOT_FOUND when it is unknown,
        `Outdated` when `state.version` is not the next one.
        """
        ...

    async def save(self, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
        """Write what is known of an order now, file the documents, and bind the order id to the claims. What was set
        aside for an order is settled with the row that ends it. Raises `Outdated` when `state.version` is not the next
        one."""
        ...

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        """The order, if it exists and is this buyer's."""
        ...

    async def list_orders(self, buyer: str, limit: int = PAGE_MAX, after: str | None = None) -> tuple[OrderState, ...]:
        """At most `limit` orders of this buyer, by the second they were placed in and their id, the highest first;
        with `after` those lower than this order of the buyer's, none if it is no such order."""
        ...

    async def unfinished(self) -> tuple[OrderState, ...]:
        """Every order that is not RELEASED or FAILED, of all buyers, in order of their ids."""
        ...

    async def find_product(self, operator: str, product: str) -> str | None:
        """The id of the order that owns a lease, whatever state it is in."""
        ...

"""The journal of orders: `OrderStore` over SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from federation.broker.orders.protocols import PAGE_MAX, Filed, Outdated
from federation.broker.orders.saga.state import OrderState, came_to_nothing
from federation.broker.quotes.protocols import Claim
from federation.broker.quotes.usable import check_usable
from federation.broker.spend.protocols import Charge
from federation.broker.spend.rules import expense_id
from federation.broker.store.claims import bind
from federation.broker.store.documents import file_documents
from federation.broker.store.quotes import use
from federation.broker.store.revocations import check_in_force
from federation.broker.store.spends import credit_unused, reserve, settle_order
from federation.node.sqlite import Database
from schemas.lease import TERMINAL, State
from schemas.price import Money

_DECODER = msgspec.json.Decoder(OrderState)


class OrderRows:
    """Implements `OrderStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(
        self,
        state: OrderState,
        quote_id: str,
        claim: Claim | None,
        filed: Sequence[Filed],
        charge: Charge | None = None,
    ) -> None:
        """See `OrderStore.begin`."""

        def work(connection: sqlite3.Connection) -> None:
            _check_usable(connection, state.terms.buyer, quote_id)
            _save(connection, state, [claim] if claim else [], filed)  # first: what was decided too late has no price
            if charge is not None:
                check_in_force(connection, charge.budget.buyer, charge.budget.mandate_h)
                reserve(connection, charge.budget, charge.wanted, charge.now)
            connection.execute("INSERT INTO uses (quote_id, order_id) VALUES (?, ?)", (quote_id, state.terms.id))
            use(connection, quote_id, state.terms.id)

        await self._database.write(work)

    async def save(self, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
        """See `OrderStore.save`."""
        await self._database.write(lambda connection: _save(connection, state, claims, filed))

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        """See `OrderStore.get_order`."""
        query = "SELECT body FROM orders WHERE id = ? AND buyer = ?"
        row = await self._database.look(lambda connection: connection.execute(query, (order_id, buyer)).fetchone())
        return None if row is None else _DECODER.decode(row["body"])

    async def list_orders(self, buyer: str, limit: int = PAGE_MAX, after: str | None = None) -> tuple[OrderState, ...]:
        """See `OrderStore.list_orders`."""
        lower = "(placed_s, id) < (SELECT placed_s, id FROM orders WHERE id = ? AND buyer = mine.buyer)"
        query = f"SELECT body FROM orders AS mine WHERE buyer = ? AND {'? IS NULL' if after is None else lower}"  # noqa: S608
        return await self._states(f"{query} ORDER BY placed_s DESC, id DESC LIMIT ?", (buyer, after, limit))

    async def unfinished(self) -> tuple[OrderState, ...]:
        """See `OrderStore.unfinished`."""
        return await self._states("SELECT body FROM orders WHERE finished = 0 ORDER BY id", ())

    async def find_product(self, operator: str, product: str) -> str | None:
        """See `OrderStore.find_product`."""
        query = "SELECT order_id FROM products WHERE operator = ? AND product = ?"
        row = await self._database.look(lambda connection: connection.execute(query, (operator, product)).fetchone())
        return None if row is None else str(row["order_id"])

    async def owner_of(self, order_id: str) -> tuple[str, str | None] | None:
        """See `SweepStore.owner_of`."""
        found = await self._states("SELECT body FROM orders WHERE id = ?", (order_id,))
        return (found[0].terms.buyer, found[0].terms.agent) if found else None

    async def _states(self, query: str, values: tuple[str | int | None, ...]) -> tuple[OrderState, ...]:
        def work(connection: sqlite3.Connection) -> tuple[OrderState, ...]:
            return tuple(_DECODER.decode(row["body"]) for row in connection.execute(query, values))

        return await self._database.read(work)


def _check_usable(connection: sqlite3.Connection, buyer: str, quote_id: str) -> None:
    """Raises the problem that keeps a quote from being ordered now."""
    row = connection.execute(
        "SELECT quotes.state, uses.order_id AS used FROM quotes LEFT JOIN uses ON uses.quote_id = quotes.id "
        "WHERE quotes.id = ? AND quotes.buyer = ?",
        (quote_id, buyer),
    ).fetchone()
    found = (None, None) if row is None else (State(row["state"]), row["used"])
    check_usable(quote_id, *found)


def _save(connection: sqlite3.Connection, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
    terms = state.terms
    written = connection.execute(*_entry(state))
    if written.rowcount == 0:
        raise Outdated(f"order {terms.id} is no longer at version {state.version - 1}")
    pairs = zip(terms.parts, state.legs, strict=True)
    connection.executemany(
        "INSERT INTO products (operator, product, order_id) VALUES (?, ?, ?) ON CONFLICT (operator, product) "
        "DO UPDATE SET order_id = excluded.order_id WHERE order_id != excluded.order_id",
        [(part.operator, leg.product, terms.id) for part, leg in pairs if leg.product is not None],
    )
    rows = [(one.document_h, one.operator, one.document) for one in filed]
    file_documents(connection, terms.buyer, terms.agent, rows)
    for claim in claims:
        bind(connection, claim, terms.id, state.now_s)
    _settle(connection, state)


def _entry(state: OrderState) -> tuple[str, tuple[object, ...]]:
    """The statement that journals a state in place of the one before it, and its values.

    What is in an index is written only where it changes.
    """
    terms, body = state.terms, msgspec.json.encode(state)
    if state.version == 1:
        query = (
            "INSERT INTO orders (id, buyer, state, finished, placed_s, version, body) VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO NOTHING"
        )
        over = state.state in TERMINAL
        return query, (terms.id, terms.buyer, state.state, over, terms.placed_s, state.version, body)
    finished = ", finished = 1" if state.state in TERMINAL else ""
    query = f"UPDATE orders SET state = ?, version = ?, body = ?{finished} WHERE id = ? AND version = ?"  # noqa: S608
    return query, (state.state, state.version, body, terms.id, state.version - 1)


def _settle(connection: sqlite3.Connection, state: OrderState) -> None:
    """What was set aside, in the transaction that ends an order or gives up its extension: none of it is forgotten."""
    if state.state in TERMINAL:
        bill = state.bill.total if state.bill else Money(state.total.currency, 0)
        settle_order(connection, [expense_id(state.terms.id, n) for n in range(state.extensions + 1)], bill)
    elif came_to_nothing(state) and state.extension is not None:
        credit_unused(connection, expense_id(state.terms.id, state.extension.number))

"""The journal of orders: `OrderStore` over Redis.

`order:ID` holds the whole state and `order-version:ID` how often it was journaled, which is what a commit looks at.
Indexes (`orders-of:BUYER`, `unfinished`, `product:OPERATOR:PRODUCT`) are written in the same commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from federation.broker.orders.protocols import PAGE_MAX, Filed, Outdated
from federation.broker.orders.saga.state import OrderState, came_to_nothing
from federation.broker.quotes.protocols import Claim
from federation.broker.spend.protocols import Charge
from federation.broker.spend.rules import expense_id
from federation.broker.store.redis.claims import bind, claim_name
from federation.broker.store.redis.documents import file_documents
from federation.broker.store.redis.keys import Keyspace, Transaction, named
from federation.broker.store.redis.quotes import stage_name, use
from federation.broker.store.redis.revocations import check_in_force, revoked_name
from federation.broker.store.redis.spends import budget_name, credit_unused, expense_name, reserve, settle_order
from schemas.lease import TERMINAL
from schemas.price import Money

UNFINISHED: Final = "unfinished"
_DECODER: Final = msgspec.json.Decoder(OrderState)


class OrderKeys:
    """Implements `OrderStore`."""

    _space: Keyspace

    async def begin(
        self,
        state: OrderState,
        quote_id: str,
        claim: Claim | None,
        filed: Sequence[Filed],
        charge: Charge | None = None,
    ) -> None:
        """See `OrderStore.begin`."""

        claims = [claim] if claim else []

        async def work(transaction: Transaction) -> None:
            await transaction.get(stage_name(quote_id), *_read(state, claims), *_charged(charge))  # all at once
            await use(transaction, state.terms.buyer, quote_id, state.terms.id)
            await _save(transaction, state, claims, filed)  # first: what was decided too late has no price to judge
            if charge is not None:
                await check_in_force(transaction, charge.budget.buyer, charge.budget.mandate_h)
                await reserve(transaction, charge.budget, charge.wanted, charge.now)

        await self._space.transact(work)

    async def save(self, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
        """See `OrderStore.save`."""

        async def work(transaction: Transaction) -> None:
            await transaction.get(*_read(state, claims))
            await _save(transaction, state, claims, filed)

        await self._space.transact(work)

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        """See `OrderStore.get_order`."""
        found = await self._states([order_id])
        return found[0] if found and found[0].terms.buyer == buyer else None

    async def list_orders(self, buyer: str, limit: int = PAGE_MAX, after: str | None = None) -> tuple[OrderState, ...]:
        """See `OrderStore.list_orders`."""
        return await self._states(await self._space.keys.below(named("orders-of", buyer), after, limit))

    async def unfinished(self) -> tuple[OrderState, ...]:
        """See `OrderStore.unfinished`."""
        found = await self._states(await self._space.keys.ranked(UNFINISHED))
        return tuple(state for state in found if state.state not in TERMINAL)

    async def find_product(self, operator: str, product: str) -> str | None:
        """See `OrderStore.find_product`."""
        (found,) = await self._space.keys.get([named("product", operator, product)])
        return found

    async def owner_of(self, order_id: str) -> tuple[str, str | None] | None:
        """See `SweepStore.owner_of`."""
        found = await self._states([order_id])
        return (found[0].terms.buyer, found[0].terms.agent) if found else None

    async def _states(self, ids: Sequence[str]) -> tuple[OrderState, ...]:
        bodies = await self._space.all([named("order", one) for one in ids])
        return tuple(_DECODER.decode(body) for body in bodies if body is not None)


def _read(state: OrderState, claims: Sequence[Claim]) -> list[str]:
    """The keys that an entry of the journal depends on."""
    return [named("order-version", state.terms.id), *map(claim_name, claims)]


def _charged(charge: Charge | None) -> list[str]:
    """Those that an expense depends on."""
    if charge is None:
        return []
    budget, wanted, _ = charge
    revoked = revoked_name(budget.buyer, budget.mandate_h)
    return [revoked, budget_name(budget.mandate_h), expense_name(wanted.id)]


async def _save(transaction: Transaction, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
    terms = state.terms
    (version,) = await transaction.get(named("order-version", terms.id))
    if int(version or 0) + 1 != state.version:
        raise Outdated(f"order {terms.id} is at version {version}, and this is {state.version}")
    transaction.put(named("order-version", terms.id), str(state.version))
    transaction.put(named("order", terms.id), msgspec.json.encode(state).decode())
    _index(transaction, state)
    rows = [(one.document_h, one.operator, one.document) for one in filed]
    file_documents(transaction, terms.buyer, terms.agent, rows)
    for claim in claims:
        await bind(transaction, claim, terms.id, state.now_s)
    await _settle(transaction, state)


def _index(transaction: Transaction, state: OrderState) -> None:
    terms = state.terms
    if state.version == 1:
        transaction.enter(named("orders-of", terms.buyer), terms.id, terms.placed_s)
    if state.state in TERMINAL:
        transaction.drop(UNFINISHED, terms.id)
    else:
        transaction.enter(UNFINISHED, terms.id, 0)
    for part, leg in zip(terms.parts, state.legs, strict=True):
        if leg.product is not None:
            transaction.keep(named("product", part.operator, leg.product), terms.id)


async def _settle(transaction: Transaction, state: OrderState) -> None:
    """What was set aside, in the transaction that ends an order or gives up its extension: none of it is forgotten."""
    if state.state in TERMINAL:
        bill = state.bill.total if state.bill else Money(state.total.currency, 0)
        ids = [expense_id(state.terms.id, number) for number in range(state.extensions + 1)]
        await settle_order(transaction, ids, bill)
    elif came_to_nothing(state) and state.extension is not None:
        await credit_unused(transaction, expense_id(state.terms.id, state.extension.number))

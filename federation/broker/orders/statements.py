"""Billing statements: written from the journal, signed, and kept with the other documents of their order.

A statement says only what the journal and the receipts say, its times included, so whoever asks again gets the same
bytes, and nothing has to be written down before an answer leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from federation.broker.authority.filing import Party
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.saga.statement import statement_claims
from federation.trust.jose import sign_jws
from federation.trust.keys import PrivateKey
from schemas.answer import StatementView
from schemas.lease import TERMINAL, State
from schemas.problem import Problem, not_found
from schemas.segment import EntityId, Hash

AGAIN_S = 2


class StatedOrders(Protocol):
    """What statements need of a store."""

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        """The order, if it exists and is this buyer's."""
        ...

    async def get_documents(self, buyer: str, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """Documents of this buyer by their hashes; those that are not there are missing."""
        ...

    async def file(self, party: Party, operator: EntityId | None, documents: tuple[str, ...]) -> None:
        """Keep documents of a buyer; the same again changes nothing."""
        ...


class Statements:
    """Signs statements with one key."""

    def __init__(self, key: PrivateKey, store: StatedOrders) -> None:
        self._key, self._store = key, store

    async def of(self, buyer: str, agent: Hash | None, order_id: str) -> StatementView:
        """The statement of an order that is over. Raises NOT_FOUND, INCOMPATIBLE_STATE while it is in force,
        UNAVAILABLE while its segments are being released."""
        state = await self._store.get_order(buyer, order_id)
        if state is None or not state.terms.of_agent(agent):
            raise not_found(f"order {order_id}")
        _check_over(state)
        names = [leg.receipt_h for leg in state.legs if leg.receipt_h]
        claims = statement_claims(state, await self._store.get_documents(buyer, names))
        document = sign_jws(self._key, claims)
        await self._store.file(Party(buyer, state.terms.agent), None, (document,))
        return StatementView(order=order_id, document=document, statement=claims)


def _check_over(state: OrderState) -> None:
    if state.state in TERMINAL:
        return
    if state.state in {State.RELEASING, State.COMPENSATING}:
        why = f"pending: order; it is {state.state}"
        raise Problem("UNAVAILABLE", why, retry_after_s=AGAIN_S, extra={"pending": "order"})
    raise Problem("INCOMPATIBLE_STATE", f"the order is {state.state}; what it came to is stated when it is over")

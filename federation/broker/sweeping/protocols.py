"""What sweeping needs of the journal; of operators it needs a `KeepingPeer`."""

from __future__ import annotations

from typing import Protocol

from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import StoredQuote
from federation.broker.quotes.waiting import Waiting


class SweepStore(Protocol):
    """The journal, across buyers."""

    async def unfinished(self) -> tuple[OrderState, ...]:
        """Every order that is not over."""
        ...

    async def open_quotes(self, since_s: int) -> tuple[StoredQuote, ...]:
        """Every quote that may be ordered, or could until this Unix second."""
        ...

    async def open_waiting(self) -> tuple[Waiting, ...]:
        """Every quote that some operator has not answered yet, or of which something is still to be let go."""
        ...

    async def find_product(self, operator: str, product: str) -> str | None:
        """The id of the order that owns a lease, whatever state it is in."""
        ...

    async def owner_of(self, order_id: str) -> tuple[str, str | None] | None:
        """The buyer of an order, and the key of the agent that placed it."""
        ...

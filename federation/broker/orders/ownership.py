"""Which replica of a broker carries an order (`Ownership`), and the trivial case of a broker without replicas.

Any replica takes a buyer's wish: it reads the order, decides, and journals over what it read. Only the one that owns an
order runs its effects. Owning makes things faster and quieter, never correct: entries of the journal replace only the
one before them, and effects are safe to do twice.
"""

from __future__ import annotations

from typing import Protocol

from federation.broker.orders.saga.state import OrderState


class Ownership(Protocol):
    """What the coordinator tells the other replicas. `shared` says whether there may be any."""

    shared: bool

    async def own(self, buyer: str, order_id: str) -> None:
        """Say that an order is this replica's, before its first entry is written: an announcement without an order is
        harmless, an order without one would be carried by nobody. Raises `UNAVAILABLE`.
        """
        ...

    def over(self, order_id: str) -> None:
        """There is nothing to carry any more. Never fails; what is not said now is found out later."""
        ...

    def tell(self, state: OrderState) -> None:
        """The order was journaled. Whoever misses it finds it by looking again."""
        ...


class Alone:
    """Implements `Ownership` where one broker has the store for itself: everything is its own."""

    shared = False

    async def own(self, buyer: str, order_id: str) -> None:
        """Nobody to tell."""

    def over(self, order_id: str) -> None:
        """Nobody to tell."""

    def tell(self, state: OrderState) -> None:
        """Nobody to tell."""

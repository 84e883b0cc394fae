"""The driver that drives nothing: every act succeeds at once, and what is up is remembered.

It carries no packet, so none crosses a boundary; a network that carries any needs a driver of its own.
"""

from __future__ import annotations

from typing import Any, ClassVar


class NullDriver:
    """`up` holds the wiring of every product that is up."""

    NAME: ClassVar = "null"
    bounds: ClassVar = True
    resizes: ClassVar = True

    def __init__(self) -> None:
        self.up: dict[str, Any] = {}

    async def bring_up(self, product: str, wiring: Any) -> None:
        """Remember it."""
        self.up[product] = wiring

    async def carried(self) -> frozenset[str]:
        """What is up."""
        return frozenset(self.up)

    async def take_down(self, product: str) -> None:
        """Forget it."""
        self.up.pop(product, None)

"""The driver that drives nothing: every act succeeds at once, and what is up is remembered."""

from __future__ import annotations

from typing import Any, ClassVar


class NullDriver:
    """`up` holds the wiring of every product that is up."""

    NAME: ClassVar = "null"

    def __init__(self) -> None:
        self.up: dict[str, Any] = {}

    async def bring_up(self, product: str, wiring: Any) -> None:
        """Remember it."""
        self.up[product] = wiring

    async def take_down(self, product: str) -> None:
        """Forget it."""
        self.up.pop(product, None)

"""What is remembered of mandates that their buyers took back. SQLite implements it in `federation/broker/store`."""

from __future__ import annotations

from typing import Protocol

from schemas.segment import Hash


class Revocations(Protocol):
    """Mandates by their hash, each of the buyer who revoked it: nobody revokes another's."""

    async def revoke(self, buyer: str, mandate_h: Hash, now: int) -> int:
        """Durable when it returns: the Unix second from which the mandate counts no more. Again changes nothing."""
        ...

    async def revoked(self, buyer: str, mandate_h: Hash) -> bool:
        """Whether a mandate counts no more."""
        ...

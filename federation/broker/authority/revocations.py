"""What is remembered of mandates that their buyers took back. SQLite implements it in `federation/broker/store`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from schemas.segment import Hash


class Revocations(Protocol):
    """Mandates by their hash and by whoever gave them, who alone can revoke them: an entity id, or the name of a buyer
    for the limits that the configuration sets. What a buyer is called else may change."""

    async def revoke(self, issuers: Collection[str], mandate_h: Hash, now: int) -> int:
        """As all that somebody is. Durable when it returns: the Unix second from which the mandate counts no more.
        Again changes nothing."""
        ...

    async def revoked(self, issuer: str, mandate_h: Hash) -> bool:
        """Whether a mandate counts no more."""
        ...

"""What the gathering of evidence needs: of a store, which SQLite implements, of this broker's log, and of operators."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from federation.broker.authority.filing import Chronicle, Filing
from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.protocols import StoredQuote
from schemas.evidence import LogEvidence
from schemas.segment import EntityId, Hash


class EvidenceStore(Filing, Chronicle, Protocol):
    """What was filed, by whose it is."""

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        """The order, if it exists and is this buyer's."""
        ...

    async def quotes_of(self, buyer: str, order_id: str) -> tuple[StoredQuote, ...]:
        """The quote of an order, and those that were made to extend it."""
        ...

    async def get_documents(self, buyer: str, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """Documents of this buyer by their hashes; those that are not there are missing."""
        ...

    async def get_passes(self, buyer: str, mandate_h: Hash, since: int, until: int) -> tuple[str, ...]:
        """Tokens under a mandate, and what they were asked for with, signed from one Unix second until another."""
        ...

    async def get_texts(self, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """Texts that quotes rest on, by their hashes."""
        ...


class Logged(Protocol):
    """The log of this broker."""

    async def inclusions(self, hashes: Sequence[Hash]) -> LogEvidence | None:
        """What shows that these documents stand in it; none until a witnessed checkpoint covers them all."""
        ...


class Elsewhere(Protocol):
    """Operators, which keep what they signed."""

    async def document(self, operator: EntityId, document_h: Hash) -> str | None:
        """A document between an operator and this broker; none where it has none. Raises `OPERATOR_UNREACHABLE`."""
        ...

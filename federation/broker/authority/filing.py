"""What is filed of an authority and of who is who, so that it can be shown later. SQLite implements it in
`federation/broker/store`.

Each method returns only after a durable commit; the same again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from schemas.segment import EntityId, Hash


class Party(NamedTuple):
    """Whose a document is: the buyer as the configuration names it, and the key of the agent that acts, if one does."""

    buyer: str
    agent: Hash | None


class Stood(NamedTuple):
    """A chain of an entity, from its own configuration upwards, and the Unix second since when it was believed here."""

    at: int
    tokens: tuple[str, ...]


class Filing(Protocol):
    """Signed documents of one party."""

    async def file(self, party: Party, operator: EntityId | None, documents: Sequence[str]) -> None:
        """File documents, to be found by their hashes. `operator` is the other end, where there is one."""
        ...


class Chronicle(Protocol):
    """Who was who, and when."""

    async def put_chains(self, at: int, chains: Mapping[EntityId, Sequence[str]]) -> None:
        """These chains are believed from the Unix second `at` on."""
        ...

    async def chains(self, entity: EntityId) -> tuple[Stood, ...]:
        """Every chain of an entity that was ever believed, the oldest first."""
        ...

"""What a log needs of a store. SQLite implements it in `sqlite.py`, beside the documents that the log is about; brokers
with replicas keep theirs in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from federation.evidence.checkpoint import Checkpoint
from federation.evidence.witness import AddCheckpoint, Refusal, Remembered
from schemas.evidence import Inclusion
from schemas.segment import EntityId, Hash

SIGNED, WITNESSED = "signed", "witnessed"
LEAVES_AT_ONCE: Final = 64  # a step that keeps orders waiting for the store a few milliseconds


class Kept(NamedTuple):
    """A checkpoint as it was signed, and its size."""

    size: int
    note: str


class LogStore(Protocol):
    """A tree that only ever grows at its end, its checkpoints, and what its node remembers as a witness of others.

    Each method is one transaction, durable when it returns, so a node that was killed goes on exactly where it was.
    """

    async def take(self, at_once: int = LEAVES_AT_ONCE) -> int:
        """Put documents that were filed since into the tree, in their order; how many were looked at."""
        ...

    async def tree(self) -> tuple[int, bytes]:
        """Size and root now."""
        ...

    async def checkpoint(self, kind: str) -> Kept | None:
        """The newest checkpoint that the log signed, or that enough witnesses signed with it."""
        ...

    async def keep(self, kind: str, kept: Kept) -> None:
        """Keep a checkpoint; before anybody sees it."""
        ...

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """That a tree of `old` leaves became the one of `new`, neither larger than now."""
        ...

    async def inclusions(self, hashes: Sequence[Hash], size: int) -> dict[Hash, Inclusion] | None:
        """Where documents stand in the tree of the first `size` leaves; none where one of them does not stand there."""
        ...

    async def known(self, hashes: Sequence[Hash]) -> bool:
        """Whether all of these were filed, in the tree yet or not."""
        ...

    async def witness(self, request: AddCheckpoint, log_key: str | None) -> Checkpoint | Refusal:
        """The verdict of this node as a witness; what is to be signed is remembered before this returns."""
        ...

    async def witnessed(self, entity: EntityId) -> Remembered:
        """What this node signed last for the log of a member."""
        ...

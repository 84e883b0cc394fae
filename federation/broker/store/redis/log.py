"""The log of a broker over Redis: `LogStore`. All replicas may grow it at once.

`log-queue` ranks what was filed and is not in the tree yet, `log-leaf:HASH` says where a document stands, and
`log-node:POSITION` holds the hashes of complete subtrees, in base64. Every growth depends on the size and root that it
began with (`log-tree`), so a size has one root, whichever replica made it; that is why they may all sign.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from federation.broker.store.redis.documents import QUEUE
from federation.broker.store.redis.keys import Keyspace, Transaction, named
from federation.evidence.checkpoint import Checkpoint, leaf_of, write_inclusion
from federation.evidence.protocols import LEAVES_AT_ONCE, Kept
from federation.evidence.tree import NOTHING, Growth, Read, consistency_proof, inclusion_proof, stored
from federation.evidence.witness import AddCheckpoint, Refusal, Remembered, judge
from schemas.evidence import Inclusion
from schemas.problem import Outcome, Problem
from schemas.segment import EntityId, Hash

T = TypeVar("T")
TREE: Final = "log-tree"
log = logging.getLogger(__name__)


class Size(Struct, array_like=True):
    """A tree: how many leaves, and its root."""

    size: int
    root: bytes  # msgspec writes bytes in base64


class Note(Struct, array_like=True):
    """A checkpoint as it is kept."""

    size: int
    note: str


_SIZE: Final = msgspec.json.Decoder(Size)
_NOTE: Final = msgspec.json.Decoder(Note)


class _Absent(Exception):
    """Hashes that a rule wants and nobody has fetched yet."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__()
        self.positions = positions


class LogKeys:
    """Implements `LogStore`."""

    def __init__(self, space: Keyspace) -> None:
        self._space = space

    async def take(self, at_once: int = LEAVES_AT_ONCE) -> int:
        """See `LogStore.take`."""

        async def work(transaction: Transaction) -> int:
            queued = await transaction.ranked(QUEUE, 0, at_once - 1)
            if queued:
                await self._grow(transaction, queued)
            return len(queued)

        return await self._space.transact(work)

    async def tree(self) -> tuple[int, bytes]:
        """See `LogStore.tree`."""
        (body,) = await self._space.keys.get([TREE])
        found = _size(body)
        return found.size, found.root

    async def checkpoint(self, kind: str) -> Kept | None:
        """See `LogStore.checkpoint`. What another replica signed and could not keep for certain is shown to nobody."""
        name = named("log-checkpoint", kind)

        async def work(transaction: Transaction) -> Kept | None:
            (body,) = await transaction.get(name)
            transaction.rely()
            found = None if body is None else _NOTE.decode(body)
            return None if found is None else Kept(found.size, found.note)

        return await self._space.transact(work)

    async def keep(self, kind: str, kept: Kept) -> None:
        """See `LogStore.keep`. A server that took the place of another may have a shorter tree than was signed."""
        name = named("log-checkpoint", kind)

        async def work(transaction: Transaction) -> None:
            body, tree = await transaction.get(name, TREE)
            transaction.rely()
            if _size(tree).size < kept.size:
                raise Problem("UNAVAILABLE", "the log is shorter now than when it was signed", outcome=Outcome.NONE)
            if body is None or _NOTE.decode(body).size <= kept.size:
                transaction.put(name, msgspec.json.encode(Note(*kept)).decode())

        await self._space.transact(work)

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """See `LogStore.consistency`."""
        return await self._with_nodes({}, lambda read: consistency_proof(read, old, new))

    async def inclusions(self, hashes: Sequence[Hash], size: int) -> dict[Hash, Inclusion] | None:
        """See `LogStore.inclusions`."""
        found, known = dict[Hash, Inclusion](), dict[int, bytes]()
        for one, place in zip(hashes, await self._leaves(hashes), strict=True):
            if place is None or place >= size:
                return None
            proof = await self._with_nodes(known, lambda read, at=place: inclusion_proof(read, at, size))  # type: ignore[misc]
            found[one] = write_inclusion(place, proof)
        return found

    async def known(self, hashes: Sequence[Hash]) -> bool:
        """See `LogStore.known`. The queue first: what leaves it meanwhile is in the tree."""
        queued = await self._space.keys.scores(QUEUE, hashes)
        logged = await self._leaves(hashes)
        return all(a is not None or b is not None for a, b in zip(queued, logged, strict=True))

    async def witness(self, request: AddCheckpoint, log_key: str | None) -> Checkpoint | Refusal:
        """See `LogStore.witness`."""
        name = named("log-witnessed", request.log)

        async def work(transaction: Transaction) -> Checkpoint | Refusal:
            (body,) = await transaction.get(name)
            verdict = judge(request, log_key, _remembered(body))
            if isinstance(verdict, Checkpoint):
                transaction.put(name, msgspec.json.encode(Size(verdict.size, verdict.root)).decode())
            return verdict

        return await self._space.transact(work)

    async def witnessed(self, entity: EntityId) -> Remembered:
        """See `LogStore.witnessed`. What another replica wrote down and could not keep for certain is not relied on."""

        async def work(transaction: Transaction) -> Remembered:
            (body,) = await transaction.get(named("log-witnessed", entity))
            if body is not None:
                transaction.rely()
            return _remembered(body)

        return await self._space.transact(work)

    # --- growing -----------------------------------------------------------------------------------------------

    async def _grow(self, transaction: Transaction, queued: Sequence[Hash]) -> None:
        body, *places = await transaction.get(TREE, *map(_leaf, queued))
        size = _size(body).size
        growth = await self._with_nodes({}, lambda read: Growth(read, size))
        for one, place in zip(queued, places, strict=True):
            transaction.drop(QUEUE, one)
            if place is None:
                _add(transaction, growth, one)
        for position, node in enumerate(growth.nodes, stored(size)):
            transaction.put(_node(position), base64.b64encode(node).decode())
        transaction.put(TREE, msgspec.json.encode(Size(growth.size, growth.root)).decode())

    async def _with_nodes(self, known: dict[int, bytes], rule: Callable[[Read], T]) -> T:
        """What a rule comes to once it has every hash that it reads. Nodes never change, so what was fetched stays."""

        def read(wanted: Sequence[int]) -> list[bytes]:
            absent = [one for one in wanted if one not in known]
            if absent:
                raise _Absent(absent)
            return [known[one] for one in wanted]

        while True:
            try:
                return rule(read)
            except _Absent as absent:
                found = await self._space.all([_node(one) for one in absent.positions])
                for position, body in zip(absent.positions, found, strict=True):
                    assert body is not None, f"the tree lacks node {position}"
                    known[position] = base64.b64decode(body)

    async def _leaves(self, hashes: Sequence[Hash]) -> list[int | None]:
        found = await self._space.all([_leaf(one) for one in hashes])
        return [None if place is None else int(place) for place in found]


def _add(transaction: Transaction, growth: Growth, document_h: Hash) -> None:
    try:
        leaf = leaf_of(document_h)
    except Problem:
        log.warning("a document was filed under %r, which is no hash; it is not in the log", document_h)
        return
    transaction.put(_leaf(document_h), str(growth.size))
    growth.add(leaf)


def _size(body: str | None) -> Size:
    return Size(0, NOTHING) if body is None else _SIZE.decode(body)


def _remembered(body: str | None) -> Remembered:
    if body is None:
        return Remembered()
    found = _SIZE.decode(body)
    return Remembered(found.size, found.root)


def _leaf(document_h: Hash) -> str:
    return named("log-leaf", document_h)


def _node(position: int) -> str:
    return named("log-node", str(position))

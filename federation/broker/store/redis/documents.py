"""Signed documents by buyer and hash over Redis, the texts that quotes rest on, and which chains were believed when.

Each document is put into the queue of the log in the same commit; one that another party filed before is not logged
twice, the log sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from federation.broker.authority.filing import Party, Stood
from federation.broker.authority.passes import passes_of
from federation.broker.store.redis.keys import Keyspace, Transaction, named
from federation.trust.jose import doc_hash
from schemas.segment import EntityId, Hash

QUEUE: Final = "log-queue"
Row = tuple[str, str | None, str]  # hash, operator, document


class Kept(Struct, array_like=True):
    """A document as it is kept."""

    agent: str | None
    operator: str | None
    document: str


_DECODER: Final = msgspec.json.Decoder(Kept)


class DocumentKeys:
    """Implements `Filing`, `Chronicle` and what `EvidenceStore` reads of them."""

    _space: Keyspace

    async def file(self, party: Party, operator: EntityId | None, documents: Sequence[str]) -> None:
        """See `Filing.file`."""
        rows = [(doc_hash(document), operator, document) for document in documents]
        found = [row for document in documents for row in passes_of(party.buyer, document)]

        async def work(transaction: Transaction) -> None:
            file_documents(transaction, party.buyer, party.agent, rows)
            for buyer, mandate_h, iat, document_h in found:
                transaction.rank(named("passes", buyer, mandate_h), document_h, iat)

        await self._space.transact(work)

    async def get_documents(self, buyer: str, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """See `EvidenceStore.get_documents`."""
        names = [*dict.fromkeys(hashes)]
        found = await self._space.all([_name(buyer, one) for one in names])
        return {one: _DECODER.decode(body).document for one, body in zip(names, found, strict=True) if body}

    async def get_document(self, buyer: str, document_h: str, agent: str | None = None) -> str | None:
        """See `QuoteStore.get_document`."""
        (body,) = await self._space.keys.get([_name(buyer, document_h)])
        kept = _DECODER.decode(body) if body else None
        return kept.document if kept and (agent is None or kept.agent == agent) else None

    async def get_passes(self, buyer: str, mandate_h: Hash, since: int, until: int) -> tuple[str, ...]:
        """See `EvidenceStore.get_passes`."""
        hashes = await self._space.keys.between(named("passes", buyer, mandate_h), since, until)
        return tuple((await self.get_documents(buyer, hashes)).values())

    async def get_texts(self, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """See `QuoteStore.get_texts`."""
        names = [*dict.fromkeys(hashes)]
        found = await self._space.all([named("text", one) for one in names])
        return {one: text for one, text in zip(names, found, strict=True) if text is not None}

    async def put_chains(self, at: int, chains: Mapping[EntityId, Sequence[str]]) -> None:
        """See `Chronicle.put_chains`."""

        async def work(transaction: Transaction) -> None:
            for entity, tokens in chains.items():
                keep_texts(transaction, {doc_hash(token): token for token in tokens})
                transaction.enter(named("standing", entity), ",".join(map(doc_hash, tokens)), at)

        await self._space.transact(work)

    async def chains(self, entity: EntityId) -> tuple[Stood, ...]:
        """See `Chronicle.chains`."""
        name = named("standing", entity)
        rows = await self._space.keys.ranked(name)
        since = await self._space.keys.scores(name, rows)
        texts = await self.get_texts({one for row in rows for one in row.split(",")})
        return tuple(
            Stood(at or 0, tuple(texts[one] for one in row.split(","))) for row, at in zip(rows, since, strict=True)
        )


def file_documents(transaction: Transaction, buyer: str, agent: str | None, rows: Iterable[Row]) -> None:
    """Keep documents for a buyer and, where one asked, for its agent; the same hash again changes nothing."""
    for document_h, operator, document in rows:
        kept = msgspec.json.encode(Kept(agent, operator, document)).decode()
        transaction.keep(_name(buyer, document_h), kept)
        transaction.append(QUEUE, document_h)


def forget_documents(transaction: Transaction, buyer: str, hashes: Iterable[Hash]) -> None:
    """Forget documents of a buyer; the log keeps their hashes."""
    for document_h in hashes:
        transaction.forget(_name(buyer, document_h))


def keep_texts(transaction: Transaction, texts: Mapping[Hash, str]) -> None:
    """Keep texts under their hashes; the same hash again changes nothing."""
    for text_h, text in texts.items():
        transaction.keep(named("text", text_h), text)


def _name(buyer: str, document_h: str) -> str:
    return named("document", buyer, document_h)

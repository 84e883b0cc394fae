"""Quotes, claims and documents in memory: what a broker's store promises, without a disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from federation.broker.quotes.basis import NO_TEXTS
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.trust.jose import doc_hash
from schemas.lease import State, move
from schemas.problem import Problem


class MemoryStore:
    """Implements `QuoteStore` and `ClaimStore`. `fail` is raised by the next write."""

    def __init__(self) -> None:
        self.quotes: dict[str, StoredQuote] = {}
        self.claims: dict[tuple[str, str], tuple[str, str | None]] = {}
        self.documents: dict[tuple[str, str], str] = {}
        self.texts: dict[str, str] = {}
        self.fail: Problem | None = None

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        """See `ClaimStore`."""
        digest, answer = self.claims.setdefault((claim.buyer, claim.key), (claim.digest, None))
        if digest != claim.digest:
            raise Problem("IDEMPOTENCY_CONFLICT", "another request")
        return answer

    async def answer(self, claim: Claim, answer_id: str, now_s: int) -> None:
        """See `ClaimStore`."""
        if self.fail:
            raise self.fail
        _, before = self.claims.get((claim.buyer, claim.key), ("", None))
        self.claims[claim.buyer, claim.key] = (claim.digest, before or answer_id)

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Mapping[str, str] = NO_TEXTS) -> None:
        """See `QuoteStore`."""
        if self.fail:
            raise self.fail
        self.quotes[quote.id] = quote
        for document in quote.documents():
            self.documents[quote.buyer, doc_hash(document)] = document
        self.texts |= texts
        if claim:
            await self.answer(claim, quote.id, quote.claims.iat)

    async def get_texts(self, hashes: Iterable[str]) -> dict[str, str]:
        """See `QuoteStore`."""
        return {one: self.texts[one] for one in hashes if one in self.texts}

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        """See `QuoteStore`."""
        found = self.quotes.get(quote_id)
        return found if found and found.buyer == buyer else None

    async def move_quote(self, buyer: str, quote_id: str, present: State, to: State) -> bool:
        """See `QuoteStore`."""
        found = await self.get_quote(buyer, quote_id)
        if found is None or found.state is not present:
            return False
        self.quotes[quote_id] = structs.replace(found, state=move(present, to))
        return True

    async def get_document(self, buyer: str, document_h: str, agent: str | None = None) -> str | None:
        """See `QuoteStore`."""
        assert agent is None, "nobody keeps agents apart here"
        return self.documents.get((buyer, document_h))

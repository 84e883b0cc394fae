"""The broker's store in memory: the same promises as the real one, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import structs

from federation.broker.orders.protocols import PAGE_MAX, Filed, Outdated
from federation.broker.orders.saga.state import OrderState
from federation.broker.quotes.basis import NO_TEXTS
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.quotes.waiting import Waiting
from federation.broker.spend.protocols import Charge
from federation.trust.jose import doc_hash
from schemas.lease import TERMINAL, State, move
from schemas.problem import Outcome, Problem, not_found

T = TypeVar("T")


class MemoryStore:
    """`ClaimStore`, `QuoteStore` and `OrderStore`. What is kept is what JSON keeps."""

    def __init__(self) -> None:
        self.quotes: dict[str, StoredQuote] = {}
        self.journal: dict[str, bytes] = {}
        self.uses: dict[str, str] = {}
        self.claims: dict[tuple[str, str], tuple[str, str | None]] = {}
        self.documents: dict[tuple[str, str], str] = {}
        self.texts: dict[str, str] = {}

    # --- claims --------------------------------------------------------------------------------------------

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        digest, answer = self.claims.setdefault((claim.buyer, claim.key), (claim.digest, None))
        self._check(claim, digest)
        return answer

    async def answer(self, claim: Claim, answer_id: str, now_s: int) -> None:
        digest, answer = self.claims.get((claim.buyer, claim.key), (claim.digest, None))
        self._check(claim, digest)
        self.claims[claim.buyer, claim.key] = (digest, answer or answer_id)

    def _check(self, claim: Claim, digest: str) -> None:
        if digest != claim.digest:
            raise Problem("IDEMPOTENCY_CONFLICT", "another body", field="Idempotency-Key", outcome=Outcome.NONE)

    # --- quotes --------------------------------------------------------------------------------------------

    async def put_quote(self, quote: StoredQuote, claim: Claim, texts: Mapping[str, str] = NO_TEXTS) -> None:
        assert quote.id not in self.quotes
        await self.answer(claim, quote.id, quote.claims.iat)
        self.texts |= texts
        self.quotes[quote.id] = quote
        for document in quote.documents():
            self.documents[quote.buyer, doc_hash(document)] = document

    async def get_texts(self, hashes: Iterable[str]) -> dict[str, str]:
        return {one: self.texts[one] for one in hashes if one in self.texts}

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        return self._mine(self.quotes.get(quote_id), buyer, lambda quote: quote.buyer)

    async def open_quotes(self, since_s: int) -> tuple[StoredQuote, ...]:
        held = [one for one in self.quotes.values() if one.state in {State.HELD, State.QUOTED}]
        return tuple(
            sorted((one for one in held if one.claims.exp > since_s), key=lambda one: (one.claims.exp, one.id))
        )

    async def open_waiting(self) -> tuple[Waiting, ...]:
        return ()

    async def owner_of(self, order_id: str) -> tuple[str, str | None] | None:
        found = [state.terms for state in self.states() if state.terms.id == order_id]
        return (found[0].buyer, found[0].agent) if found else None

    async def move_quote(self, buyer: str, quote_id: str, present: State, to: State) -> bool:
        move(present, to)
        quote = await self.get_quote(buyer, quote_id)
        if quote is None or quote.state is not present:
            return False
        self.quotes[quote_id] = structs.replace(quote, state=to)
        return True

    async def get_document(self, buyer: str, document_h: str, agent: str | None = None) -> str | None:
        assert agent is None, "nobody keeps agents apart here"
        return self.documents.get((buyer, document_h))

    # --- orders --------------------------------------------------------------------------------------------

    async def begin(
        self,
        state: OrderState,
        quote_id: str,
        claim: Claim | None,
        filed: Sequence[Filed],
        charge: Charge | None = None,
    ) -> None:
        assert charge is None, "budgets are the store's business, not the world's"
        quote = await self.get_quote(state.terms.buyer, quote_id)
        if quote is None:
            raise not_found(f"quote {quote_id}")
        if quote_id in self.uses:
            extra = {"order": self.uses[quote_id]}
            raise Problem("QUOTE_USED", "used", outcome=Outcome.NONE, extra=extra)
        if quote.state is State.EXPIRED:
            raise Problem("QUOTE_EXPIRED", "expired", outcome=Outcome.NONE)
        if quote.state not in {State.HELD, State.QUOTED}:
            raise Problem("INCOMPATIBLE_STATE", "declined", outcome=Outcome.NONE)
        await self.save(state, [claim] if claim else [], filed)
        self.uses[quote_id] = state.terms.id
        self.quotes[quote_id] = structs.replace(quote, state=State.COMMITTED, order=state.terms.id)

    async def save(self, state: OrderState, claims: Sequence[Claim], filed: Sequence[Filed]) -> None:
        present = self.state(state.terms.id).version if state.terms.id in self.journal else 0
        if state.version != present + 1:
            raise Outdated(state.terms.id)
        for claim in claims:
            await self.answer(claim, state.terms.id, state.now_s)
        self.journal[state.terms.id] = msgspec.json.encode(state)
        for one in filed:
            self.documents[state.terms.buyer, one.document_h] = one.document

    async def get_order(self, buyer: str, order_id: str) -> OrderState | None:
        found = next((state for state in self.states() if state.terms.id == order_id), None)
        return self._mine(found, buyer, lambda state: state.terms.buyer)

    async def list_orders(self, buyer: str, limit: int = PAGE_MAX, after: str | None = None) -> tuple[OrderState, ...]:
        mine = {(one.terms.placed_s, one.terms.id): one for one in self.states() if one.terms.buyer == buyer}
        below = [key for key in mine if after is None or any(key < last for last in mine if last[1] == after)]
        return tuple(mine[key] for key in sorted(below, reverse=True)[:limit])

    async def unfinished(self) -> tuple[OrderState, ...]:
        return tuple(sorted((s for s in self.states() if s.state not in TERMINAL), key=lambda s: s.terms.id))

    async def find_product(self, operator: str, product: str) -> str | None:
        for state in self.states():
            for part, leg in zip(state.terms.parts, state.legs, strict=True):
                if (part.operator, leg.product) == (operator, product):
                    return state.terms.id
        return None

    def states(self) -> list[OrderState]:
        return [msgspec.json.decode(body, type=OrderState) for body in self.journal.values()]

    def state(self, order_id: str) -> OrderState:
        return msgspec.json.decode(self.journal[order_id], type=OrderState)

    def _mine(self, found: T | None, buyer: str, owner: Callable[[T], str]) -> T | None:
        return found if found is not None and owner(found) == buyer else None

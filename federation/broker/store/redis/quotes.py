"""End-to-end quotes: `QuoteStore` over Redis. `quote:ID` never changes; `quote-state:ID` is the truth about its state,
the order it extends or was used for, and whether it was used."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct, structs

from federation.broker.quotes.basis import NO_TEXTS
from federation.broker.quotes.protocols import Claim, StoredQuote
from federation.broker.quotes.usable import check_usable
from federation.broker.store.redis.claims import bind
from federation.broker.store.redis.documents import file_documents, forget_documents, keep_texts
from federation.broker.store.redis.keys import Keyspace, Transaction, named
from federation.trust.jose import doc_hash
from schemas.lease import State, move
from schemas.segment import Hash

OPEN: Final = frozenset({State.HELD, State.QUOTED})
OPEN_QUOTES: Final = "open-quotes"  # of all buyers, by when they expire
LOST: Final = frozenset({State.EXPIRED, State.DECLINED})
LOST_QUOTES: Final = "lost-quotes"
SCORE_MAX: Final = 2**53 - 1


class Stage(Struct, frozen=True):
    """Where a quote stands."""

    buyer: str
    state: State
    exp: int
    order: str | None = None
    used: bool = False


_QUOTE: Final = msgspec.json.Decoder(StoredQuote)
_STAGE: Final = msgspec.json.Decoder(Stage)


class QuoteKeys:
    """Implements `QuoteStore`, but for documents and texts."""

    _space: Keyspace

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Mapping[Hash, str] = NO_TEXTS) -> None:
        """See `QuoteStore.put_quote`."""

        async def work(transaction: Transaction) -> None:
            keep_texts(transaction, texts)
            _put(transaction, quote)
            if claim is not None:
                await bind(transaction, claim, quote.id, quote.claims.iat)

        await self._space.transact(work)

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        """See `QuoteStore.get_quote`."""
        stage, body = await self._space.keys.get([stage_name(quote_id), named("quote", quote_id)])
        found = _decoded(stage, body)
        return found if found is not None and found.buyer == buyer else None

    async def quotes_of(self, buyer: str, order_id: str) -> tuple[StoredQuote, ...]:
        """See `EvidenceStore.quotes_of`."""
        ids = await self._space.keys.ranked(named("quotes-of", order_id))
        stages = await self._space.all([stage_name(one) for one in ids])
        bodies = await self._space.all([named("quote", one) for one in ids])
        found = [_decoded(stage, body) for stage, body in zip(stages, bodies, strict=True)]
        return tuple(one for one in found if one is not None and (one.buyer, one.order) == (buyer, order_id))

    async def open_quotes(self, since_s: int) -> tuple[StoredQuote, ...]:
        """See `SweepStore.open_quotes`."""
        ids = await self._space.keys.between(OPEN_QUOTES, since_s + 1, SCORE_MAX)
        stages = await self._space.all([stage_name(one) for one in ids])
        bodies = await self._space.all([named("quote", one) for one in ids])
        found = [_decoded(stage, body) for stage, body in zip(stages, bodies, strict=True)]
        return tuple(one for one in found if one is not None and one.state in OPEN)

    async def prune_quotes(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_quotes`; here one after the other."""
        ids = [
            one for name in (OPEN_QUOTES, LOST_QUOTES) for one in await self._space.keys.between(name, 0, before_s - 1)
        ]
        for quote_id in ids[:limit]:
            await self._space.transact(functools.partial(_prune, quote_id))
        return len(ids[:limit])

    async def prune_texts(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_texts`: here they are kept (docs/REPLICAS.md)."""
        return 0

    async def prune_tokens(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_tokens`: here they are kept."""
        return 0

    async def prune_chains(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_chains`: here they are kept."""
        return 0

    async def move_quote(self, buyer: str, quote_id: str, present: State, to: State) -> bool:
        """See `QuoteStore.move_quote`. Raises INCOMPATIBLE_STATE for a move that the table of states does not have."""
        move(present, to)

        async def work(transaction: Transaction) -> bool:
            stage = await _find(transaction, buyer, quote_id)
            if stage is None or stage.state is not present:
                return False
            _write(transaction, quote_id, structs.replace(stage, state=to))
            return True

        return await self._space.transact(work)


async def use(transaction: Transaction, buyer: str, quote_id: str, order_id: str) -> None:
    """Use a quote for an order. Raises the problem that keeps it from being ordered now."""
    stage = await _find(transaction, buyer, quote_id)
    check_usable(quote_id, stage.state if stage else None, stage.order if stage and stage.used else None)
    assert stage is not None, "or it is not usable"
    _write(transaction, quote_id, structs.replace(stage, state=State.COMMITTED, order=order_id, used=True))
    transaction.rank(named("quotes-of", order_id), quote_id, stage.exp)


async def _prune(quote_id: str, transaction: Transaction) -> None:
    """Forget a quote, unless it was ordered meanwhile."""
    stages, (body,) = await transaction.get(stage_name(quote_id)), await transaction.peek(named("quote", quote_id))
    for name in (OPEN_QUOTES, LOST_QUOTES):
        transaction.drop(name, quote_id)
    if stages[0] is None or body is None or _STAGE.decode(stages[0]).state is State.COMMITTED:
        return
    quote = _QUOTE.decode(body)
    forget_documents(transaction, quote.buyer, map(doc_hash, quote.own_documents()))
    if quote.order is not None:
        transaction.drop(named("quotes-of", quote.order), quote_id)
    transaction.forget(stage_name(quote_id))
    transaction.forget(named("quote", quote_id))


def _put(transaction: Transaction, quote: StoredQuote) -> None:
    transaction.absent(stage_name(quote.id))
    transaction.put(named("quote", quote.id), msgspec.json.encode(quote).decode())
    _write(transaction, quote.id, Stage(quote.buyer, quote.state, quote.claims.exp, quote.order))
    transaction.rank(OPEN_QUOTES, quote.id, quote.claims.exp)
    if quote.order is not None:
        transaction.rank(named("quotes-of", quote.order), quote.id, quote.claims.exp)
    between = {jws: held.operator for held in quote.held for jws in (held.rfq_jws, held.quote_jws)}
    rows = [(doc_hash(document), between.get(document), document) for document in quote.documents()]
    file_documents(transaction, quote.buyer, quote.agent, rows)


async def _find(transaction: Transaction, buyer: str, quote_id: str) -> Stage | None:
    (body,) = await transaction.get(stage_name(quote_id))
    stage = None if body is None else _STAGE.decode(body)
    return stage if stage is not None and stage.buyer == buyer else None


def _write(transaction: Transaction, quote_id: str, stage: Stage) -> None:
    transaction.put(stage_name(quote_id), msgspec.json.encode(stage).decode())
    if stage.state not in OPEN:
        transaction.drop(OPEN_QUOTES, quote_id)
    if stage.state in LOST:
        transaction.rank(LOST_QUOTES, quote_id, stage.exp)


def _decoded(stage: str | None, body: str | None) -> StoredQuote | None:
    if stage is None or body is None:
        return None
    found = _STAGE.decode(stage)
    return structs.replace(_QUOTE.decode(body), state=found.state, order=found.order)


def stage_name(quote_id: str) -> str:
    """The key of what changes of a quote."""
    return named("quote-state", quote_id)

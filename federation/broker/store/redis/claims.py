"""Idempotency keys: `ClaimStore` over Redis. Key `claim:BUYER:KEY` holds digest, answer and the time it was taken."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from federation.broker.housekeeping import CLAIMS_KEPT_S
from federation.broker.quotes.protocols import Claim, check_unrefused
from federation.broker.store.redis.keys import Keyspace, Transaction, named
from schemas.problem import Outcome, Problem


class Taken(Struct, array_like=True):
    """A claim as it is kept."""

    digest: str
    answer: str | None
    at_s: int


_DECODER: Final = msgspec.json.Decoder(Taken)


class ClaimKeys:
    """Implements `ClaimStore`."""

    _space: Keyspace

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        """See `ClaimStore.claim`."""

        async def work(transaction: Transaction) -> str | None:
            found = await _find(transaction, claim)
            if found is None:
                _write(transaction, claim, None, now_s)
            elif found.answer is not None:
                transaction.rely()
            return None if found is None else found.answer

        return await self._space.transact(work)

    async def prune_claims(self, before_s: int, limit: int) -> int:
        """See `PruneStore.prune_claims`: here each goes by itself."""
        return 0

    async def answer(self, claim: Claim, answer_id: str, now_s: int) -> None:
        """See `ClaimStore.answer`."""
        await self._space.transact(lambda transaction: bind(transaction, claim, answer_id, now_s))


async def bind(transaction: Transaction, claim: Claim, answer_id: str, now_s: int) -> None:
    """Make `answer_id` the answer of a claim, taking the claim now where it was not yet. The first answer stays.
    Raises IDEMPOTENCY_CONFLICT."""
    found = await _find(transaction, claim)
    check_unrefused(found.answer if found else None, answer_id)
    if found is None or found.answer is None:
        _write(transaction, claim, answer_id, found.at_s if found else now_s)
    else:
        transaction.rely()


async def _find(transaction: Transaction, claim: Claim) -> Taken | None:
    (body,) = await transaction.get(claim_name(claim))
    found = None if body is None else _DECODER.decode(body)
    if found is not None and found.digest != claim.digest:
        why = "this key came with another request before; use a new key for a new request"
        raise Problem("IDEMPOTENCY_CONFLICT", why, field="Idempotency-Key", outcome=Outcome.NONE)
    return found


def _write(transaction: Transaction, claim: Claim, answer: str | None, at_s: int) -> None:
    body = msgspec.json.encode(Taken(claim.digest, answer, at_s)).decode()
    transaction.put(claim_name(claim), body, CLAIMS_KEPT_S)


def claim_name(claim: Claim) -> str:
    """The key of a claim."""
    return named("claim", claim.buyer, claim.key)

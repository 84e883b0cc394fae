"""What goes on while the store of replicas is away: quotes, which commit nobody to anything (DESIGN section 4).

Nothing that changes an order comes through here, and orders are refused. A quote that cannot be written is kept by the
replica that made it, held at the operators alone, and written as soon as the store is back, which is before it can be
ordered. Proofs are filtered by this replica alone then, and brought to the others afterwards. What is kept meanwhile
is bounded, and a quote that ends before the store is back is forgotten: so is what a `kill -9` finds here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol, TypeVar

from federation.broker.authority.filing import Filing, Party
from federation.broker.authority.revocations import Revocations
from federation.broker.once import Turns
from federation.broker.quotes.basis import NO_TEXTS
from federation.broker.quotes.protocols import Claim, ClaimStore, QuoteStore, StoredQuote
from federation.node.callers import check_rate
from federation.node.limits import Buckets, Rate
from federation.node.seams import Clock
from federation.tokens.replay import Replay, Seen
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.segment import EntityId, Hash

T = TypeVar("T")
QUOTES_MAX: Final = 1_000  # kept by one replica until the store is back
RATE: Final = Rate(per_second=2, burst=20)  # quotes of one buyer meanwhile
KEY_S: Final = 300  # a key without a quote that still counts is forgotten after so long where others need the room
AGAIN_S: Final = 1.0  # a store that was away is not asked again before
log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """A quote that waits for the store."""

    quote: StoredQuote
    claim: Claim | None
    texts: Mapping[Hash, str]


class Proof(NamedTuple):
    """A proof that this replica alone has seen."""

    until: int
    role: str
    iss: str
    jti: str


class Whole(ClaimStore, QuoteStore, Revocations, Filing, Protocol):
    """What the store does while it is there."""


class Meanwhile:
    """Implements `ClaimStore` for quotes, `QuoteStore`, `Replay`, `Revocations` and `Filing`; `run` brings what was
    kept to the store when it is back."""

    def __init__(self, store: Whole, replay: Replay, clock: Clock) -> None:
        self._store, self._replay, self._clock = store, replay, clock
        self._quotes: dict[str, Kept] = {}
        self._claims: dict[tuple[str, str], tuple[Claim, int]] = {}
        self._answers: dict[Claim, str] = {}
        self._files: list[tuple[Party, EntityId | None, tuple[str, ...]]] = []
        self._seen, self._proofs = Seen(), list[Proof]()
        self._revoked: set[tuple[str, Hash]] = set()
        self._buckets, self._kept = Buckets(RATE), asyncio.Event()
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._away_until = 0.0

    # --- quotes ------------------------------------------------------------------------------------------------

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        """See `ClaimStore.claim`. Meanwhile a key counts at this replica alone."""
        name = (claim.buyer, claim.key)

        def here() -> str | None:
            check_rate(self._buckets, claim.buyer, self._clock)
            if name not in self._claims:
                self._make_room()
            self._kept.set()
            if self._claims.setdefault(name, (claim, self._clock.now()))[0].digest != claim.digest:
                why = "this key came with another request before; use a new key for a new request"
                raise Problem("IDEMPOTENCY_CONFLICT", why, field="Idempotency-Key", outcome=Outcome.NONE)
            made = next((kept.quote.id for kept in self._quotes.values() if kept.claim == claim), None)
            return made or self._answers.get(claim)

        return here() if name in self._claims else await self._or(lambda: self._store.claim(claim, now_s), here)

    async def answer(self, claim: Claim, answer_id: str, now_s: int) -> None:
        """See `ClaimStore.answer`."""

        def here() -> None:
            if len(self._answers) >= QUOTES_MAX:
                raise _full()
            self._answers[claim] = answer_id
            self._kept.set()

        await self._or(lambda: self._store.answer(claim, answer_id, now_s), here)

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Mapping[Hash, str] = NO_TEXTS) -> None:
        """See `QuoteStore.put_quote`."""

        def keep() -> None:
            now = self._clock.now()
            self._quotes = {name: kept for name, kept in self._quotes.items() if kept.quote.claims.exp > now}
            if len(self._quotes) >= QUOTES_MAX:
                raise _full()
            self._quotes[quote.id] = Kept(quote, claim, texts)
            self._kept.set()

        await self._or(lambda: self._store.put_quote(quote, claim, texts), keep)

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        """See `QuoteStore.get_quote`. One that is kept here is written first, if it can be: it may be ordered next."""
        if quote_id not in self._quotes:
            return await self._store.get_quote(buyer, quote_id)
        kept = self._quotes[quote_id]
        try:
            await self._write(kept)
        except Problem as problem:
            if problem.code != "UNAVAILABLE":
                raise
        return kept.quote if kept.quote.buyer == buyer else None

    async def move_quote(self, buyer: str, quote_id: str, present: State, to: State) -> bool:
        """See `QuoteStore.move_quote`; refused while the store is away."""
        if quote_id in self._quotes:
            await self._write(self._quotes[quote_id])
        return await self._store.move_quote(buyer, quote_id, present, to)

    async def get_texts(self, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """See `QuoteStore.get_texts`."""
        return await self._store.get_texts(hashes)

    async def get_document(self, buyer: str, document_h: str, agent: str | None = None) -> str | None:
        """See `QuoteStore.get_document`."""
        return await self._store.get_document(buyer, document_h, agent)

    # --- who asks ----------------------------------------------------------------------------------------------

    async def first(self, role: str, iss: str, jti: str, *, until: int, now: int) -> bool:
        """See `Replay.first`. Everything is remembered here too, so what came before the store went away counts."""
        if not self._seen.add(role, iss, jti, until=until, now=now):
            return False

        def here() -> bool:
            while self._proofs and self._proofs[0].until < now:
                heappop(self._proofs)
            heappush(self._proofs, Proof(until, role, iss, jti))
            self._kept.set()
            return True

        return await self._or(lambda: self._replay.first(role, iss, jti, until=until, now=now), here)

    async def revoke(self, issuers: Collection[str], mandate_h: Hash, now: int) -> int:
        """See `Revocations.revoke`; refused while the store is away."""
        return await self._store.revoke(issuers, mandate_h, now)

    async def revoked(self, issuer: str, mandate_h: Hash) -> bool:
        """See `Revocations.revoked`. Meanwhile, as far as this replica has heard; no order begins on its word, the
        store is asked in the transaction that would begin one."""
        known = (issuer, mandate_h)
        if known not in self._revoked and await self._or(lambda: self._store.revoked(issuer, mandate_h), lambda: False):
            self._revoked.add(known)
        return known in self._revoked

    async def file(self, party: Party, operator: EntityId | None, documents: Sequence[str]) -> None:
        """See `Filing.file`."""

        def keep() -> None:
            if len(self._files) >= QUOTES_MAX:
                raise _full()
            self._files.append((party, operator, tuple(documents)))
            self._kept.set()

        await self._or(lambda: self._store.file(party, operator, documents), keep)

    # --- when it is back ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write what was kept, again and again until it is written; until cancelled."""
        while True:
            await self._kept.wait()
            self._kept.clear()  # before, because something may be kept while the rest is written
            try:
                count = len(self._quotes)
                await self.write()
                log.info("the store is back; %d quotes were made meanwhile", count)
            except Problem as problem:
                self._kept.set()
                log.debug("the store is still away: %s", problem)
                await asyncio.sleep(AGAIN_S)

    async def write(self) -> None:
        """Write what was kept. Raises `UNAVAILABLE`; what is written then is written."""
        now = self._clock.now()
        while self._proofs:
            await self._tell(heappop(self._proofs), now)
        while self._files:
            await self._store.file(*self._files[0])
            self._files.pop(0)
        for kept in [*self._quotes.values()]:
            if kept.quote.claims.exp > now:
                await self._write(kept)
            self._quotes.pop(kept.quote.id, None)
        for claim, answer in [*self._answers.items()]:
            await self._bind(claim, answer)
            self._answers.pop(claim, None)
        self._claims.clear()

    async def _tell(self, proof: Proof, now: int) -> None:
        if proof.until < now:
            return
        try:
            await self._replay.first(proof.role, proof.iss, proof.jti, until=proof.until, now=now)
        except Problem:
            heappush(self._proofs, proof)
            raise

    def _make_room(self) -> None:
        """For one more key. Raises `UNAVAILABLE` where all that are here may still be asked about."""
        if len(self._claims) < QUOTES_MAX:
            return
        now = self._clock.now()
        live = {kept.claim for kept in self._quotes.values() if kept.quote.claims.exp > now}
        self._claims = {
            name: (claim, at) for name, (claim, at) in self._claims.items() if now - at < KEY_S or claim in live
        }
        if len(self._claims) >= QUOTES_MAX:
            raise _full()

    async def _bind(self, claim: Claim, answer: str) -> None:
        try:
            await self._store.answer(claim, answer, self._clock.now())
        except Problem as problem:
            if problem.code != "IDEMPOTENCY_CONFLICT":  # another replica had the key for something else
                raise

    async def _write(self, kept: Kept) -> None:
        """Once, however many want it when the store is back; and nobody waits for another quote's turn."""
        name = kept.quote.id
        if name not in self._writing:
            writing = self._writing[name] = asyncio.ensure_future(self._stored(kept))
            writing.add_done_callback(lambda _: self._writing.pop(name))
        await asyncio.shield(self._writing[name])

    async def _stored(self, kept: Kept) -> None:
        quote = kept.quote
        if await self._store.get_quote(quote.buyer, quote.id) is None:  # it may have been, and the answer was lost
            try:
                await self._store.put_quote(quote, kept.claim, kept.texts)
            except Problem as problem:
                if problem.code != "IDEMPOTENCY_CONFLICT":
                    raise
                await self._store.put_quote(quote, None, kept.texts)  # another replica had the key for something else
        self._quotes.pop(quote.id, None)

    async def _or(self, ask: Callable[[], Awaitable[T]], here: Callable[[], T]) -> T:
        """What the store says; while it is away what this replica says, without asking each time."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._away_until:
            try:
                return await ask()
            except Problem as problem:
                if problem.code != "UNAVAILABLE":
                    raise
                self._away_until = loop.time() + AGAIN_S
        return here()


class AnyTurn:
    """Implements `Turns` over those of replicas: while nobody can say whose turn it is, it is ours."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def take(self, claim: Claim) -> bool:
        """See `Turns.take`."""
        try:
            return await self._turns.take(claim)
        except Problem as problem:
            if problem.code != "UNAVAILABLE":
                raise
            return True

    async def leave(self, claim: Claim) -> bool:
        """See `Turns.leave`."""
        return await self._turns.leave(claim)


def _full() -> Problem:
    why = "as much as can be kept waits for the store; ask again when it is back"
    return Problem("UNAVAILABLE", why, outcome=Outcome.NONE, retry_after_s=1)

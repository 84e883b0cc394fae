"""What quoting stores, and what it needs of the store. SQLite implements it in `federation/broker/store`.

One transaction per method; a method returns only after a durable commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Protocol

from msgspec import Struct

from federation.broker.authority.power import Power
from federation.broker.peers.protocols import HeldQuote
from federation.broker.quotes.basis import NO_TEXTS, Basis
from federation.broker.quotes.grants import granted_to
from schemas.answer import DecisionView, PathView
from schemas.intent import Intent
from schemas.lease import State
from schemas.problem import Outcome, Problem
from schemas.quote import PathQuote
from schemas.segment import Hash


class StoredQuote(Struct, frozen=True, kw_only=True):
    """A firm end-to-end quote of one buyer: everything an order needs, without asking anybody.

    `id` is the `jti` of the path-quote. `document` is the signed path-quote, `document_h` its hash,
    `claims` its claims. `held` are the segment quotes in path order, oriented along the path: the z end of
    each meets the a end of the next. `state` is HELD (or QUOTED when a segment holds nothing) until it
    becomes COMMITTED, EXPIRED or DECLINED. `order` is the order this quote extends (action modify), or the
    one it was used for. `power` is the authority it was asked under, `grants` the endpoint grants that came along,
    `basis` what was believed of everybody concerned. `decision` is what was decided about the path, `policies` are
    those behind it that the buyer signed.
    """

    id: str
    buyer: str
    state: State
    intent: Intent
    document: str
    document_h: str
    claims: PathQuote
    held: tuple[HeldQuote, ...]
    path: PathView
    rounds: int = 1
    order: str | None = None
    power: Power | None = None
    grants: tuple[str, ...] = ()
    basis: Basis | None = None
    decision: DecisionView | None = None
    policies: tuple[str, ...] = ()

    @property
    def agent(self) -> str | None:
        """The key of the agent that asked; none for the buyer itself."""
        return None if self.power is None else self.power.key

    def grants_used(self) -> Iterator[str]:
        """Endpoint grants with which operators were asked, who verified them before they quoted. What else came along
        nobody has looked at."""
        for held in self.held:
            if held.grant_h is not None:
                ends = held.quote.segment.a.interface, held.quote.segment.z.interface
                yield from granted_to(self.grants, held.operator, *ends)

    def own_documents(self) -> Iterator[str]:
        """Those that belong to this quote alone: rfqs, segment quotes, the decision and the path-quote."""
        for held in self.held:
            yield held.rfq_jws
            yield held.quote_jws
        if self.decision is not None:
            yield self.decision.document
        yield self.document

    def documents(self) -> Iterator[str]:
        """Every signed document of this quote that was verified: the buyer's policies, the endpoint grants used, rfqs
        and segment quotes, the decision, and the path-quote."""
        yield from (*self.policies, *self.grants_used())
        yield from self.own_documents()


class Claim(Struct, frozen=True, kw_only=True):
    """A buyer's `Idempotency-Key` and the b64url SHA-256 of the canonical request it came with."""

    buyer: str
    key: str
    digest: str


REFUSAL: Final = "!"  # how an answer begins that is a refusal; an id never does


def check_unrefused(answered: str | None, answer_id: str) -> None:
    """Raises IDEMPOTENCY_CONFLICT where an effect is to be written under a key that was refused for good meanwhile, by
    another replica whose turn it was before."""
    if (answered or "").startswith(REFUSAL) and not answer_id.startswith(REFUSAL):
        why = "a copy of this request was refused meanwhile; use a new key to ask again"
        raise Problem("IDEMPOTENCY_CONFLICT", why, field="Idempotency-Key", outcome=Outcome.NONE)


class ClaimStore(Protocol):
    """Idempotency keys: one effect per (buyer, key), and none once it was refused."""

    async def claim(self, claim: Claim, now_s: int) -> str | None:
        """Take the key, or find it taken: the answer when there is one, None when there is none yet (what kept the
        first request from having an effect may pass, or it died before that was stored: it may run again). Raises
        IDEMPOTENCY_CONFLICT when the key came with another digest.
        """
        ...

    async def answer(self, claim: Claim, answer_id: str, now_s: int) -> None:
        """Bind the answer of a claim whose effect was not stored together with it, an id or a refusal. The first one
        stays. A key that is not taken, is now."""
        ...


class QuoteStore(Protocol):
    """End-to-end quotes."""

    async def put_quote(self, quote: StoredQuote, claim: Claim | None, texts: Mapping[Hash, str] = NO_TEXTS) -> None:
        """Store the quote, every document of it, the texts it rests on by their hashes and, as the claim's answer, its
        id: all or nothing. There is no claim where the quote is but a step to the answer, as for an extension."""
        ...

    async def get_texts(self, hashes: Iterable[Hash]) -> dict[Hash, str]:
        """Texts that quotes rest on, by their hashes; those that are not there are missing."""
        ...

    async def get_quote(self, buyer: str, quote_id: str) -> StoredQuote | None:
        """The quote, if it exists and is this buyer's."""
        ...

    async def move_quote(self, buyer: str, quote_id: str, present: State, to: State) -> bool:
        """Change the state if it still is `present`; False when it is not. An order's use of a quote is
        COMMITTED, and written in the transaction that stores the order."""
        ...

    async def get_document(self, buyer: str, document_h: str, agent: str | None = None) -> str | None:
        """A signed document of this buyer's quotes and orders, by its hash; with `agent`, of that key's alone."""
        ...

"""One order's evidence: its documents, from the last receipts back to the mandate, with all that they rest on.

Nothing is made here but the file: everything in it was signed when it happened, but for the statement of an order that
is over, which follows from the rest. A receipt that never reached this
broker, because an answer was lost or an operator gave one that nobody asked for, is asked of its operator and filed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from federation.broker.authority.filing import Party
from federation.broker.authority.passes import AFTER_QUOTE_S, BEFORE_QUOTE_S
from federation.broker.evidence.protocols import Elsewhere, EvidenceStore, Logged
from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.statements import Statements
from federation.broker.quotes.protocols import StoredQuote
from federation.evidence.checkpoint import entity_of
from federation.evidence.note import read_note
from federation.evidence.verify.bundle import Beside, Chain, bundled, names_in, shown, with_tokens
from federation.evidence.verify.standing import standing_of
from federation.trust.jose import claimed_typ, doc_hash, sha256_b64, unverified, verify_jws
from schemas.decision import Decision, Policy, PolicyRef
from schemas.entity import Jwks
from schemas.evidence import House, LogEvidence, PolicyText, Profile
from schemas.lease import BILLABLE, TERMINAL
from schemas.order import Confirm, Order, Receipt
from schemas.problem import Problem, not_found
from schemas.quote import Rfq, SegmentQuote
from schemas.segment import EntityId, Hash
from schemas.token import TYPES

AGAIN_S: Final = 2
Aside = Callable[[Callable[[], object]], Any]


class Gathering:
    """Makes bundles for the buyers of one broker. `anchors` are those that it believes itself; `aside` computes beside
    whatever else is going on."""

    def __init__(
        self,
        store: EvidenceStore,
        log: Logged,
        elsewhere: Elsewhere,
        anchors: Mapping[str, Jwks],
        *,
        aside: Aside,
        statements: Statements,
    ) -> None:
        self._store, self._log, self._elsewhere, self._statements = store, log, elsewhere, statements
        self._anchors, self._aside = anchors, aside

    async def bundle(self, buyer: str, agent: Hash | None, order_id: str, profile: Profile) -> bytes:
        """The bundle of an order. Raises NOT_FOUND, INCOMPATIBLE_STATE for an order that was never in force, and
        UNAVAILABLE with `extra` `pending` while something is on its way: the order itself, or a checkpoint.
        """
        state = await self._store.get_order(buyer, order_id)
        if state is None or not state.terms.of_agent(agent):
            raise not_found(f"order {order_id}")
        _check_settled(state)
        documents, rounds = await self._documents(Party(buyer, state.terms.agent), state)
        beside = await self._beside(documents, rounds)
        if profile is Profile.BUYER:
            documents = await self._with_authority(buyer, documents, rounds, beside)
            if state.state in TERMINAL:
                documents = (*documents, (await self._statements.of(buyer, agent, order_id)).document)
        chosen = shown(documents, profile)
        signed = [text.signed for text in beside.policies if text.signed]
        logged = await self._logged([*chosen, *signed])
        chains = await self._chains([*chosen, *signed, *beside.marks], logged, beside)
        work = functools.partial(
            bundled, profile, documents, replace(beside, chains=chains), {state.terms.issuer: logged}, self._anchors
        )
        found: bytes = await self._aside(work)
        return found

    # --- documents --------------------------------------------------------------------------------------------------

    async def _documents(self, party: Party, state: OrderState) -> tuple[tuple[str, ...], tuple[StoredQuote, ...]]:
        """The documents of the purchase and of every extension that was ordered, and their quotes."""
        quotes = await self._store.quotes_of(party.buyer, state.terms.id)
        receipts = {leg.receipt_h or "": part.operator for part, leg in zip(state.terms.parts, state.legs, strict=True)}
        mandates = frozenset(quote.claims.mandate_h for quote in quotes)
        found = await self._reached(party, receipts, mandates)
        rounds = tuple(quote for quote in quotes if quote.claims.decision_h in found)
        found |= await self._reached(party, {quote.document_h: "" for quote in rounds}, mandates)
        return tuple(found.values()), rounds

    async def _reached(
        self, party: Party, names: Mapping[Hash, EntityId], mandates: frozenset[Hash | None]
    ) -> dict[Hash, str]:
        """Everything that is named, and what that names; limits that this broker set itself are no document."""
        found, seen, wanted = dict[Hash, str](), set[Hash](), dict(names)
        while wanted:
            seen |= wanted.keys()
            there = await self._store.get_documents(party.buyer, wanted)
            for name, operator in wanted.items():
                if name not in there and name not in mandates:
                    there[name] = await self._asked(party, operator, name)
            found |= there
            wanted = {name: _other(token) for token in there.values() for name in names_in(token) if name not in seen}
        return found

    async def _asked(self, party: Party, operator: EntityId, name: Hash) -> str:
        """A receipt that did not reach this broker when it was signed."""
        token = await self._elsewhere.document(operator, name) if operator else None
        if token is None or doc_hash(token) != name:
            raise Problem("NOT_FOUND", f"a document of {operator or 'this broker'} is missing: {name}")
        signer = _signer(token)
        chains = [one.tokens for one in await self._store.chains(signer)]
        await self._aside(functools.partial(_check_signed, token, signer, chains, self._anchors))
        await self._store.file(party, operator, (token,))
        return token

    async def _with_authority(
        self, buyer: str, documents: Sequence[str], rounds: Sequence[StoredQuote], beside: Beside
    ) -> tuple[str, ...]:
        """With the endpoint grants that were shown, and the tokens that were used."""
        grants = [grant for quote in rounds for grant in quote.grants_used()]
        tokens: list[str] = []
        for quote in rounds:
            if quote.claims.mandate_h is not None:
                since, until = quote.claims.iat - BEFORE_QUOTE_S, quote.claims.iat + AFTER_QUOTE_S
                tokens += await self._store.get_passes(buyer, quote.claims.mandate_h, since, until)
        return with_tokens([*documents, *grants], tokens, beside)

    # --- beside them ------------------------------------------------------------------------------------------------

    async def _beside(self, documents: Iterable[str], rounds: Sequence[StoredQuote]) -> Beside:
        """Marks, lists, policies, intent and rates of the quotes, and the chains that were kept with them."""
        decisions = [unverified(token, Decision) for token in documents if claimed_typ(token) == "decision+jwt"]
        bases = [quote.basis for quote in rounds if quote.basis is not None]
        if not decisions or not bases:
            raise Problem("INCOMPATIBLE_STATE", "this order was placed before anything was kept to prove it by")
        names = {name for basis in bases for name in basis.hashes()}
        names |= {ref.policy_h for one in decisions for ref in one.policies} | {one.schema_h for one in decisions}
        names |= {name for quote in rounds for name in (quote.claims.intent_h, quote.claims.rates_h)}
        texts = await self._store.get_texts(names)
        chains: dict[EntityId, list[Chain]] = {}
        for basis in bases:
            for entity, chain in basis.chains.items():
                chains.setdefault(entity, []).append(tuple(texts[name] for name in chain))
        refs = {ref for one in decisions for ref in one.policies}
        return Beside(
            chains=chains,
            marks=[texts[name] for basis in bases for name in basis.marks],
            status_lists=[texts[name] for basis in bases for name in basis.status_lists.values()],
            policies=[_policy(ref, texts[ref.policy_h], rounds) for ref in refs],
            policy_schema=texts[decisions[0].schema_h],
            intent=msgspec.json.decode(texts[rounds[0].claims.intent_h]),
            rates={name: msgspec.json.decode(texts[name]) for name in {quote.claims.rates_h for quote in rounds}},
            house=_house(documents, rounds),
        )

    async def _logged(self, tokens: Sequence[str]) -> LogEvidence:
        found = await self._log.inclusions([doc_hash(token) for token in tokens])
        if found is None:
            raise _pending("checkpoint", "pending: checkpoint; others have not yet signed below the log of this broker")
        return found

    async def _chains(
        self, tokens: Iterable[str], logged: LogEvidence, beside: Beside
    ) -> dict[EntityId, tuple[Chain, ...]]:
        """Every chain that was ever believed of those who signed, and of witnesses."""
        entities = {_signer(token) for token in tokens} | set(beside.chains)
        entities |= {entity_of(line.name) for line in read_note(logged.checkpoint).lines}
        found = {}
        for entity in sorted(entities):
            rows = [*beside.chains.get(entity, ()), *(one.tokens for one in await self._store.chains(entity))]
            if rows:
                found[entity] = tuple(dict.fromkeys(rows))
        return found


def _check_settled(state: OrderState) -> None:
    """In force, or over after it was. Raises INCOMPATIBLE_STATE, UNAVAILABLE."""
    if not state.was_active and state.state in TERMINAL:
        raise Problem("INCOMPATIBLE_STATE", f"the order is {state.state} and was never in force: nothing was bought")
    if state.state not in BILLABLE | TERMINAL or not state.was_active:
        raise _pending("order", f"pending: order; it is {state.state}")
    if state.extension is not None:
        raise _pending("extension", "pending: extension; it is under way")


def _pending(what: str, why: str) -> Problem:
    return Problem("UNAVAILABLE", why, retry_after_s=AGAIN_S, extra={"pending": what})


def _policy(ref: PolicyRef, text: str, rounds: Iterable[StoredQuote]) -> PolicyText:
    """A policy by its text, with its buyer's signature where it has one."""
    signed = {token: unverified(token, Policy) for quote in rounds for token in quote.policies}
    named = (ref.name, ref.policy_h)
    own = [token for token, one in signed.items() if (one.name, sha256_b64(one.cedar.encode())) == named]
    return PolicyText(name=ref.name, cedar=text, signed=own[0] if own else None)


def _house(documents: Iterable[str], rounds: Iterable[StoredQuote]) -> House | None:
    """The limits of a buyer without a mandate, as they stand behind the quotes."""
    mandates = {doc_hash(token) for token in documents if claimed_typ(token) == "mandate+jwt"}
    for quote in rounds:
        if quote.power is not None and quote.power.mandate_h not in mandates:
            return House(buyer=quote.power.buyer, authority=quote.power.authority)
    return None


def _check_signed(token: str, signer: EntityId, chains: Sequence[Chain], anchors: Mapping[str, Jwks]) -> None:
    """What the hash of a document leaves out: its signature, by a key that its signer had when it was made. A wrong one
    would be filed for good. Raises `DOCUMENT_INVALID`."""
    kind = TYPES[claimed_typ(token)]
    claims: Any = unverified(token, kind.claims)
    spell = standing_of({signer: chains}, anchors).at(signer, claims.iat)
    aud = claims.aud if kind.addressed else None
    verify_jws(token, kind.claims, spell.member.keys, now=claims.iat, iss=signer, aud=aud)


def _signer(token: str) -> EntityId:
    claims: Any = unverified(token, TYPES[claimed_typ(token)].claims)
    issuer: EntityId = claims.iss
    return issuer


def _other(token: str) -> EntityId:
    """The operator that a document of a purchase is between, where there is one."""
    claims: Any = unverified(token, TYPES[claimed_typ(token)].claims)
    if isinstance(claims, Receipt | SegmentQuote):
        return claims.iss
    return claims.aud if isinstance(claims, Confirm | Order | Rfq) else ""

"""The bundle of a purchase, for each profile, as a broker would gather it."""

from __future__ import annotations

from collections.abc import Sequence

from federation.evidence.note import Type
from federation.evidence.verify.reading import canonical
from federation.policy.engine import schema_h
from federation.trust.jose import doc_hash
from schemas.evidence import Bundle, LogEvidence, Profile
from schemas.policy.texts import schema_text
from tests.support.evidence.cast import AUDITOR, BROKER, WITNESSES, chain, later, note_key
from tests.support.evidence.papers import RATES, Papers, Plan, intent_of, papers, plain, plain_hash, policy_texts
from tests.support.logs import MemoryLog

SINCE = -3600
SEEN = 1810
LOOKED = 2000  # seconds after the quote: when somebody verifies
BUYERS = ("decision", "path-quote", "rfq", "quote", "order", "confirm", "receipt", "release", "statement")
BUYERS_ALSO = ("mandate", "grant", "agent-token", "delegation", "operator-token")


def documents_of(made: Papers, profile: Profile) -> tuple[str, ...]:
    """The documents that a profile shows."""
    if profile is Profile.COUNTRIES:
        return made.named("decision")
    if profile is Profile.REGULATOR:
        shown = made.named("decision", "confirm", "receipt")
        return tuple(token for token in shown if ":released" not in _name(made, token))
    return made.named(*BUYERS, *BUYERS_ALSO)


def _name(made: Papers, token: str) -> str:
    return next(name for name, one in made.tokens.items() if one == token)


def log_of(tokens: Sequence[str], witnesses: Sequence[str] = WITNESSES, at: int = SEEN) -> LogEvidence:
    """The broker's log of these, among others, with its witnesses."""
    log = MemoryLog(note_key(BROKER, Type.NOTE))
    for number, token in enumerate(sorted(tokens)):
        log.add(doc_hash(f"other.{number}."), doc_hash(token))
    signers = [note_key(entity, Type.COSIGNATURE) for entity in sorted(witnesses)]
    return log.evidence([doc_hash(token) for token in tokens], signers, later(at))


def bundle_of(made: Papers, profile: Profile = Profile.BUYER, witnesses: Sequence[str] = WITNESSES) -> Bundle:
    """What proves the purchase."""
    assert schema_h(), "policies were decided under the shipped schema"
    plan, buyer = made.plan, profile is Profile.BUYER
    documents = documents_of(made, profile)
    policies = policy_texts(made)
    signed = [text.signed for text in policies if text.signed]
    entities = {BROKER, AUDITOR, *witnesses}
    entities |= {one.iss for name, one in made.claims.items() if made.tokens[name] in documents and _member(one.iss)}
    intent, rates = made.bent("intent", intent_of(plan)), made.bent("rates", RATES)
    return Bundle(
        profile=profile,
        chains={entity: (chain(entity, later(SINCE)),) for entity in entities},
        marks=tuple(sorted(made.named("mark"))),
        status_lists=tuple(sorted(made.named("status"))),
        documents=tuple(sorted(documents)),
        policies=policies,
        policy_schema=schema_text(),
        logs={BROKER: log_of([*documents, *signed], witnesses)},
        intent=plain(intent) if buyer else None,
        rates={plain_hash(rates): plain(rates)} if buyer else {},
        house=made.house if buyer else None,
    )


def _member(entity: str) -> bool:
    return entity not in {"https://buyer.example", "https://owner.example"}


def bundled(plan: Plan, profile: Profile = Profile.BUYER) -> bytes:
    """The bytes of a bundle."""
    return canonical(bundle_of(papers(plan), profile))

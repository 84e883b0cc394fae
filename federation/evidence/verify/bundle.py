"""Putting a bundle together from what a broker kept (pure): a purchase's documents, and of the rest what they need.

Documents name each other by hash, so a purchase is found from its last receipts and its path quotes. What the checks of
`verify` rest on is chosen by the same functions that look for it there: nothing is missing, nothing stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import structs

from federation.evidence.checkpoint import WITNESSES_NEEDED, entity_of, origin_of, witnesses_of
from federation.evidence.note import read_note, write_line, write_note
from federation.evidence.verify.attested import lists_at
from federation.evidence.verify.complete import needed
from federation.evidence.verify.hops import tokens_used
from federation.evidence.verify.logs import why_no_other
from federation.evidence.verify.purchase import purchase
from federation.evidence.verify.reading import SHOWN, Case, canonical, case_of, name_of
from federation.trust.jose import claimed_typ, doc_hash, unverified
from schemas.entity import Jwks
from schemas.evidence import Bundle, House, LogEvidence, PolicyText, Profile
from schemas.lease import State
from schemas.order import Confirm, Order, Receipt
from schemas.problem import Problem
from schemas.quote import PathQuote, Rfq, SegmentQuote
from schemas.segment import EntityId, Hash
from schemas.token import TYPES

Chain = tuple[str, ...]
NOBODY: Final = Jwks(())
UNTIL_ACTIVE: Final = frozenset({State.COMMITTED, State.UP, State.ACTIVE})


@dataclass(frozen=True)
class Beside:
    """What is kept beside documents: every chain that was ever believed, marks and status lists as they were believed,
    policies, and what path quotes name by hash. More than a bundle needs does no harm.
    """

    chains: Mapping[EntityId, Iterable[Chain]]
    marks: Iterable[str]
    status_lists: Iterable[str]
    policies: Iterable[PolicyText]
    policy_schema: str
    intent: Any = None
    rates: Mapping[Hash, Any] = field(default_factory=dict)
    house: House | None = None


def names_in(token: str) -> tuple[Hash, ...]:
    """The documents that a document of a purchase names by their hashes."""
    claims: Any = unverified(token, TYPES[claimed_typ(token)].claims)
    match claims:
        case PathQuote():
            found = [claims.decision_h, claims.mandate_h, *(row.quote_h for row in claims.path)]
        case SegmentQuote():
            found = [claims.rfq_h]
        case Rfq():
            found = [claims.mandate_h]
        case Order():
            found = [claims.quote_h, claims.decision_h, claims.mandate_h]
        case Receipt():
            found = [claims.order_h, claims.quote_h, claims.prev_h]
        case Confirm():
            found = [claims.order_h, claims.prev_h]
        case _:
            found = []
    return tuple(name for name in found if name is not None)


def with_tokens(documents: Iterable[str], candidates: Iterable[str], beside: Beside) -> tuple[str, ...]:
    """The documents of a purchase, and those of the tokens that they rest on. Raises `DOCUMENT_INVALID`."""
    known, tokens = tuple(dict.fromkeys(documents)), tuple(dict.fromkeys(candidates))
    whole = Bundle(
        profile=Profile.BUYER,
        chains={},
        marks=(),
        status_lists=(),
        documents=(*known, *tokens),
        policies=(),
        policy_schema="",
        logs={},
        intent=beside.intent,
        rates=dict(beside.rates),
        house=beside.house,
    )
    case = case_of(whole, {}, {}, 0)
    used = tokens_used(case, purchase(case))
    return (*known, *(token for token in tokens if doc_hash(token) in used))


def shown(documents: Iterable[str], profile: Profile) -> tuple[str, ...]:
    """Those of the documents of a purchase that a profile shows."""
    kinds = {typ for typ, kind in TYPES.items() if kind.claims in SHOWN[profile]}
    found = [token for token in documents if claimed_typ(token) in kinds]
    if profile is not Profile.REGULATOR:
        return tuple(sorted(found))
    return tuple(sorted(_until_active(found)))


def _until_active(documents: list[str]) -> Iterator[str]:
    """Without receipts that come after the last one in force: they tell when it ended, and what it cost."""
    for token in documents:
        if claimed_typ(token) != "receipt+jwt" or unverified(token, Receipt).state in UNTIL_ACTIVE:
            yield token


def bundled(
    profile: Profile,
    documents: Iterable[str],
    beside: Beside,
    logs: Mapping[EntityId, LogEvidence],
    anchors: Mapping[str, Jwks],
) -> bytes:
    """The bytes of a bundle. Raises `DOCUMENT_INVALID` where something that it needs was not kept."""
    decisions = [token for token in documents if claimed_typ(token) == "decision+jwt"]
    buyer = profile is Profile.BUYER
    wide = Bundle(
        profile=profile,
        chains={entity: tuple(sorted(set(rows), key=" ".join)) for entity, rows in beside.chains.items()},
        marks=tuple(sorted(set(beside.marks))),
        status_lists=tuple(sorted(set(beside.status_lists))),
        documents=shown(documents, profile),
        policies=tuple(sorted(beside.policies, key=name_of)),
        policy_schema=beside.policy_schema,
        logs=dict(logs),
        intent=beside.intent if buyer else None,
        rates=dict(beside.rates) if buyer else {},
        house=beside.house if buyer else None,
    )
    assert decisions, "a purchase was decided"
    return canonical(_narrowed(wide, anchors))


def _narrowed(wide: Bundle, anchors: Mapping[str, Jwks]) -> Bundle:
    """A bundle with the marks, lists, policies, witnesses and chains that its documents need, and no others."""
    signed = [*wide.documents, *(text.signed for text in wide.policies if text.signed)]
    strangers = {issuer: NOBODY for token in signed if (issuer := _issuer(token)) not in wide.chains}
    case = case_of(wide, anchors, strangers, 0)
    names = {name for item in case.decisions for judged in item.claims.judged for name in judged.marks}
    policies = {(ref.name, ref.policy_h) for item in case.decisions for ref in item.claims.policies}
    lists = {
        one.token
        for item in case.decisions
        for name in names & set(case.marks)
        for one in lists_at(case, case.marks[name], item.claims.at)
    }
    found = structs.replace(
        wide,
        marks=tuple(token for token in wide.marks if doc_hash(token) in names),
        status_lists=tuple(token for token in wide.status_lists if token in lists),
        policies=tuple(text for text in wide.policies if name_of(text) in policies),
        logs={entity: _witnessed(case, entity, log) for entity, log in wide.logs.items()},
    )
    return _with_chains(found, anchors, strangers)


def _with_chains(found: Bundle, anchors: Mapping[str, Jwks], strangers: Mapping[str, Jwks]) -> Bundle:
    case = case_of(found, anchors, strangers, 0)
    used = {case.standing.at(entity, at).chain.tokens for entity, at in needed(case, purchase(case))}
    rows = {entity: tuple(one for one in chains if one in used) for entity, chains in found.chains.items()}
    return structs.replace(found, chains={entity: chains for entity, chains in rows.items() if chains})


def _witnessed(case: Case, log: EntityId, shown: LogEvidence) -> LogEvidence:
    """With the lines of as many witnesses as are needed, of those whose chains were kept, by name."""
    note = read_note(shown.checkpoint)
    paths: dict[EntityId, tuple[EntityId, ...]] = {}
    for line in note.lines:
        entity = entity_of(line.name)
        for spell in case.standing.spells.get(entity, ()):
            named = spell.member.metadata.federation_entity
            if entity != log and named is not None and named.witness_key is not None:
                times = _signed(note, log, entity, named.witness_key)
                paths |= {name: spell.chain.path for name, at in times.items() if spell.holds(at)}
    chosen: dict[EntityId, tuple[EntityId, ...]] = {}
    for entity in sorted(paths):
        counted = chosen | {entity: paths[entity]}
        if len(chosen) < WITNESSES_NEEDED and why_no_other(entity, counted, log) is None:
            chosen = counted
    names = [origin_of(log), *map(origin_of, chosen)]
    lines = [next(line for line in note.lines if line.name == name) for name in names]
    return structs.replace(shown, checkpoint=write_note(note.text, [write_line(line) for line in lines]))


def _signed(note: Any, log: EntityId, entity: EntityId, key: str) -> dict[EntityId, int]:
    try:
        return witnesses_of(note, log, {entity: key})
    except Problem:
        return {}


def _issuer(token: str) -> str:
    claims: Any = unverified(token, TYPES[claimed_typ(token)].claims)
    return str(claims.iss)

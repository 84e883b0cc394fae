"""A bundle is put together from more than it needs, holds what it needs, and verifies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from federation.evidence.verify.bundle import Beside, bundled, names_in, shown, with_tokens
from federation.evidence.verify.verify import verify
from federation.trust.jose import claimed_typ, doc_hash
from schemas.evidence import Bundle, Profile
from tests.support.evidence.bundle import LOOKED, bundle_of, log_of
from tests.support.evidence.cast import BROKER, WITNESSES, anchors, chain, known, later
from tests.support.evidence.papers import Plan, papers

TOKENS = ("at+jwt", "authorization-grant+jwt")
NOT_NAMED = ("endpoint-grant+jwt", "billing-statement+jwt")  # by any document
AFTER_S = 28
PLANS = [Plan(), Plan(mandated=False), Plan(extended=True), Plan(released=False)]


def beside_of(good: Bundle, buyers: Bundle) -> Beside:
    """What a broker kept, with more of everything."""
    stranger = {"https://op4.example": [chain("https://op4.example", later(-100))]}
    more = {entity: [*rows, chain(entity, later(-90_000))] for entity, rows in good.chains.items()}
    return Beside(
        chains=more | stranger,
        marks=[*good.marks, *papers(Plan(operators=5)).named("mark")],
        status_lists=[*good.status_lists, *papers(Plan(extended=True)).named("status")],
        policies=buyers.policies,
        policy_schema=buyers.policy_schema,
        intent=buyers.intent,
        rates=buyers.rates,
        house=buyers.house,
    )


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("profile", Profile)
def test_a_bundle_holds_what_it_needs_and_no_more(plan: Plan, profile: Profile) -> None:
    buyers = bundle_of(papers(plan), Profile.BUYER)
    good = bundle_of(papers(plan), profile, sorted(WITNESSES)[:2])
    documents = shown(buyers.documents, profile)
    signed = [text.signed for text in buyers.policies if text.signed]
    logs = {BROKER: log_of([*documents, *signed], WITNESSES[::-1])}
    found = bundled(profile, buyers.documents, beside_of(good, buyers), logs, anchors())
    report = verify(found, anchors(), later(LOOKED), known())
    assert report.ok, report.checks
    assert documents == good.documents
    assert structs.replace(msgspec.json.decode(found, type=Bundle), logs={}) == structs.replace(good, logs={})


def test_only_the_tokens_that_a_purchase_rests_on_are_taken() -> None:
    buyers = bundle_of(papers(Plan()))
    rest = [token for token in buyers.documents if claimed_typ(token) not in TOKENS]
    tokens = [token for token in buyers.documents if claimed_typ(token) in TOKENS]
    others = papers(Plan(extended=True)).named("agent-token:1", "operator-token:1", "delegation:1")
    assert set(with_tokens(rest, [*others, *tokens], beside_of(buyers, buyers))) == set(buyers.documents)


def test_a_purchase_is_found_from_its_last_receipts_and_its_path_quotes() -> None:
    made = papers(Plan(extended=True))
    kept = {doc_hash(token): token for token in made.tokens.values()}
    found = _closure(kept, made.named("path-quote", "receipt:1:0:released", "receipt:1:1:released", "receipt:1:2:rel"))
    wanted = bundle_of(made).documents
    assert found == {doc_hash(one) for one in wanted if claimed_typ(one) not in {*TOKENS, *NOT_NAMED}}


def _closure(kept: dict[str, str], roots: Iterable[str]) -> set[str]:
    found, waiting = set[str](), [doc_hash(token) for token in roots]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += names_in(kept[name])
    return found


def test_a_token_of_after_the_decision_counts_when_it_was_made_whoever_looks_whenever() -> None:
    # An order may come half a minute after what was decided, and of several tokens that fit the latest counts: here one
    # that was asked for with the agent's next quote.
    def after(claims: Any) -> Any:
        return structs.replace(claims, iat=claims.iat + AFTER_S, exp=claims.exp + AFTER_S)

    made = papers(Plan(bends={"operator-token:0:0": after, "delegation:0:0": lambda claims: after(after(claims))}))
    good = bundle_of(made)
    logs = {BROKER: log_of([*good.documents, *(text.signed for text in good.policies if text.signed)], WITNESSES)}
    found = bundled(Profile.BUYER, good.documents, beside_of(good, good), logs, anchors())
    for days in (0, 400):
        report = verify(found, anchors(), later(LOOKED + days * 86400), known())
        assert report.ok, report.checks

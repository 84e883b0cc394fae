"""Check `policy`: Cedar, asked again, permits every subject of every decision, under the very texts that it names, and
those are what was asked for (`vouched`).

The buyer's intent, where it is shown, is held against the decision too: the policy it asked for is among those that
decided, the class of its data is the same, and its own limits on countries, domicile, parents and marks hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from federation.evidence.verify.amounts import intent_of
from federation.evidence.verify.asked import check_path
from federation.evidence.verify.attested import attested, decided, subjects
from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import purchase
from federation.evidence.verify.reading import Case, Item, name_of, unsound
from federation.evidence.verify.vouched import asked_by, check_asked, unknown_classes, word_of
from federation.policy.context import Purchase as Circumstances
from federation.policy.engine import LoadedPolicy, decide, load, schema_h
from federation.policy.limits import judge, lacking_marks
from federation.trust.jose import sha256_b64
from schemas.decision import Decision, Part, PolicyRef
from schemas.evidence import PolicyText, Profile
from schemas.intent import Intent
from schemas.problem import Problem

POLICIES_MAX: Final = 16
_loaded = lru_cache(maxsize=2 * POLICIES_MAX)(load)  # many bundles name the same texts


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    loaded: dict[PolicyRef, LoadedPolicy] = {}
    if len(case.bundle.policies) > POLICIES_MAX:
        raise unsound(f"more than {POLICIES_MAX} policies")
    for decision in decided(case):
        _check_schema(case, decision)
        for ref in decision.claims.policies:
            loaded[ref] = _load(case, ref)
        _check_verdicts(case, decision, [loaded[ref] for ref in decision.claims.policies])
    words = {f"{ref.name} ({word_of(case, ref).whose})" for ref in loaded}
    check_asked(case, case.decisions)
    if case.bundle.profile is Profile.BUYER:
        _check_intent(case)
    names = ", ".join(sorted(words)) or "no policy was asked for"
    count = sum(len(one.claims.judged) for one in case.decisions)
    return f"{names}: {count} verdicts, all permit{asked_by(case)}{unknown_classes(case.decisions)}"


def _check_schema(case: Case, decision: Item[Decision]) -> None:
    found = sha256_b64(case.bundle.policy_schema.encode())
    same("decision", {"schema_h": (decision.claims.schema_h, found)})
    if found != schema_h():
        raise unsound("decided under a schema that this version does not know")


def _load(case: Case, ref: PolicyRef) -> LoadedPolicy:
    texts = [text for text in case.bundle.policies if name_of(text) == (ref.name, ref.policy_h)]
    if not texts:
        raise unsound(f"the text of policy {ref.name} is missing, or another than was decided by")
    _check_signed(case, texts[0])
    try:
        return _loaded(ref.name, texts[0].cedar)
    except Problem as problem:
        raise unsound(str(problem)) from problem


def _check_signed(case: Case, text: PolicyText) -> None:
    signed = case.signed_policies.get(name_of(text))
    if signed is not None:
        pairs = {
            "name": (signed.claims.name, text.name),
            "text": (signed.claims.cedar, text.cedar),
            "time": (all(signed.claims.iat <= one.claims.at < signed.claims.exp for one in case.decisions), True),
        }
        same(f"policy {text.name} as its buyer signed it", pairs)


def _check_verdicts(case: Case, decision: Item[Decision], policies: Iterable[LoadedPolicy]) -> None:
    circumstances = Circumstances(now=decision.claims.at, data_class=decision.claims.data_class)
    every = list(policies)
    for judged, made in subjects(case, decision):
        for policy in every:
            verdict = decide(policy, made, circumstances)
            if not verdict.allowed:
                why = verdict.reasons[0]
                raise unsound(f"policy {policy.name} does not let {judged.entity} {judged.part}: {why}")


def _check_intent(case: Case) -> None:
    for one in purchase(case).rounds:
        assert one.path is not None, "a buyer's bundle has path quotes"
        intent, claims = intent_of(case, one.path.claims), one.decision.claims
        names = {ref.name for ref in claims.policies}
        pairs = {
            "policy": (intent.policy is None or intent.policy in names, True),
            "data_class": (claims.data_class, intent.data_class),
        }
        same("decision against the intent", pairs)
        _check_limits(case, one.decision, intent)
        check_path(case, one, intent, extends=one is not purchase(case).first)


def _check_limits(case: Case, decision: Item[Decision], intent: Intent) -> None:
    for judged in decision.claims.judged:
        if judged.part is not Part.CARRY or judged.route_class is None:
            continue
        known = attested(case, decision, judged)
        refusals = list(judge(intent.sovereignty, known.facts, judged.route_class))
        lacking = lacking_marks(frozenset(intent.marks_required), known.types)
        for refusal in (*refusals, *([lacking] if lacking else [])):
            raise unsound(f"{judged.entity} {refusal.detail}")

"""A broker that holds its own keys passes a text of its own off as a policy: what was asked counts as it was asked.

It tells the truth about whom it bought from, and lies about what they were judged by.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec import structs

from federation.evidence.verify.reading import canonical, name_of
from federation.evidence.verify.report import Check
from federation.evidence.verify.verify import verify
from federation.trust.jose import sha256_b64, sign_jws
from schemas.decision import Decision, Policy, PolicyRef
from schemas.evidence import PolicyText, Profile
from schemas.mandate import Mandate
from schemas.policy.texts import shipped
from tests.support.evidence.bundle import LOOKED, bundle_of, bundled, log_of
from tests.support.evidence.cast import BROKER, BUYER, OPERATORS, WITNESSES, anchors, key_of, known, later
from tests.support.evidence.papers import Bend, Plan, papers

OPEN = "permit (principal, action, resource);\n"
HEALTH = PolicyText(name="eu-health", cedar=shipped()["eu-health"])
FALSE = PolicyText(name="eu-health", cedar=OPEN)
CLINIC = PolicyText(name="clinic", cedar=OPEN)


def signed(by: str) -> PolicyText:
    claims = Policy(iss=by, iat=later(-7200), exp=later(86400), name="acme", cedar=OPEN)
    return PolicyText(name="acme", cedar=OPEN, signed=sign_jws(key_of(by), claims))


def decide(texts: tuple[PolicyText, ...]) -> Bend:
    named = tuple(PolicyRef(name=name, policy_h=policy_h) for name, policy_h in sorted(map(name_of, texts)))
    return lambda claims: structs.replace(claims, policies=named)


def judged(
    *texts: PolicyText,
    asked: str | None = None,
    data_class: str | None = "EU-health",
    profile: Profile = Profile.BUYER,
    mandated: bool = True,
    given: Mapping[str, str] | None = None,
    later_by: tuple[PolicyText, ...] | None = None,
) -> Check:
    """The check `policy` where a broker decided by these texts on what a buyer `asked`, and on an extension by the same
    or by `later_by`; all other checks hold.
    """
    longer = texts if later_by is None else later_by
    bends: dict[str, Bend] = {
        "decision:0": decide(texts),
        "decision:1": decide(longer),
        "intent": lambda intent: structs.replace(intent, policy=asked),
        "mandate": anything,
        "house": lambda limits: structs.replace(limits, data_class=None),
    }
    plan = Plan(2, mandated=mandated, policies=(), data_class=data_class, extended=True, bends=bends)
    bundle = bundle_of(papers(plan), profile, WITNESSES[1:])
    every = {name_of(one): one for one in (*texts, *longer)}
    logged = [*bundle.documents, *(one.signed for one in every.values() if one.signed)]
    bundle = structs.replace(
        bundle,
        policies=tuple(every[name] for name in sorted(every)),
        logs={BROKER: log_of(logged, WITNESSES[1:])},
    )
    report = verify(canonical(bundle), anchors(), later(LOOKED), known(), given or {})
    assert set(report.failed()) <= {"policy"}, report.checks
    return next(check for check in report.checks if check.name == "policy")


def anything(mandate: Mandate) -> Mandate:
    (given,) = mandate.authorization_details
    return structs.replace(mandate, authorization_details=(structs.replace(given, data_class=None),))


@pytest.mark.parametrize("profile", Profile)
def test_a_name_that_ships_stands_for_the_text_that_ships(profile: Profile) -> None:
    assert judged(HEALTH, asked="eu-health", profile=profile).ok
    found = judged(FALSE, asked="eu-health", profile=profile)
    assert not found.ok
    assert "policy eu-health has another text than the one that ships with Peerway" in found.detail
    assert not judged(FALSE, data_class=None, profile=profile).ok


@pytest.mark.parametrize("profile", Profile)
def test_a_class_of_data_brings_what_ships_for_it(profile: Profile) -> None:
    assert judged(HEALTH, profile=profile).ok
    for texts in ((), (CLINIC,)):
        found = judged(*texts, profile=profile)
        assert not found.ok
        assert found.detail == "data of the class EU-health were decided without policy eu-health"
    assert judged(data_class="public", profile=profile).ok


@pytest.mark.parametrize("profile", Profile)
def test_what_a_class_that_nobody_knows_brings_is_said_to_be_the_brokers_word(profile: Profile) -> None:
    found = judged(HEALTH, data_class="ledger", profile=profile)
    assert found.ok
    assert found.detail.endswith("; which policies the class ledger brings is the broker's word")
    assert "the broker's word" not in judged(HEALTH, profile=profile).detail


@pytest.mark.parametrize("profile", Profile)
def test_a_text_that_nobody_vouches_for_is_called_the_brokers_own(profile: Profile) -> None:
    found = judged(CLINIC, HEALTH, profile=profile)
    assert found.ok
    assert f"clinic (the broker's own text, {sha256_b64(OPEN.encode())})" in found.detail
    assert "clinic (as you gave it)" in judged(CLINIC, HEALTH, profile=profile, given={"clinic": OPEN}).detail
    other = judged(CLINIC, HEALTH, profile=profile, given={"clinic": HEALTH.cedar})
    assert (other.ok, "policy clinic has another text than the one that you gave" in other.detail) == (False, True)


def test_what_a_buyer_asked_for_by_name_has_to_be_known_from_somebody_else_than_the_broker() -> None:
    found = judged(CLINIC, asked="clinic", data_class=None)
    assert not found.ok
    assert "give the text of policy clinic that the buyer meant" in found.detail
    assert judged(CLINIC, asked="clinic", data_class=None, given={"clinic": OPEN}).ok


def test_an_older_text_of_a_name_that_ships_counts_where_it_is_given() -> None:
    assert judged(FALSE, asked="eu-health", given={"eu-health": OPEN}).ok


def test_a_buyers_policy_is_signed_by_the_buyer_of_the_purchase() -> None:
    own = judged(signed(BUYER), HEALTH, asked="acme")
    assert (own.ok, f"acme (signed by {BUYER})" in own.detail) == (True, True)
    for other in (BROKER, OPERATORS[0]):
        found = judged(signed(other), HEALTH, asked="acme")
        assert not found.ok
        assert f"policy acme is signed by {other}, who is not the buyer" in found.detail


def test_without_a_mandate_a_buyers_policy_counts_by_the_key_that_was_handed_in() -> None:
    assert judged(signed(BUYER), HEALTH, asked="acme", mandated=False).ok
    for other in (BROKER, OPERATORS[0]):
        assert not judged(signed(other), HEALTH, asked="acme", mandated=False).ok


@pytest.mark.parametrize("profile", Profile)
def test_an_extension_is_decided_by_all_that_the_purchase_was(profile: Profile) -> None:
    assert judged(HEALTH, later_by=(CLINIC, HEALTH), data_class=None, profile=profile).ok
    for fewer in ((), (CLINIC,)):
        found = judged(HEALTH, later_by=fewer, data_class=None, profile=profile)
        assert not found.ok
        assert found.detail == "an extension was decided without policy eu-health, by which the purchase was"


def turned(claims: Decision) -> Decision:
    """The facts of one segment for the quote of the other."""
    first, second, broker, *managers = claims.judged
    carried = (structs.replace(second, quote_h=first.quote_h), structs.replace(first, quote_h=second.quote_h))
    return structs.replace(claims, judged=(*carried, broker, managers[1], managers[0], managers[2]))


@pytest.mark.parametrize("profile", [Profile.REGULATOR, Profile.COUNTRIES])
def test_an_extension_is_decided_about_the_segments_that_were_bought(profile: Profile) -> None:
    plan = Plan(2, extended=True, bends={"decision:1": turned})
    report = verify(bundled(plan, profile), anchors(), later(LOOKED), known())
    assert report.failed() == ("policy",)


@pytest.mark.parametrize("profile", [Profile.REGULATOR, Profile.COUNTRIES])
def test_what_a_broker_signs_is_its_own_text(profile: Profile) -> None:
    assert "acme (the broker's own text, " in judged(signed(BROKER), HEALTH, profile=profile).detail
    assert f"acme (signed by {BUYER})" in judged(signed(BUYER), HEALTH, profile=profile).detail


def test_who_said_what_was_asked_for_is_told() -> None:
    assert "; asked for in an intent that the broker alone shows" in judged(HEALTH, mandated=False).detail
    assert "; asked for in a mandate for the class EU-health" in detail(bundled(Plan(2)))
    assert "; what was asked for is not shown" in judged(HEALTH, profile=Profile.COUNTRIES).detail


def detail(data: bytes) -> str:
    report = verify(data, anchors(), later(LOOKED), known())
    return next(check.detail for check in report.checks if check.name == "policy")

"""Which policies apply to an intent: shipped ones, the owner's, a buyer's own for that buyer alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.policy.catalogue import Catalogue, catalogue, verify_policy
from federation.policy.folder import read_folder
from federation.trust.issue import jwks
from federation.trust.jose import sign_jws
from federation.trust.keys import generate, public_keys
from schemas.decision import POLICY_CHARS_MAX, Policy
from schemas.intent import Intent
from schemas.policy.texts import NAMES, shipped
from schemas.problem import Problem
from tests.support.seams import NOW

BUYER, OTHER = "https://clinic.example", "https://bank.example"
KEY = generate()
KEYS = {BUYER: public_keys(jwks(KEY))}
OPEN = "permit (principal, action, resource);"


def intent(policy: str | None = None, data_class: str | None = None) -> Intent:
    return Intent(a="Utrecht", z="Milan", bandwidth_bps=10**9, duration_s=3600, policy=policy, data_class=data_class)


def signed(name: str = "clinic-only", text: str = OPEN, *, iss: str = BUYER, exp: int = NOW + 86400) -> str:
    return sign_jws(KEY, Policy(iss=iss, iat=NOW, exp=exp, name=name, cedar=text))


def applied(known: Catalogue, asked: Intent, buyer: str | None = BUYER, now: int = NOW) -> list[str]:
    return [policy.name for policy in known.applying(asked, buyer, now)]


def test_without_policy_or_data_class_nothing_applies() -> None:
    assert applied(catalogue(now=NOW), intent()) == []


def test_a_data_class_brings_its_policies_and_the_named_one_comes_after_them() -> None:
    known = catalogue(classes={"secret": ("eu-only", "no-us-control")}, now=NOW)
    assert applied(known, intent("five-eyes-free", "EU-health")) == ["eu-health", "five-eyes-free"]
    assert applied(known, intent("eu-health", "EU-health")) == ["eu-health"]
    assert applied(known, intent("eu-only", "secret")) == ["eu-only", "no-us-control"]
    assert applied(known, intent(None, "public")) == []


def test_the_shipped_table_of_data_classes_is_changed_by_the_owner() -> None:
    known = catalogue({"clinic": OPEN}, classes={"EU-health": ("clinic", "eu-only")}, now=NOW)
    assert applied(known, intent(None, "EU-health")) == ["clinic", "eu-only"]
    with pytest.raises(Problem, match="data class x: 'nope' is no policy here; known are certified-carrier,"):
        catalogue(classes={"x": ("nope",)}, now=NOW)


def test_a_name_that_is_not_known_is_an_error_that_lists_the_known_ones() -> None:
    known = catalogue(now=NOW)
    with pytest.raises(Problem, match=f"policy: 'eu-onyl' is not known here; known are {', '.join(NAMES)}"):
        known.applying(intent("eu-onyl"), BUYER, NOW)
    with pytest.raises(
        Problem, match="data_class: 'EU' is no data class here; known are EU-health, EU-personal, public"
    ):
        known.applying(intent(None, "EU"), BUYER, NOW)


def test_a_buyers_own_policy_is_for_that_buyer_alone_and_as_long_as_it_is_valid() -> None:
    known = catalogue(signed={"a.jwt": signed()}, keys=KEYS, now=NOW)
    assert known.rejected == {}
    (policy,) = known.applying(intent("clinic-only"), BUYER, NOW)
    assert policy.signed == signed()
    assert policy.text == OPEN
    assert "clinic-only" in known.names(BUYER, NOW)
    for buyer, now in ((OTHER, NOW), (None, NOW), (BUYER, NOW + 86400)):
        assert "clinic-only" not in known.names(buyer, now)
        with pytest.raises(Problem, match="'clinic-only' is not known here"):
            known.applying(intent("clinic-only"), buyer, now)


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (signed("eu-only"), "policy eu-only: is the name of another policy here"),
        (signed(iss=OTHER), "https://bank.example is no buyer of this broker"),
        (signed(exp=NOW), "expired|exp"),
        (signed(text="forbid (principal, action, resource);"), "holds a `forbid`"),
        (signed()[:-4] + "AAAA", "signature"),
        ("nonsense", ""),
    ],
)
def test_a_buyers_policy_that_cannot_be_used_is_left_out_with_the_reason(token: str, why: str) -> None:
    known = catalogue(signed={"a.jwt": token, "b.jwt": signed("good")}, keys=KEYS, now=NOW)
    assert list(known.rejected) == ["a.jwt"]
    with pytest.raises(AssertionError, match=why or "."):
        raise AssertionError(known.rejected["a.jwt"])
    assert applied(known, intent("good")) == ["good"]
    assert applied(known, intent("eu-only")) == ["eu-only"]


def test_of_two_policies_of_one_name_the_first_file_counts() -> None:
    known = catalogue(signed={"a.jwt": signed(), "b.jwt": signed(text=shipped()["eu-only"])}, keys=KEYS, now=NOW)
    assert list(known.rejected) == ["b.jwt"]
    assert known.policy("clinic-only", BUYER, NOW).text == OPEN


def test_a_signed_policy_names_its_buyer() -> None:
    found = verify_policy(signed(), KEYS[BUYER], BUYER, NOW)
    assert (found.policy.name, found.iat, found.exp) == ("clinic-only", NOW, NOW + 86400)
    with pytest.raises(Problem):
        verify_policy(signed(), KEYS[BUYER], OTHER, NOW)


@pytest.mark.parametrize("name", ["eu-only", "Clinic", "a b", "x" * 61, "", "a\n", "-a"])
def test_the_owners_policies_have_names_of_their_own(name: str) -> None:
    with pytest.raises(Problem, match="policy"):
        catalogue({name: OPEN}, now=NOW)


def test_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "clinic.cedar").write_text(OPEN)
    (tmp_path / "a.jwt").write_text(signed() + "\n")
    (tmp_path / "notes.txt").write_text("nothing")
    found = read_folder(tmp_path)
    assert found == ({"clinic": OPEN}, {"a.jwt": signed()})
    known = catalogue(found.own, found.signed, KEYS, now=NOW)
    assert applied(known, intent("clinic")) == ["clinic"]
    assert applied(known, intent("clinic-only")) == ["clinic-only"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="is no folder"):
        read_folder(tmp_path / "none")
    (tmp_path / "long.cedar").write_text("x" * (4 * POLICY_CHARS_MAX + 1))
    with pytest.raises(Problem, match=r"long\.cedar: is longer than any policy"):
        read_folder(tmp_path)
    (tmp_path / "long.cedar").write_bytes(b"\xff")
    with pytest.raises(Problem, match=r"long\.cedar: is not UTF-8 text"):
        read_folder(tmp_path)
    for number in range(257):
        (tmp_path / f"n{number}.cedar").touch()
    with pytest.raises(Problem, match="holds 258 policies, of 256 at most"):
        read_folder(tmp_path)

"""`peerway policy`: list, show, write, try, explain and sign, and what its errors name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from federation.cli.main import run
from federation.node.seams import SystemClock
from federation.policy.catalogue import verify_policy
from federation.policy.facts import facts_json
from federation.trust.issue import jwks
from federation.trust.keys import public_keys
from federation.trust.keyset import load_key_set
from federation.trust.throwaway import ThrowawayDomain
from schemas.policy.texts import NAMES, schema_text, shipped
from schemas.segment import moment
from tests.support.policies import ATTESTED, BROKER, segment

SURF, AUDITOR, BUYER = "https://surf.example", "https://audit.example", "https://clinic.example"


class Shell:
    """Runs commands in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, *words: Any, status: int = 0, errors: bool = False) -> str:
        assert run(["policy", *(str(word) for word in words)]) == status, self._capsys.readouterr()
        out, err = self._capsys.readouterr()
        return err if errors else out


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)


@pytest.fixture
def sources(tmp_path: Path) -> tuple[Any, ...]:
    domain = ThrowawayDomain(tmp_path / "domain", SystemClock().now() - 5)
    domain.add_auditor(AUDITOR, "Auditor")
    domain.add_operator(SURF, "SURF", sonata="http://h:1", mesh="h:2", documents="http://h:1")
    domain.add_broker(BROKER, "Broker", endpoint="http://h:3")
    domain.attest(AUDITOR, SURF, ATTESTED)
    domain.write()
    return ("--anchors", domain.anchors_file, "--domain", domain.folder)


def test_what_there_is_is_listed_and_shown(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (shell.folder / "mine.cedar").write_text("// Everybody.\npermit (principal, action, resource);\n")
    listed = shell("list", "--folder", shell.folder)
    assert all(name in listed for name in (*NAMES, "mine", "Everybody", "EU-health"))
    assert shell("show", "eu-only") == shipped()["eu-only"]
    assert shell("show", "schema") == schema_text()
    assert "Everybody" in shell("show", "mine", "--folder", shell.folder)
    assert "known are certified-carrier, eu-health" in shell("show", "mine", status=2, errors=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_new_policy_begins_as_a_shipped_one_whose_cases_hold(shell: Shell, name: str) -> None:
    assert "peerway policy test mine.cedar" in shell("new", "mine", "--from", name)
    assert '@id("mine.v1")' in (shell.folder / "mine.cedar").read_text()
    assert "cases hold." in shell("test", "mine.cedar")
    assert "cases hold." in shell("test", name)
    assert "mine.cedar: exists" in shell("new", "mine", status=2, errors=True)


def test_cases_that_do_not_hold_are_told(shell: Shell) -> None:
    shell("new", "mine", "--from", "certified-carrier")
    file = shell.folder / "mine.cedar"
    file.write_text(file.read_text().replace(">= 1", ">= 3"))
    said = shell("test", "mine.cedar", status=1)
    assert "✗ permit  a segment as it should be" in said
    assert "it says deny: has the sovereignty level 2, where policy mine asks for at least 3" in said
    assert "cases do not hold." in said
    assert "cases hold." in shell("test", "certified-carrier", "mine.json")


def test_a_policy_is_explained_on_facts_in_a_file(shell: Shell) -> None:
    shell("new", "mine")
    late = SystemClock().now() + 3600
    (shell.folder / "one.json").write_bytes(facts_json(segment(route_class="any", exp=late)))
    assert shell("explain", "eu-only", "--facts", "mine.json").splitlines() == [
        "permit  segment", "permit  broker", "permit  manager",
    ]  # fmt: skip
    assert shell("explain", "eu-only", "--facts", "one.json", status=4).splitlines() == [
        "deny    one.json",
        "        may cross GB and US, which policy eu-only does not allow",
    ]


def test_a_policy_is_explained_on_what_auditors_attest(shell: Shell, sources: tuple[Any, ...]) -> None:
    said = shell("explain", "eu-health", "--operator", SURF, *sources, status=4).splitlines()
    assert said == [
        "deny    route class any",
        "        may cross GB and US, which policy eu-health does not allow",
        "permit  route class eu",
        "permit  who manages it",
    ]
    assert shell("explain", "eu-health", "--operator", BROKER, *sources, status=4).splitlines() == [
        "deny    the broker",
        "        no recognised auditor attests any fact about it",
        "deny    who manages it",
        "        no recognised auditor attests any fact about it",
    ]
    assert "no member" in shell("explain", "eu-only", "--operator", BUYER, *sources, status=4, errors=True)


def test_a_policy_is_signed_for_its_buyer(shell: Shell) -> None:
    shell("new", "mine")
    assert run(["keys", "new", "buyer.json"]) == 0
    words = ("--as", BUYER, "--sign-with", "buyer.json")
    late = shell("sign", "mine.cedar", *words, "--until", "2100-01-01T00:00Z", status=2, errors=True)
    assert "--until: must lie between now and five years from now" in late
    until = SystemClock().now() + 86400
    token = shell("sign", "mine.cedar", *words, "--until", f"{moment(until):%Y-%m-%dT%H:%M:%SZ}").split()[-1]
    keys = public_keys(jwks(load_key_set((shell.folder / "buyer.json").read_bytes(), "buyer.json").signer))
    found = verify_policy(token, keys, BUYER, SystemClock().now())
    assert (found.policy.name, found.exp) == ("mine", until)
    assert found.policy.text == (shell.folder / "mine.cedar").read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("test", "nope"), "'nope' is no file that ends in .cedar, and none of certified-carrier"),
        (("test", "nope.cedar"), "nope.cedar: cannot be read"),
        (("test", "eu-only", "none.json"), "none.json: cannot be read"),
        (("explain", "eu-only"), "give either --facts FILE or --operator ENTITY"),
        (("explain", "eu-only", "--operator", SURF), "--anchors: is needed with --operator"),
        (("new", "Bad"), "policy Bad: a name is at most 60 small letters"),
        (("new", "eu-only"), "policy eu-only: is the name of another policy here"),
        (("new", "x", "--from", "y"), "--from: 'y' is none of"),
        (("list", "--folder", "none"), "none: is no folder"),
        (("sign", "no.cedar", "--as", BUYER, "--sign-with", "k", "--until", "2027-01-01T00:00Z"), "no.cedar: cannot"),
    ],
)
def test_errors_name_what_is_wrong(shell: Shell, words: tuple[str, ...], why: str) -> None:
    assert why in shell(*words, status=2, errors=True)


def test_a_policy_without_cases_is_told_where_they_belong(shell: Shell) -> None:
    shell("new", "mine")
    (shell.folder / "mine.json").unlink()
    assert "CASES: are missing: mine.json is no file" in shell("test", "mine.cedar", status=2, errors=True)


def test_a_policy_that_is_none_names_its_line(shell: Shell) -> None:
    (shell.folder / "mine.cedar").write_text("permit (principal, action, resource)\nwhen { resource.sttaus };")
    said = shell("test", "mine.cedar", status=2, errors=True)
    assert said.startswith("peerway: policy mine: line 2: attribute `sttaus`")

"""An auditor kept by hand: every command of `peerway auditor`, and what is wrong with a file of facts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.anchor.findings import SAMPLE, check_facts, unknown
from federation.trust.jose import sha256_b64, unverified
from schemas.entity import FACTS_MARK, TrustMark
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from tests.unit.cli.test_trust_commands import ANCHOR, AUDITOR, SURF, Shell, shell

__all__ = ["shell"]
BROKER = "https://broker.example"


@pytest.fixture
def audit(shell: Shell) -> Path:
    folder = shell.folder / "audit"
    shell("auditor", "init", folder, "--entity", AUDITOR, "--name", "A", "--superior", ANCHOR)
    return folder


def mark(token: str) -> TrustMark:
    return unverified(token.strip(), TrustMark)


def test_the_sample_says_everything_and_can_be_attested(shell: Shell, audit: Path) -> None:
    assert shell("auditor", "sample") == SAMPLE
    facts = msgspec.convert(tomllib.loads(SAMPLE), Attestation)
    assert unknown(facts) == ()
    left_out = {"management", "report_sha256"}
    assert {name for name in facts.__struct_fields__ if getattr(facts, name) in (None, {})} == left_out
    report = shell.file("report.pdf", "what we saw")
    sample = shell.file("surf.toml", SAMPLE)
    given = mark(shell("auditor", "attest", audit, SURF, sample, "--report", report, "--days", 7))
    assert given.attest == msgspec.structs.replace(facts, report_sha256=sha256_b64(b"what we saw"))
    assert (given.sub, given.trust_mark_type, given.exp - given.iat) == (SURF, FACTS_MARK, 7 * 86_400)


def test_new_facts_take_the_place_of_former_ones_and_all_can_be_taken_back(shell: Shell, audit: Path) -> None:
    first, second = (shell.file(f"{n}.json", json.dumps({"legal_domicile": [n]})) for n in ("NL", "US"))
    shell("auditor", "attest", audit, SURF, first)
    shell("auditor", "attest", audit, BROKER, first)
    shell("auditor", "attest", audit, SURF, second)
    shell("auditor", "attest", audit, SURF, first, "--beside")
    lines = shell("auditor", "list", audit).splitlines()
    assert [line.rpartition("  ")[2] for line in lines] == ["revoked", "counts", "counts", "counts"]
    assert len(shell("auditor", "list", audit, BROKER).splitlines()) == 1
    assert [one["index"] for one in json.loads(shell("auditor", "list", audit, SURF, "--json"))] == [1, 3, 4]
    shown = json.loads(shell("auditor", "show", audit, 3))
    assert (shown["facts"], mark(shown["mark"]).sub) == ({"legal_domicile": ["US"]}, SURF)
    assert shell("auditor", "revoke", audit, "--mark", 4) == "mark 4 is revoked\n"
    assert shell("auditor", "revoke", audit, SURF) == f"1 of {SURF} taken back\n"
    assert "has no mark" in shell("auditor", "revoke", audit, SURF, status=4)
    assert "index 9" in shell("auditor", "show", audit, 9, status=4)


def test_only_an_auditor_attests(shell: Shell) -> None:
    folder = shell.folder / "anchor"
    shell("anchor", "init", folder, "--entity", ANCHOR, "--name", "Example")
    facts = shell.file("facts.json", "{}")
    assert "holds no auditor" in shell("auditor", "attest", folder, SURF, facts, status=2)
    told = shell("auditor", "list", shell.folder / "nowhere", status=2)
    assert f"FOLDER {shell.folder / 'nowhere'}: is no folder; make one with" in told
    assert "peerway auditor init" in told


BAD: dict[str, tuple[dict[str, Any] | str, str]] = {
    "a word of its own": ({"domicile": ["NL"]}, "domicile"),
    "another type": ({"seal": "high"}, "seal"),
    "too high a level": ({"seal": 5}, "seal"),
    "no country": ({"operations": ["ZZ"]}, "operations: 'ZZ' is the code of no country"),
    "a country in small letters": ({"key_custody": ["nl"]}, "key_custody"),
    "an empty list": ({"legal_domicile": []}, "legal_domicile: is empty"),
    "nobody in control": ({"controlling_parents": []}, "controlling_parents: is empty"),
    "a class that crosses nothing": ({"classes": {"any": {"countries": []}}}, "classes.any.countries: is empty"),
    "managed from nowhere": ({"management": {"countries": []}}, "management.countries: is empty"),
    "landing without a sea": (
        {"classes": {"eu": {"countries": ["NL"], "sea": False, "landings": [{"name": "Katwijk", "country": "NL"}]}}},
        "classes.eu.landings",
    ),
    "landing elsewhere": (
        {"classes": {"eu": {"countries": ["NL"], "landings": [{"name": "Norden", "country": "DE"}]}}},
        "classes.eu.countries: lacks DE",
    ),
    "found without looking": ({"assessed_regimes": ["A"], "subject_to": ["B"]}, "subject_to: 'B'"),
    "a site at sea": ({"sites": {"x": {"country": "ZZ", "lat_e6": 0, "lon_e6": 0}}}, "sites.x.country"),
    "no JSON": ("{", "no valid JSON"),
    "no TOML": ("legal_domicile = [", "no valid TOML"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_file_of_facts_is_refused_by_the_member_at_fault(shell: Shell, audit: Path, which: str) -> None:
    data, why = BAD[which]
    facts = shell.file("facts", data if isinstance(data, str) else json.dumps(data))
    said = shell("auditor", "attest", audit, SURF, facts, status=2)
    assert why in said
    assert str(facts) in said
    assert "[]" in shell("auditor", "list", audit, "--json")


def test_no_regime_found_is_a_finding() -> None:
    check_facts(Attestation(assessed_regimes=("A",), subject_to=(), certificates=()))
    with pytest.raises(Problem):
        check_facts(Attestation(subject_to=("A",)))

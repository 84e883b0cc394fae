"""The audit record: what callers are not told, without secrets and bounded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.node.audit import FILE, FILES_MAX, RATE, TEXT_CHARS_MAX, VEILED, Audit, plain
from schemas.problem import CATALOGUE, Outcome, Problem
from tests.support.seams import NOW, CountingEntropy, FixedClock

CALLER = "https://broker-with-a-rather-long-name.example"
BAD = Problem("DOCUMENT_INVALID", "iss is not the expected signer", field="rfq", extra={"operator": "x"})


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_the_caller_sees_one_sentence_and_a_reference_and_the_record_the_reason(tmp_path: Path) -> None:
    with Audit(tmp_path, FixedClock(), CountingEntropy()) as audit:
        seen = audit.refused(BAD.with_outcome(Outcome.NONE), caller=CALLER, act="POST /quote")
    assert seen.as_dict() == {
        "type": "urn:peerway:problem:document-invalid",
        "title": CATALOGUE["DOCUMENT_INVALID"].title,
        "status": 422,
        "detail": VEILED["DOCUMENT_INVALID"],
        "code": "DOCUMENT_INVALID",
        "retryable": False,
        "outcome": "none",
        "ref": "id00000000000000000001",
    }
    assert lines(tmp_path) == [
        {
            "at": NOW,
            "caller": CALLER,
            "act": "POST /quote",
            "code": "DOCUMENT_INVALID",
            "field": "rfq",
            "why": "iss is not the expected signer",
            "ref": "id00000000000000000001",
        }
    ]


@pytest.mark.parametrize("code", sorted(VEILED))
def test_two_reasons_of_one_code_look_alike_to_the_caller(tmp_path: Path, code: str) -> None:
    with Audit(tmp_path, FixedClock(), CountingEntropy()) as audit:
        told = [audit.refused(Problem(code, why, field=why), caller="-", act="x").as_dict() for why in ("one", "two")]
    assert told[0] | {"ref": ""} == told[1] | {"ref": ""}


def test_what_helps_an_honest_caller_is_not_veiled(tmp_path: Path) -> None:
    with Audit(tmp_path, FixedClock(), CountingEntropy()) as audit:
        taken = Problem("LABEL_TAKEN", "label 7 is taken", extra={"free": [8]})
        assert audit.refused(taken, caller=CALLER, act="x") is taken
    assert lines(tmp_path) == []


def test_only_the_owner_may_read_the_record(tmp_path: Path) -> None:
    with Audit(tmp_path, FixedClock(), CountingEntropy(), bytes_max=300) as audit:
        for _ in range(3):
            audit.note(BAD, caller=CALLER, act="POST /quote")
    modes = [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()]
    assert modes == [0o600] * 3, "the record, and what was rotated away"


def test_a_flood_of_refusals_is_counted_and_not_written(tmp_path: Path) -> None:
    clock = FixedClock()
    with Audit(tmp_path, clock, CountingEntropy()) as audit:
        for _ in range(1_000):
            audit.refused(BAD, caller="flood", act="x")
        audit.refused(BAD, caller=CALLER, act="x")
        clock.advance(1)
        audit.refused(BAD, caller="flood", act="x")
    found = lines(tmp_path)
    assert len(found) == RATE.burst + 2
    assert found[-1]["untold"] == 1_000 - RATE.burst
    assert [line["caller"] for line in found[-2:]] == [CALLER, "flood"]


def test_the_files_together_stay_below_their_bound(tmp_path: Path) -> None:
    clock, bound = FixedClock(), 4_000
    with Audit(tmp_path, clock, CountingEntropy(), bytes_max=bound) as audit:
        for _ in range(500):
            clock.advance(1)
            audit.refused(BAD, caller=CALLER, act="x")
    files = sorted(tmp_path.iterdir())
    assert len(files) == FILES_MAX
    assert all(file.stat().st_size <= bound for file in files)
    assert lines(tmp_path)[-1]["at"] == NOW + 500


def test_a_second_start_writes_on(tmp_path: Path) -> None:
    for _ in range(2):
        with Audit(tmp_path, FixedClock(), CountingEntropy()) as audit:
            audit.refused(BAD, caller=CALLER, act="x")
    assert len(lines(tmp_path)) == 2


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="cannot be written"):
        Audit(tmp_path / "file" / "below", FixedClock(), CountingEntropy())


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSJ9.c2lnbmF0dXJlc2lnbmF0dXJl",
        "0a7b3e6d1c6e3fdd3f1f5c0c0f0e6c4c0a1b2c3d4e5f6071",
        "MHcCAQEEIOtf8Jq0a7b3e6d1c6e3fdd3f1f5c0c0",
    ],
)
def test_keys_and_tokens_do_not_reach_the_record(secret: str) -> None:
    assert not any(part in plain(f"bad token '{secret}' given") for part in secret.split("."))


@given(st.text(max_size=3 * TEXT_CHARS_MAX))
def test_any_reason_becomes_one_short_printable_line(text: str) -> None:
    found = plain(text)
    assert len(found) <= TEXT_CHARS_MAX
    assert found.isascii()
    assert found.isprintable()

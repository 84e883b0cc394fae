"""`peerway verify`: each check by name, one exit status, and nothing that a terminal would obey."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.cli.main import run
from schemas.evidence import Profile
from schemas.policy.texts import shipped
from schemas.segment import moment
from tests.support.evidence.bundle import LOOKED, bundled
from tests.support.evidence.cast import BUYER, OWNER, anchors, known, later
from tests.support.evidence.papers import Plan


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    written = {"anchors": tmp_path / "anchors.json", "bundle": tmp_path / "order.evidence"}
    written["anchors"].write_bytes(msgspec.json.encode(anchors()))
    written["bundle"].write_bytes(bundled(Plan(operators=2)))
    for name, entity in (("buyer", BUYER), ("owner", OWNER)):
        written[name] = tmp_path / f"{name}.jwks"
        written[name].write_bytes(msgspec.json.encode(known()[entity]))
    return written


def arguments(files: dict[str, Path], *more: str, at: int = LOOKED) -> list[str]:
    keys = [f"--key={entity}={files[name]}" for name, entity in (("buyer", BUYER), ("owner", OWNER))]
    when = f"--at={moment(later(at)):%Y-%m-%dT%H:%M:%SZ}"
    return ["verify", str(files["bundle"]), f"--anchor={files['anchors']}", when, *keys, *more]


def test_a_good_bundle_says_so_check_by_check(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(files)) == 0
    out = capsys.readouterr().out
    assert all(line.startswith("ok  ") for line in out.splitlines()[:-1])
    assert "All 16 checks of the profile buyer hold." in out
    assert run([one.replace("--anchor=", "--anchors=") for one in arguments(files)]) == 0, "as other commands call it"


def test_one_flipped_bit_is_no_evidence(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(files["bundle"].read_bytes())
    data[len(data) // 2] ^= 1
    files["bundle"].write_bytes(data)
    assert run(arguments(files)) == 4
    assert "This is no evidence:" in capsys.readouterr().out


def test_a_text_that_was_given_is_the_one_that_counts(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "eu-health.cedar"
    text.write_text(shipped()["eu-health"])
    assert run(arguments(files, f"--policy={text}")) == 0
    assert "eu-health (as you gave it)" in capsys.readouterr().out
    text.write_text("permit (principal, action, resource);")
    assert run(arguments(files, f"--policy={text}")) == 4
    assert "another text than the one that you gave" in capsys.readouterr().out
    assert run(arguments(files, f"--policy={tmp_path / 'none.cedar'}")) == 2


def test_json_is_for_programs(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments(files, "--json", at=0)) == 4
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert answer["profile"] == Profile.BUYER
    assert {one["name"] for one in answer["checks"] if not one["ok"]} == {"signatures", "witnesses"}


def test_what_is_no_bundle_fails_by_its_format(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    files["bundle"].write_bytes(b"\x1b[31m")
    assert run(arguments(files)) == 4
    out = capsys.readouterr().out
    assert "FAIL  format" in out
    assert "\x1b" not in out


def test_a_buyer_who_is_no_member_and_whose_keys_are_not_given_is_told_of_the_option(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([one for one in arguments(files) if f"{BUYER}=" not in one]) == 4
    assert "none is shown, and its keys were not given (--key)" in capsys.readouterr().out


@pytest.mark.parametrize("spoiled", ["bundle", "anchors", "buyer"])
def test_a_file_that_is_missing_is_named(
    files: dict[str, Path], spoiled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files[spoiled].unlink()
    assert run(arguments(files)) == 2
    assert files[spoiled].name in capsys.readouterr().err

"""The threat model names tests and modules that exist, every threat, and every attack."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.hostile.table import CONTROLS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "THREAT_MODEL.md").read_text()
SECTIONS = {part.split(maxsplit=1)[0]: part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]}
NAMED = re.findall(r"`([a-z0-9_/]+\.py)::([a-z0-9_]+)`", TEXT)
MODULES = re.findall(r"`((?:federation|operators|schemas|tests)/[a-z0-9_/]+\.py)`", TEXT)


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert name in functions(path)


def test_a_module_that_is_named_exists() -> None:
    assert len(MODULES) > 20
    assert [path for path in MODULES if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("number", range(1, 20))
def test_every_threat_says_what_is_done_and_what_is_not(number: int) -> None:
    section = SECTIONS[f"T{number}"]
    for part in ("Attacker, attack", "Control", "Tests", "Not defended"):
        assert f"- **{part}:** " in section
    assert "::" in section


def test_every_attack_stands_with_its_threat() -> None:
    missing = []
    for control in CONTROLS:
        file, name = control.attack.__module__.rpartition(".")[2], control.attack.__name__
        section = SECTIONS["An" if control.threat == "oracle" else control.threat]
        if f"`hostile/{file}.py::{name}`" not in section:
            missing.append((control.threat, name))
    assert missing == []

"""The lock files fit pyproject.toml and each other, and name versions and hashes only."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
# Each set repeats the versions of the one before it; the last one those of dev, beside which it is installed.
SETS = {
    "base": (),
    "broker": ("broker",),
    "demo": ("broker", "demo"),
    "dev": ("broker", "demo", "dev"),
    "bench": ("bench",),
}
PINNED = re.compile(r"([a-z0-9-]+)==([\w.!+-]+)(?: ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def text_of(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")


def pins(name: str) -> dict[str, set[str]]:
    """The locked versions by package; more than one where Pythons differ."""
    found: dict[str, set[str]] = {}
    for package, version, _ in PINNED.findall(text_of(name)):
        found.setdefault(package, set()).add(version)
    return found


def wanted(name: str) -> Iterator[Requirement]:
    """What pyproject.toml asks for in one set, without our own extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in SETS[name])]
    requirements = (Requirement(line) for group in groups for line in group)
    return (requirement for requirement in requirements if requirement.name != project["name"])


@pytest.mark.parametrize("name", SETS)
def test_a_lock_satisfies_what_pyproject_asks_for(name: str) -> None:
    locked = pins(name)
    for requirement in wanted(name):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement} is not in {name}.lock: run make lock"
        assert all(version in requirement.specifier for version in versions), f"{requirement}: run make lock"


@pytest.mark.parametrize("name", SETS)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(name: str) -> None:
    rest = re.sub(r"^ *#.*\n", "", PINNED.sub("", text_of(name)), flags=re.MULTILINE)
    assert rest == ""


@pytest.mark.parametrize("name", SETS)
def test_a_lock_says_how_it_was_made_and_not_where(name: str) -> None:
    comments = [line.strip() for line in text_of(name).splitlines() if line.lstrip().startswith("#")]
    assert comments[1] == "#    make lock"
    assert not [line for line in comments if "://" in line or " /" in line]


@pytest.mark.parametrize(("smaller", "larger"), [("base", "broker"), ("broker", "demo"), ("demo", "dev")])
def test_the_sets_agree_on_every_version(smaller: str, larger: str) -> None:
    other = pins(larger)
    assert {package: other.get(package) for package in pins(smaller)} == pins(smaller)


def test_what_is_measured_against_fits_beside_the_rest() -> None:
    here, there = pins("bench"), pins("dev")
    shared = here.keys() & there.keys()
    assert {"scipy", "numpy"} <= shared
    assert {package: here[package] for package in shared} == {package: there[package] for package in shared}


def test_an_operator_installs_nothing_heavy() -> None:
    heavy = {"numpy", "numba", "scipy", "mcp", "uvicorn", "topohub", "reverse-geocode", "pytest", "networkx"}
    assert heavy.isdisjoint(pins("base"))

"""The schema and the shipped policies, read from the package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

NAMES: Final = ("certified-carrier", "eu-health", "eu-only", "five-eyes-free", "no-us-control")


@cache
def schema_text() -> str:
    """The Cedar schema that every policy is validated against."""
    return _read("peerway.cedarschema")


@cache
def shipped() -> Mapping[str, str]:
    """The texts of the shipped policies, by name."""
    return MappingProxyType({name: _read(f"{name}.cedar") for name in NAMES})


def shipped_cases(name: str) -> str:
    """The case file of a shipped policy."""
    assert name in NAMES, name
    return _read(f"cases/{name}.json")


def _read(path: str) -> str:
    return files("schemas.policy").joinpath(path).read_text(encoding="utf-8")

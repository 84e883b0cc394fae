"""Facts about where data go and under whose law, and the limits an intent may put on them.

The facts come from auditors' trust marks only, per operator and route class. Absent means unknown, and unknown
means refused. "Legal domicile", "controlling parents" and "countries that may be crossed" are separate facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from schemas.interface import Country
from schemas.problem import invalid
from schemas.segment import Hash, Id

_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
GROUPS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"EU": frozenset(_EU.split()), "EEA": frozenset(_EU.split()) | {"IS", "LI", "NO"}}
)


class ClassFacts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an auditor found for one route class: every country that traffic of the class may cross."""

    countries: tuple[Country, ...]


class Attestation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The `attest` member of a trust mark."""

    legal_domicile: tuple[Country, ...] | None = None
    controlling_parents: tuple[Country, ...] | None = None
    classes: dict[Id, ClassFacts] = {}
    assessed_regimes: tuple[str, ...] | None = None
    subject_to: tuple[str, ...] | None = None
    report_sha256: Hash | None = None


class Sovereignty(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Limits of an intent: each list holds what is allowed (countries or the groups EU, EEA); null means no limit."""

    countries: tuple[str, ...] | None = None
    domicile: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None


def expand(names: tuple[str, ...], field: str) -> frozenset[str]:
    """Country codes of a list that may name groups. Raises `Problem` on anything else."""
    found: set[str] = set()
    for name in names:
        if name not in GROUPS and not (len(name) == 2 and name.isascii() and name.isupper()):
            raise invalid(
                field, f"'{name}' is neither a two-letter country code nor one of {', '.join(sorted(GROUPS))}"
            )
        found |= GROUPS.get(name, frozenset({name}))
    return frozenset(found)

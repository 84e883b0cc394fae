"""Subjects that every shipped policy permits, and a way to take one thing away from them."""

from __future__ import annotations

from typing import Final

from federation.policy.context import Purchase
from federation.policy.facts import Subject, manager, subject
from schemas.decision import Part
from schemas.jurisdiction import Attestation, ClassFacts, Landing
from tests.support.seams import NOW

OPERATOR: Final = "https://surf.example"
BROKER: Final = "https://broker.example"
CONTEXT: Final = Purchase(now=NOW)
REGIMES: Final = ("US-CLOUD-ACT", "US-FISA-702")
ATTESTED: Final = Attestation(
    legal_domicile=("NL",),
    controlling_parents=("NL", "DE"),
    operations=("NL",),
    key_custody=("NL",),
    assessed_regimes=REGIMES,
    subject_to=(),
    seal=2,
    certificates=("ISO 22301", "ISO/IEC 27001"),
    classes={
        "eu": ClassFacts(countries=("DE", "NL"), sea=True, landings=(Landing(name="Esbjerg", country="DK"),)),
        "any": ClassFacts(countries=("GB", "NL", "US"), sea=False, landings=()),
    },
)
MARK: Final = frozenset({"https://marks.example/facts"})


def segment(
    attested: Attestation | None = ATTESTED,
    route_class: str = "eu",
    *,
    exp: int = NOW + 86400,
    sites_agree: bool = True,
    entity: str = OPERATOR,
) -> Subject:
    """A segment of an operator over one of its route classes."""
    return subject(Part.CARRY, entity, route_class, attested, MARK, exp, sites_agree)


def broker(attested: Attestation | None = ATTESTED, *, exp: int = NOW + 86400) -> Subject:
    """A broker."""
    return subject(Part.ARRANGE, BROKER, None, attested, MARK, exp)


def everybody(attested: Attestation = ATTESTED) -> tuple[Subject, Subject, Subject]:
    """One of each part."""
    carrier = segment(attested)
    return carrier, broker(attested), manager(carrier, attested)

"""The subjects that policies judge: facts of verified trust marks in the words of the Cedar schema (pure).

The world is closed: what no recognised auditor attests is None, an absent attribute, and no policy permits what it
cannot read. An empty set stands only where emptiness is a fact: an auditor who names no country that traffic crosses,
no domicile, no parent, no place of operations or of custody of keys has said nothing.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

from federation.trust.jose import sha256_b64
from schemas.decision import Part
from schemas.jurisdiction import Attestation, ClassFacts, Management

ENTITY_TYPES: Final = {Part.CARRY: "Segment", Part.ARRANGE: "Broker", Part.MANAGE: "Manager"}
BUYER: Final = {"type": "Buyer", "id": "buyer"}  # a decision names no buyer, so every buyer is this one
Names = frozenset[str]
NOBODY: Final[Names] = frozenset()
_NEVER_EMPTY: Final = ("countries", "legal_domicile", "controlling_parents", "operations", "key_custody")


class Subject(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is judged, with its facts; None is unknown.

    `part` tells which entity type of the schema it is; `entity` is the operator, the broker, or whom the manager works
    for; `route_class` is of a segment. `evidence_exp` is a Unix second, 0 where there is no evidence at all.
    """

    part: Part
    entity: str
    route_class: str | None = None
    countries: Names | None = None
    sea: bool | None = None
    landing_countries: Names | None = None
    legal_domicile: Names | None = None
    controlling_parents: Names | None = None
    operations: Names | None = None
    key_custody: Names | None = None
    assessed_regimes: Names | None = None
    subject_to: Names | None = None
    seal: int | None = None
    certificates: Names | None = None
    marks: Names = NOBODY
    sites_agree: bool = True
    evidence_exp: int = 0

    def __post_init__(self) -> None:
        if empty := [name for name in _NEVER_EMPTY if getattr(self, name) == NOBODY]:
            raise ValueError(f"{empty[0]} must not be empty; leave out what nobody knows")


ATTRIBUTES: Final = tuple(name for name in Subject.__struct_fields__ if name != "part")
_COUNTRY_ONLY: Final = ("countries", "sea", "landing_countries", "route_class")
HELD_BY: Final = {
    Part.CARRY: frozenset(ATTRIBUTES),
    Part.ARRANGE: frozenset(ATTRIBUTES) - frozenset(_COUNTRY_ONLY),
    Part.MANAGE: frozenset(
        {"entity", "legal_domicile", "controlling_parents", "operations", "marks", "sites_agree", "evidence_exp"}
    ),
}

# Every subject has these: no policy needs to ask whether it does.
ALWAYS: Final = frozenset({"entity", "route_class", "marks", "sites_agree", "evidence_exp"})


SUBJECTS_KEPT: Final = 16_384
_kept: dict[tuple[str, str | None], tuple[Attestation | None, Subject]] = {}
_managers: dict[str, tuple[Subject, Attestation | None, Subject]] = {}


def subject(  # noqa: PLR0917 - in the order of the struct
    part: Part,
    entity: str,
    route_class: str | None,
    attestation: Attestation | None,
    mark_types: Names,
    evidence_exp: int,
    sites_agree: bool = True,
) -> Subject:
    """A segment over `route_class` or a broker, as its auditors attest it; `manager` makes the third part.

    `attestation` is of a verified, unexpired mark, `mark_types` are of all such marks, `evidence_exp` is the first
    Unix second at which one of them no longer holds. Without an attestation nothing is known. As long as the very same
    attestation is believed it is the very same subject, by which what was judged of it before is found again.
    """
    exp = 0 if attestation is None else evidence_exp
    attested, last = _kept.get((entity, route_class), (None, None))
    if (
        last is not None
        and attested is attestation
        and last.part is part
        and last.evidence_exp == exp
        and last.sites_agree is sites_agree
        and last.marks == mark_types
    ):
        return last
    if len(_kept) >= SUBJECTS_KEPT:
        _kept.clear()
    made = _made(part, entity, route_class, attestation, mark_types, exp, sites_agree)
    _kept[entity, route_class] = (attestation, made)
    return made


def _made(  # noqa: PLR0917 - in the order of the struct
    part: Part,
    entity: str,
    route_class: str | None,
    attestation: Attestation | None,
    mark_types: Names,
    evidence_exp: int,
    sites_agree: bool,
) -> Subject:
    assert part is not Part.MANAGE, "managers are made by manager()"
    assert (part is Part.CARRY) == (route_class is not None), "segments have a route class, brokers have none"
    known = attestation or Attestation()
    return Subject(
        part=part,
        entity=entity,
        route_class=route_class,
        **_crossed(None if route_class is None else known.classes.get(route_class)),
        legal_domicile=_some(known.legal_domicile),
        controlling_parents=_some(known.controlling_parents),
        operations=_some(known.operations),
        key_custody=_some(known.key_custody),
        assessed_regimes=_set(known.assessed_regimes),
        subject_to=_set(known.subject_to),
        seal=known.seal,
        certificates=_set(known.certificates),
        marks=mark_types,
        sites_agree=sites_agree,
        evidence_exp=evidence_exp,
    )


def manager(of: Subject, attestation: Attestation | None) -> Subject:
    """Whoever manages the network of an operator or the systems of a broker, by the same attestation.

    Where it names nobody, the entity manages itself and is judged by its own domicile, parents and operations. The
    very same arguments make the very same subject, as with `subject`.
    """
    before = _managers.get(of.entity)
    if before is not None and before[0] is of and before[1] is attestation:
        return before[2]
    if len(_managers) >= SUBJECTS_KEPT:
        _managers.clear()
    made = _manager(of, attestation)
    _managers[of.entity] = (of, attestation, made)
    return made


def _manager(of: Subject, attestation: Attestation | None) -> Subject:
    named = attestation.management if attestation else None
    found = named or Management(
        legal_domicile=_listed(of.legal_domicile),
        controlling_parents=_listed(of.controlling_parents),
        countries=_listed(of.operations),
    )
    return Subject(
        part=Part.MANAGE,
        entity=of.entity,
        legal_domicile=_some(found.legal_domicile),
        controlling_parents=_some(found.controlling_parents),
        operations=_some(found.countries),
        marks=of.marks,
        sites_agree=of.sites_agree,
        evidence_exp=of.evidence_exp,
    )


def attributes(subject: Subject) -> dict[str, Any]:
    """The attributes of the Cedar entity, by name: sets as sorted lists, unknown facts absent."""
    held = HELD_BY[subject.part]
    values = {name: getattr(subject, name) for name in ATTRIBUTES if name in held}
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in values.items()
        if value is not None
    }


def facts_json(subject: Subject) -> bytes:
    """The facts as policies see them, canonical: attributes and `part` sorted by name, no spaces, ASCII."""
    told = attributes(subject) | {"part": subject.part.value}
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


@lru_cache(maxsize=SUBJECTS_KEPT)
def facts_h(subject: Subject) -> str:
    """Base64url SHA-256 of `facts_json`."""
    return sha256_b64(facts_json(subject))


def uid(subject: Subject) -> dict[str, str]:
    """The Cedar entity id; it tells subjects apart within one question, and policies may not ask for it."""
    return {"type": ENTITY_TYPES[subject.part], "id": f"{subject.entity} {subject.route_class or ''}".rstrip()}


def _crossed(found: ClassFacts | None) -> dict[str, Any]:
    """Geography of a route class. A class that may cross the sea and lands nowhere was not looked at."""
    if found is None:
        return {}
    landings = None if found.landings is None else frozenset(one.country for one in found.landings)
    nowhere = not landings and found.sea is not False
    return {
        "countries": _some(found.countries),
        "sea": found.sea,
        "landing_countries": None if nowhere else landings,
    }


def _some(names: tuple[str, ...] | None) -> Names | None:
    return _set(names) if names else None


@lru_cache(maxsize=SUBJECTS_KEPT)
def _set(names: tuple[str, ...] | None) -> Names | None:
    """Equal lists make one set, so that comparing is quick."""
    return None if names is None else frozenset(names)


def _listed(names: Names | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))

"""What an auditor may attest (pure): facts that say something, and do not contradict one another.

An empty list would read like a finding and is none: what was not looked at is left out, and unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from schemas.jurisdiction import COUNTRIES, Attestation, ClassFacts
from schemas.problem import invalid

# Of these something is always found, or it was not looked for. No regime, landing or certificate may well be a finding.
NEVER_EMPTY: Final = ("legal_domicile", "controlling_parents", "operations", "key_custody")
IN_MANAGEMENT: Final = ("legal_domicile", "controlling_parents", "countries")


def check_facts(facts: Attestation) -> None:
    """Raises INVALID_ARGUMENT naming the member at fault, and what would be right."""
    for field, countries in _countries(facts):
        if countries == ():
            raise invalid(field, "is empty; name what was found, or leave it out if nobody looked")
        for code in countries or ():
            if code not in COUNTRIES:
                raise invalid(field, f"'{code}' is the code of no country (ISO 3166)")
    for name, found in facts.classes.items():
        _check_sea(f"facts.classes.{name}", found)
    if facts.subject_to and (missing := sorted({*facts.subject_to} - {*(facts.assessed_regimes or ())})):
        raise invalid("facts.subject_to", f"'{missing[0]}' is not among assessed_regimes: what is found was looked for")
    for name, place in facts.sites.items():
        if place.country not in COUNTRIES:
            raise invalid(f"facts.sites.{name}.country", f"'{place.country}' is the code of no country (ISO 3166)")


def unknown(facts: Attestation) -> tuple[str, ...]:
    """The members about which nothing is said: a policy that asks for one of them refuses."""
    said = {name for name in facts.__struct_fields__ if getattr(facts, name) not in (None, {})}
    by_itself = {"management", "report_sha256", "sites"}  # without them nothing is refused
    return tuple(name for name in facts.__struct_fields__ if name not in said | by_itself)


def _countries(facts: Attestation) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    for name in NEVER_EMPTY:
        yield f"facts.{name}", getattr(facts, name)
    if facts.management is not None:
        for name in IN_MANAGEMENT:
            yield f"facts.management.{name}", getattr(facts.management, name)
    for route_class, found in facts.classes.items():
        yield f"facts.classes.{route_class}.countries", found.countries
        if found.landings:
            yield f"facts.classes.{route_class}.landings", tuple(one.country for one in found.landings)


def _check_sea(field: str, found: ClassFacts) -> None:
    if found.landings and found.sea is False:
        raise invalid(f"{field}.landings", "names where cables come ashore, and sea says that there are none")
    ashore = {one.country for one in found.landings or ()}
    if missing := sorted(ashore - set(found.countries)):
        raise invalid(f"{field}.countries", f"lacks {missing[0]}, where landings say that a cable comes ashore")


SAMPLE: Final = """\
# What an auditor found of one operator or broker. Countries are ISO 3166 codes.
# Leave out what nobody looked at: it is unknown then, and a policy that asks for it refuses.
legal_domicile = ["DE"]               # where it is incorporated
controlling_parents = ["DE"]          # where those are who control it, itself if nobody else does
operations = ["DE", "NL"]             # from where its network, or its systems, are run
key_custody = ["DE"]                  # where its keys are held
assessed_regimes = ["US-CLOUD-ACT", "US-FISA-702"]   # laws that were looked for ...
subject_to = []                       # ... and those of them that it is subject to
seal = 3                              # sovereignty level, 0 to 4
certificates = ["ISO/IEC 27001", "ISO 22301"]     # in force
# report_sha256 = ""                  # base64url SHA-256 of the report; `attest --report FILE` fills it in

# [management]                        # only if somebody else runs the network: the same about them
# legal_domicile = ["DE"]
# controlling_parents = ["DE"]
# countries = ["DE"]                  # where from

# One table per route class of an operator: what traffic of this class may cross. A broker has none.
[classes.any]
countries = ["DE", "DK", "NL"]
sea = true                            # also waters that belong to no country
landings = [{ name = "Norden", country = "DE" }, { name = "Esbjerg", country = "DK" }]   # where cables come ashore

[classes.eu]
countries = ["DE", "NL"]
sea = false

# One table per site, by the name or interface id of the operator's offer sheet; millionths of a degree.
[sites."enni-frankfurt--kpn-frankfurt"]
country = "DE"
lat_e6 = 50_119_800
lon_e6 = 8_684_300
"""

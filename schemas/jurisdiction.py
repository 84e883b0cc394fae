"""Facts about where data go and under whose law, and the limits an intent may put on them.

The facts come from auditors' trust marks only, per operator and route class. Absent means unknown, and unknown
means refused. "Legal domicile", "controlling parents" and "countries that may be crossed" are separate facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import Meta, Struct

from schemas.interface import Country
from schemas.problem import invalid
from schemas.segment import Hash, Id

Name = Annotated[str, Meta(min_length=1, max_length=200)]

_EU: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
# ISO 3166-1, and XK, which is in use without being in it.
COUNTRIES: Final = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
    FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
    JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
    MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
    TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    XK
    """.split()
)
GROUPS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {"EU": frozenset(_EU.split()), "EEA": frozenset(_EU.split()) | {"IS", "LI", "NO"}}
)


class Landing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a sea cable comes ashore."""

    name: Name
    country: Country


class ClassFacts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What an auditor found for one route class: every country that traffic of the class may cross.

    `sea` says whether it may also run through waters that belong to no country, `landings` where it then comes ashore.
    """

    countries: tuple[Country, ...]
    sea: bool | None = None
    landings: tuple[Landing, ...] | None = None


class Management(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Who manages the network of an operator, or the systems of a broker: facts about that manager."""

    legal_domicile: tuple[Country, ...] | None = None
    controlling_parents: tuple[Country, ...] | None = None
    countries: tuple[Country, ...] | None = None


class AttestedPlace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an auditor found a site; millionths of a degree."""

    country: Country
    lat_e6: Annotated[int, Meta(ge=-90_000_000, le=90_000_000)]
    lon_e6: Annotated[int, Meta(ge=-180_000_000, le=180_000_000)]


class Attestation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The `attest` member of a trust mark. Null means that the auditor did not look: unknown.

    `operations` are the countries that the network is run from, `management` is who runs it if somebody else does,
    `key_custody` the countries where its keys are held. `assessed_regimes` were looked for, `subject_to` were found.
    `seal` is the sovereignty level (0 to 4), `certificates` the names of those in force. `sites` are by the
    interface's id in the operator's sheet, or by the name that it gives the site; evidence knows ids alone.
    """

    legal_domicile: tuple[Country, ...] | None = None
    controlling_parents: tuple[Country, ...] | None = None
    classes: dict[Id, ClassFacts] = {}
    operations: tuple[Country, ...] | None = None
    management: Management | None = None
    key_custody: tuple[Country, ...] | None = None
    assessed_regimes: tuple[Name, ...] | None = None
    subject_to: tuple[Name, ...] | None = None
    seal: Annotated[int, Meta(ge=0, le=4)] | None = None
    certificates: tuple[Name, ...] | None = None
    sites: dict[Name, AttestedPlace] = {}
    report_sha256: Hash | None = None


class Sovereignty(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Limits of an intent: each list holds what is allowed (countries or the groups EU, EEA); null means no limit."""

    countries: tuple[str, ...] | None = None
    domicile: tuple[str, ...] | None = None
    parents: tuple[str, ...] | None = None


def expand(names: tuple[str, ...], field: str) -> frozenset[str]:
    """Country codes of a list that may name groups. Raises `Problem` on anything else, codes of no country too."""
    found: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in COUNTRIES:
            groups = ", ".join(sorted(GROUPS))
            raise invalid(field, f"'{name}' is neither a two-letter country code (ISO 3166) nor one of {groups}")
        found |= GROUPS.get(name, frozenset({name}))
    return frozenset(found)

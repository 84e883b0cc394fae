"""Who plays in the demo: fifteen real networks by their AS number, with invented rates, domiciles and parents.

Nothing here but the AS numbers and names is true. Attestations are invented so that the cheapest path of the first
step fails the policy of the second: two operators are controlled from outside the EEA and Switzerland.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.jurisdiction import GROUPS, Attestation, AttestedPlace, ClassFacts, Landing

BROKER: Final = "https://broker.example"
AUDITOR: Final = "https://auditor.example"
BUYER: Final = "demo"
BUYER_ENTITY: Final = "https://buyer.example"
AGENT: Final = "demo-agent"
EU_SURCHARGE_PPM: Final = 1_150_000
DOMESTIC_SURCHARGE_PPM: Final = 1_080_000
# Invented for the demo: what one unit is worth in millionths of a euro, and the day it is said to be of.
RATES_DATE: Final = "2026-11-02"
WORTH_PPM: Final = {"EUR": 1_000_000, "CHF": 1_068_000, "GBP": 1_149_000}


# Clouds that do not exist; one UNI in eight leads to each of these.
CAPABILITIES: Final = ("gpu", "edge", "on-ramp:nimbus", "on-ramp:stratus")
ONE_IN: Final = 8
# What the auditor looked for, and found in force, at everybody.
REGIMES: Final = ("US-CLOUD-ACT", "US-FISA-702")
CERTIFICATES: Final = ("ISO 22301", "ISO/IEC 27001")
ISLANDS: Final = frozenset({"CY", "GB", "IE", "IS", "MT"})
SITES_MAX: Final = 40  # a mark has a size


class Performer(NamedTuple):
    """One operator. `km` and `gbps` are micro-units per Gb/s and hour, by kilometre and by end; `port` per hour."""

    asn: int
    name: str
    host: str
    home: str
    parent: str
    zone: str
    currency: str = "EUR"
    km: int = 400
    gbps: int = 15_000
    port: int = 300_000

    @property
    def set_up(self) -> int:
        """What a new lease costs once, micro-units."""
        return self.port // 2

    @property
    def exit(self) -> int:
        """What ending a lease early costs once, micro-units."""
        return self.km * 2_000

    @property
    def entity(self) -> str:
        """Entity id."""
        return f"https://{self.host}.example"

    @property
    def source(self) -> str:
        """Where its footprint comes from."""
        return f"caida/2024-08/{self.asn}"


CAST: Final = (
    Performer(1103, "SURF", "surf", "NL", "NL", "Europe/Amsterdam", km=380, port=250_000),
    Performer(1136, "KPN", "kpn", "NL", "NL", "Europe/Amsterdam", km=520, gbps=22_000, port=450_000),
    Performer(680, "DFN", "dfn", "DE", "DE", "Europe/Berlin", km=340, port=240_000),
    Performer(3209, "Vodafone DE", "vodafone", "DE", "GB", "Europe/Berlin", km=150, gbps=9_000, port=200_000),
    Performer(3320, "DTAG", "dtag", "DE", "DE", "Europe/Berlin", km=480, gbps=20_000, port=500_000),
    Performer(20965, "GÉANT", "geant", "NL", "NL", "Europe/Amsterdam", km=360, gbps=14_000, port=350_000),
    Performer(559, "SWITCH", "switch", "CH", "CH", "Europe/Zurich", "CHF", km=410, port=280_000),
    Performer(2200, "RENATER", "renater", "FR", "FR", "Europe/Paris", km=350, port=250_000),
    Performer(3215, "Orange", "orange", "FR", "FR", "Europe/Paris", km=470, gbps=19_000, port=420_000),
    Performer(137, "GARR", "garr", "IT", "IT", "Europe/Rome", km=370, port=230_000),
    Performer(12874, "Fastweb", "fastweb", "IT", "CH", "Europe/Rome", km=440, gbps=17_000, port=380_000),
    Performer(2611, "Belnet", "belnet", "BE", "BE", "Europe/Brussels", km=390, port=240_000),
    Performer(6830, "Liberty", "liberty", "NL", "US", "Europe/Amsterdam", km=170, gbps=10_000, port=220_000),
    Performer(766, "RedIRIS", "rediris", "ES", "ES", "Europe/Madrid", km=360, port=230_000),
    Performer(786, "Jisc", "jisc", "GB", "GB", "Europe/London", "GBP", km=330, port=210_000),
)


def class_countries(performer: Performer, crossed: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
    """Route classes of a performer whose PoPs lie in `crossed`; null countries mean anywhere in its footprint."""
    present = frozenset(crossed)
    classes: dict[str, tuple[str, ...] | None] = {"any": None}
    if european := tuple(sorted(present & GROUPS["EU"])):
        classes["eu"] = european
    if performer.home in present:
        classes["domestic"] = (performer.home,)
    return classes


def capabilities(uni: str) -> list[str]:
    """What a UNI leads to, drawn by its name: most lead nowhere but to a customer."""
    drawn = hashlib.sha256(uni.encode()).digest()
    return [name for name, byte in zip(CAPABILITIES, drawn, strict=False) if byte % ONE_IN == 0]


def attestation(
    performer: Performer, crossed: Iterable[str], sites: Mapping[str, AttestedPlace] = MappingProxyType({})
) -> Attestation:
    """What the demo's auditor says of a performer: invented, but consistent with its footprint."""
    everywhere = tuple(sorted(set(crossed)))
    classes = class_countries(performer, everywhere)
    return Attestation(
        **_house(performer.home, performer.parent),
        classes={name: _crossing(countries or everywhere) for name, countries in classes.items()},
        sites=dict(sites),
    )


def broker_attestation() -> Attestation:
    """What it says of the demo's broker, which arranges everything and is judged like those who carry."""
    return Attestation(**_house("NL", "NL"))


def _house(home: str, parent: str) -> dict[str, Any]:
    inside = parent in GROUPS["EEA"] | {"CH"}
    return {
        "legal_domicile": (home,),
        "controlling_parents": (parent,),
        "operations": (home,),
        "key_custody": (home,),
        "assessed_regimes": REGIMES,
        "subject_to": REGIMES if parent == "US" else (),
        "seal": 3 if inside else 1,
        "certificates": CERTIFICATES,
    }


def _crossing(countries: tuple[str, ...]) -> ClassFacts:
    """From one country to an island cables run through the sea, and come ashore there."""
    islands = sorted(ISLANDS & set(countries)) if len(countries) > 1 else []
    landings = tuple(Landing(name=f"cable landing in {country}", country=country) for country in islands)
    return ClassFacts(countries=countries, sea=bool(islands), landings=landings)


def crowd_member(asn: int) -> Performer:
    """Anybody, for the federation of all footprints: rates that differ from one to the next, and no attestation."""
    return Performer(
        asn, f"AS{asn}", f"as{asn}", "", "", "UTC", km=200 + asn * 37 % 400, gbps=8_000 + asn * 13 % 15_000
    )

"""Who sells what between whom: a few federations, drawn once and shared by every run that draws their number.

Six operators of one hub each, whose interconnects have few labels and little room, so that buyers get in each other's
way. What is published is what was free at first: every offer is out of date soon, as it may be in any federation.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Final, NamedTuple

from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import OperatorSheet, sheet_from_pages
from federation.broker.market.market import Snapshot
from federation.broker.paths.graph import Graph
from federation.trust.jose import unverified
from operators.access.signer import Signer
from operators.catalog.layout import lay_out
from operators.catalog.publisher import Publisher
from operators.inventory.footprint import Enni, Footprint, Link, Pop, Uni
from operators.inventory.ledger import Inventory
from operators.pricing.card import ClassCard, PromiseCard, RateCard
from operators.pricing.network import Network
from schemas.jurisdiction import Attestation, ClassFacts
from schemas.offer import Manifest
from tests.simulation.world.keys import sim_key
from tests.support.seams import CountingEntropy, FixedClock

GBPS: Final = 10**9
NAMES: Final = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir")
# Alder sells access in the west, Dogwood and Fir in the east; Birch, Cedar and Elm lie in between.
EDGES: Final = ((0, 1), (0, 2), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4), (4, 5))
COUNTRIES: Final = ("NL", "DE", "BE", "IT", "CH", "AT")
HORIZON_DAYS: Final = 30
DRAWN: Final = 6


class Country(NamedTuple):
    """One operator: its network, and what it published at first."""

    entity: str
    name: str
    network: Network
    sheet: OperatorSheet
    facts: Attestation


class Geography(NamedTuple):
    """All operators, and the market as every broker first saw it."""

    operators: tuple[Country, ...]
    snapshot: Snapshot
    facts: dict[str, Attestation]

    def sites(self) -> tuple[str, ...]:
        """Every UNI as an intent may name it."""
        return tuple(f"{uni.id}@{one.name}" for one in self.operators for uni in one.network.footprint.unis)


def entity_of(index: int) -> str:
    """The entity id of an operator."""
    return f"https://{NAMES[index].lower()}.example"


class Room(NamedTuple):
    """What there is of everything: labels of an interconnect, speeds in bit/s; labels of `None` are drawn."""

    labels: str | None = None
    enni_bps: int = 10 * GBPS
    inside_bps: int = 20 * GBPS
    site_labels: str = "2-9"


@lru_cache(maxsize=2 * DRAWN)
def geography(number: int, room: Room = Room()) -> Geography:  # noqa: B008 - it never changes
    """The federation of this number."""
    rng = random.Random(number)
    made = tuple(_country(index, rng, room) for index in range(len(NAMES)))
    sheets = {one.entity: one.sheet for one in made}
    known = Known(1, {one.entity: one.name for one in made}, sheets)
    return Geography(made, Snapshot(known, Graph.build(sheets)), {one.entity: one.facts for one in made})


def _country(index: int, rng: random.Random, room: Room) -> Country:
    entity, name = entity_of(index), NAMES[index]
    card = ClassCard(
        id="any",
        rates=RateCard(
            gbps_hourly_micro=rng.randrange(1, 4_000_000), gbps_km_hourly_micro=rng.randrange(1_000),
            set_up_micro=rng.randrange(1_000_000), minimum_micro=rng.choice((0, 500_000)),
            exit_micro=rng.randrange(1_000_000),
        ),
        promises=PromiseCard(),
    )  # fmt: skip
    network = Network(_footprint(index, rng, room), [card], ("EUR", "CHF", "GBP")[index % 3], "UTC")
    facts = Attestation(
        legal_domicile=(COUNTRIES[index],), controlling_parents=(COUNTRIES[index],),
        classes={"any": ClassFacts(countries=(COUNTRIES[index],))},
    )  # fmt: skip
    return Country(entity, name, network, _sheet(entity, name, network), facts)


def _footprint(index: int, rng: random.Random, room: Room) -> Footprint:
    peers = [(a if z == index else z) for a, z in EDGES if index in (a, z)]
    country = COUNTRIES[index]
    pops = [Pop("hub", f"City {index}", 50 + index / 10, 5, country)]
    pops += [Pop(f"p{peer}", _meeting(index, peer), 50 + (index + peer) / 20, 5, country) for peer in peers]
    links = tuple(
        Link(f"l{peer}", "hub", f"p{peer}", room.inside_bps, 10 * rng.randrange(1, 9), 100 * rng.randrange(1, 9))
        for peer in peers
    )
    entity = entity_of(index)
    unis = tuple(
        Uni(f"u{index}{n}", "hub", f"Site {index}{n}", entity, room.inside_bps, 9000, room.site_labels) for n in "ab"
    )
    ennis = tuple(
        Enni(
            f"e{index}{peer}", f"p{peer}", entity_of(peer), f"e{peer}{index}", room.enni_bps, 9000,
            room.labels or rng.choice(("100-102", "100-104", "101-103", "102-109")), latency_us=rng.randrange(9),
        )
        for peer in peers
    )  # fmt: skip
    return Footprint(
        source="drawn", entity=entity, measured="Nothing.", invented="Everything.",
        pops=tuple(pops), links=links, unis=unis, ennis=ennis,
    )  # fmt: skip


def _meeting(a: int, z: int) -> str:
    return f"Meeting {min(a, z)}{max(a, z)}"


def _sheet(entity: str, name: str, network: Network) -> OperatorSheet:
    signer = Signer(entity, sim_key(entity), FixedClock(), CountingEntropy("m"))
    inventory = Inventory.of(network.footprint)
    publisher = Publisher(
        network, inventory, lay_out(network), signer, horizon_days=HORIZON_DAYS, granularity_bps=GBPS // 10
    )
    publisher.open()
    sheet = publisher.sheet()
    return sheet_from_pages(unverified(sheet.manifest, Manifest), sheet.pages, name)

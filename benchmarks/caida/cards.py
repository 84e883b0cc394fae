"""Invented rates and promises: one card per operator and route class, drawn from the seed.

All prices are in euros and without time bands or term factors, and minimums lie below what any segment of the benchmark
costs: so the price of a path is a sum over its arcs, and peers that can only add solve the same problem.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from benchmarks.caida.draft import EU, countries, share
from operators.inventory.footprint import Footprint
from operators.pricing.card import ClassCard, PromiseCard, Quality, RateCard
from schemas.interface import InterfaceKind

SURCHARGE: Final = {"any": 100, "eu": 115, "domestic": 108}  # percent


class Once(Struct, frozen=True):
    """The most that an operator charges once per segment, micro-units; each draws its own between nothing and this.

    The two ports of a segment cost more over a day than the default minimum.
    """

    set_up_micro: int = 1_000_000
    minimum_micro: int = 1_000_000


def cards(drawn: Footprint, seed: int, once: Once) -> list[ClassCard]:
    """`any`; `eu` where there are PoPs in the EU; `domestic`, the country of most PoPs, where there are others."""
    present = Counter(countries(drawn).values())
    home = min(present, key=lambda country: (-present[country], country))
    classes: dict[str, tuple[str, ...] | None] = {"any": None}
    if EU & present.keys():
        classes["eu"] = tuple(sorted(EU & present.keys()))
    if len(present) > 1:
        classes["domestic"] = (home,)
    promises = _promises(drawn.entity, seed)
    return [
        ClassCard(id=name, countries=where, rates=_rates(drawn.entity, name, seed, once), promises=promises)
        for name, where in classes.items()
    ]


def _rates(entity: str, name: str, seed: int, once: Once) -> RateCard:
    def drawn(what: str, low: int, high: int) -> int:
        return int(low + (high - low) * share(seed, entity, what)) * SURCHARGE[name] // 100

    return RateCard(
        port_hourly_micro={kind: drawn(f"port {kind}", 200_000, 500_000) for kind in InterfaceKind},
        gbps_hourly_micro=drawn("gbps", 8_000, 25_000),
        gbps_km_hourly_micro=drawn("km", 150, 600),
        set_up_micro=drawn("set up", 0, once.set_up_micro),
        minimum_micro=drawn("minimum", 0, once.minimum_micro),
        exit_micro=2_000_000,
    )


def _promises(entity: str, seed: int) -> PromiseCard:
    def drawn(what: str, low: int, high: int) -> int:
        return int(low + (high - low) * share(seed, entity, what))

    return PromiseCard(
        end=Quality(jitter_ns=drawn("end jitter", 5_000, 60_000), unavailability_ppb=drawn("end down", 1_000, 20_000)),
        hop=Quality(
            jitter_ns=drawn("hop jitter", 10_000, 250_000),
            loss_ppb=drawn("hop loss", 10, 1_000),
            unavailability_ppb=drawn("hop down", 1_000, 50_000),
            carbon_mg_gb=drawn("hop carbon", 10, 100),
        ),
        km=Quality(jitter_ns=drawn("km jitter", 10, 200), unavailability_ppb=drawn("km down", 5, 60)),
    )

"""The kinds of runs: half of all seeds draw everything, the others visit the corners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tests.simulation.world.buyers import Wishes
from tests.simulation.world.run import Plan

PLANS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "drawn": Plan(),
        "later": Plan(wishes=Wishes(start_in_s=20_000), fault=0.3, steps=1000),
        "rough": Plan(fault=0.4, steps=400),
        "longer": Plan(wishes=Wishes(start_in_s=0, release=0.0, resize=0.0), fault=0.15),
        "resized": Plan(wishes=Wishes(start_in_s=0, release=0.1, resize=0.7), fault=0.1),
        "brief": Plan(wishes=Wishes(start_in_s=0, lasts_s=40), fault=0.2),
        "crowd": Plan(buyers=6, paths=3, fault=0.05, steps=0),
        "liars": Plan(wishes=Wishes(start_in_s=0), fault=0.05, steps=0, lies=0.08),
        "replicas": Plan(brokers=1, replicas=3, wishes=Wishes(start_in_s=0, lasts_s=400), fault=0.1, steps=1500),
        "by hand": Plan(by_hand=0.5, wishes=Wishes(start_in_s=0, lasts_s=400, patience_s=200), fault=0.1, steps=400),
        "swept": Plan(sweeps=True, wishes=Wishes(start_in_s=0, lasts_s=1200), fault=0.1, steps=3000),
        "stopped": Plan(stands=1.0, wishes=Wishes(start_in_s=0), fault=0.0, steps=0),
        "real keys": Plan(real_keys=True, buyers=2),
    }
)


def planned(seeds: range) -> Iterator[tuple[int, str]]:
    """Each seed with the name of its plan."""
    corners = [name for name in PLANS if name != "drawn"]
    for seed in seeds:
        yield seed, "drawn" if seed % 2 else corners[seed // 2 % len(corners)]

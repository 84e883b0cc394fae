"""What is asked of the path search: endpoints, size, time, hard limits, and what the best path is the least of.

Everything is resolved already: places are interfaces, operators are entity ids, the budget is in the buyer's
currency, and what policy refuses is a table. Bandwidth is bit/s, money micro-units, latency microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec import Struct

from federation.policy.limits import Refusal
from schemas.intent import Objective
from schemas.price import RateTable
from schemas.request import PATHS_MAX
from schemas.segment import Limits, Window

WORK_MAX: Final = 100_000
ALTERNATIVES_MAX: Final = PATHS_MAX

End = tuple[str, str]  # entity id, interface id


class Limit(StrEnum):
    """Everything that a buyer can ask for and that can stand in the way; values are field names of an intent.

    What policy refuses comes under the name of its rule (`countries`, `domicile`, `parents`, `marks_required`).
    """

    LATENCY = "latency_us"
    JITTER = "jitter_us"
    LOSS = "loss_ppb"
    AVAILABILITY = "availability_ppb"
    CARBON = "carbon_mg_gb"
    HOPS = "hops"
    BUDGET = "budget"
    BANDWIDTH = "bandwidth_bps"
    MTU = "mtu"
    TERM = "duration_s"
    CLASSES = "route_classes"
    ALLOWED = "operators_allowed"
    DENIED = "operators_denied"
    REQUIRED = "operators_required"
    SITES = "sites_denied"
    CITIES = "cities_denied"


class Weighing(NamedTuple):
    """What a microsecond and a mg/GB of a path are worth, in billionths of the buyer's currency unit.

    With the price, of which a micro-unit counts as `NANO` of them, they add up to a path's score without rounding.
    """

    nano_per_us: int
    nano_per_mg_gb: int


class Query(Struct, frozen=True, kw_only=True):
    """One question.

    `sources` and `targets` are UNIs; any of them will do, or with `nearest_source` and `nearest_target` the one of them
    that is reached with the least latency under all limits. `term_s` is the duration sold, in seconds. `refused` tells
    per (operator, route class) why policy keeps it out, `closed` per interface by which (rule, name) it is avoided. A
    path enters every operator of `operators_required`. For crank-back, `excluded` names (operator, interface or
    offer) that must not be used, and `banned_labels` the labels of an interface that are taken. `k` paths are wanted,
    at most `ALTERNATIVES_MAX`, for at most `work` labels expanded and as many steps as `work.Work` grants for these.
    """

    sources: tuple[End, ...]
    targets: tuple[End, ...]
    bandwidth_bps: int
    window: Window
    term_s: int
    currency: str
    rates: RateTable
    mtu: int = 1500
    limits: Limits = Limits()
    hops: int | None = None
    budget_micro: int | None = None
    route_classes: frozenset[str] | None = None
    operators_allowed: frozenset[str] | None = None
    operators_denied: frozenset[str] = frozenset()
    operators_required: frozenset[str] = frozenset()
    closed: Mapping[End, frozenset[tuple[str, str]]] = {}
    refused: Mapping[End, tuple[Refusal, ...]] = {}
    nearest_source: bool = False
    nearest_target: bool = False
    objective: Objective = Objective.PRICE
    weighing: Weighing = Weighing(0, 0)
    excluded: frozenset[End] = frozenset()
    banned_labels: Mapping[End, int] = {}
    k: int = 1
    work: int = WORK_MAX

    def limit(self, name: str) -> int | None:
        """The number asked for under a numeric limit's name; None where there is none."""
        read = _READ.get(name)
        return None if read is None else read(self)


class Ask(Struct, frozen=True, kw_only=True):
    """A query as one solve sees it.

    `aim` is `price`, `score`, `latency_us` or another `Limit` whose best value is wanted, or `ADDITIONS`: as few names
    added to the rules in `eased` as possible. Limits in `waived` do not count. `granted` holds (rule, name) that were
    added before.
    """

    query: Query
    aim: str
    waived: frozenset[str] = frozenset()
    eased: frozenset[str] = frozenset()
    granted: frozenset[tuple[str, str]] = frozenset()

    def limit(self, name: str) -> int | None:
        """Like `Query.limit`, None for what is waived."""
        return None if self.waived and name in self.waived else self.query.limit(name)


_READ: Final[Mapping[str, Callable[[Query], int | None]]] = {
    **{
        name: attrgetter(f"limits.{name}")
        for name in (Limit.LATENCY, Limit.JITTER, Limit.LOSS, Limit.AVAILABILITY, Limit.CARBON)
    },
    Limit.HOPS: attrgetter("hops"),
    Limit.BUDGET: attrgetter("budget_micro"),
    Limit.BANDWIDTH: attrgetter("bandwidth_bps"),
    Limit.MTU: attrgetter("mtu"),
    Limit.TERM: attrgetter("term_s"),
}
PRICE: Final = "price"
SCORE: Final = "score"  # price, latency and carbon, weighed
ADDITIONS: Final = "additions"
NANO: Final = 1000
_AIMS: Final = {
    Objective.PRICE: PRICE,
    Objective.LATENCY: str(Limit.LATENCY),
    Objective.CARBON: str(Limit.CARBON),
    Objective.WEIGHTED: SCORE,
}


def aim_of(objective: Objective) -> str:
    """What a solve for an objective minimises."""
    return _AIMS[objective]


def figures(aim: str, price_micro: int, latency_us: int, carbon_mg_gb: int, weighing: Weighing) -> tuple[int, int]:
    """By what two paths are compared: the aim's value, then price (or latency, where price is the aim).

    A score is in billionths of the currency unit.
    """
    if aim == PRICE:
        return price_micro, latency_us
    if aim == SCORE:
        worth = weighing.nano_per_us * latency_us + weighing.nano_per_mg_gb * carbon_mg_gb
        return NANO * price_micro + worth, price_micro
    return (latency_us if aim == Limit.LATENCY else carbon_mg_gb), price_micro

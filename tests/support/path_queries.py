"""Random questions about small federations, with limits near what their paths can do, so that many just fail."""

from __future__ import annotations

from random import Random

from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.query import Query, Weighing
from federation.policy.limits import Refusal
from schemas.intent import Objective
from schemas.segment import Limits
from tests.support.brute_paths import Walk
from tests.support.federations import GBPS, RATES, ends, week

RULES = ("countries", "domicile", "parents", "marks_required")


def question(rng: Random, sheets: dict[str, OperatorSheet]) -> Query:
    """Endpoints, size and rules; no limits yet."""
    unis = list(ends(sheets))
    if rng.random() < 0.5:
        unis = [unis[0], *reversed(unis[1:])]  # from the first operator to the last: the longest way
    else:
        rng.shuffle(unis)
    apart = rng.random() < 0.95
    window = week()
    return Query(
        sources=tuple(unis[: rng.choice((1, 1, 2))]),
        targets=tuple(unis[1:][: rng.choice((1, 2))] if apart else unis[:2]),
        bandwidth_bps=rng.choice((1, 3 * GBPS, 3 * GBPS, 10 * GBPS)),
        window=window,
        term_s=window.duration_s,
        currency=rng.choice(("EUR", "EUR", "USD")),
        rates=RATES if rng.random() < 0.95 else structs.replace(RATES, worth_ppm={"EUR": 10**6, "USD": 920_000}),
        mtu=rng.choice((1500, 9000)),
        objective=rng.choice((Objective.PRICE, Objective.PRICE, *Objective)),
        weighing=weighing(rng),
    )


def weighing(rng: Random) -> Weighing:
    """Weights at which price, latency and carbon of small federations are about equal, or one of them decides."""
    return Weighing(rng.choice((0, 300, 1000, 9999)), rng.choice((0, 1, 1700, 20_000)))


def ruled(rng: Random, sheets: dict[str, OperatorSheet], query: Query) -> Query:
    """The question with rules that refuse some operators and classes."""
    offered = [(name, terms) for name in sorted(sheets) for terms in sorted(sheets[name].classes)]
    refused = {key: reasons for key in offered if (reasons := tuple(_reasons(rng)))}
    entities = sorted(sheets)
    return structs.replace(
        query,
        refused=refused,
        route_classes=frozenset({rng.choice(("any", "eu"))}) if rng.random() < 0.1 else None,
        operators_allowed=frozenset(rng.sample(entities, len(entities) - 1)) if rng.random() < 0.1 else None,
        operators_denied=frozenset(rng.sample(entities, 1)) if rng.random() < 0.1 else frozenset(),
        operators_required=required(rng, entities) if rng.random() < 0.15 else frozenset(),
        closed=avoided(rng, sheets) if rng.random() < 0.2 else {},
    )


def required(rng: Random, entities: list[str]) -> frozenset[str]:
    """One or two operators to be entered, rarely one that has published nothing."""
    chosen = rng.sample(entities, min(len(entities), rng.choice((1, 1, 2))))
    return frozenset(chosen) | (frozenset({"https://absent.example"}) if rng.random() < 0.05 else frozenset())


def avoided(rng: Random, sheets: dict[str, OperatorSheet]) -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """A few interfaces, each avoided for one reason or two that it may share with others."""
    reasons = [("sites_denied", "North"), ("sites_denied", "South"), ("cities_denied", "Bern")]
    places = [(e, name) for e in sorted(sheets) for name in sorted(sheets[e].interfaces)]
    some = rng.sample(places, min(len(places), rng.choice((1, 2, 2, 4))))
    return {place: frozenset(rng.sample(reasons, rng.choice((1, 1, 2)))) for place in some}


def _reasons(rng: Random) -> list[Refusal]:
    found = []
    for rule in RULES:
        if rng.random() < 0.06:
            lacking = frozenset(rng.sample(("CH", "US", "GB"), rng.choice((1, 1, 2)))) if rng.random() < 0.8 else None
            found.append(Refusal(rule=rule, detail="for a test", lacking=lacking))
    return found


def marked(rng: Random, sheets: dict[str, OperatorSheet]) -> dict[tuple[str, str], tuple[Refusal, ...]]:
    """Trust marks are required, and one operator or two lack some: all of its classes are refused."""
    lacking = {
        entity: frozenset(rng.sample(("mark/a", "mark/b"), rng.choice((1, 2))))
        for entity in rng.sample(sorted(sheets), rng.choice((1, 1, 2)))
    }
    return {
        (entity, terms): (Refusal(rule="marks_required", detail="for a test", lacking=lacked),)
        for entity, lacked in lacking.items()
        for terms in sheets[entity].classes
    }


def cranked(rng: Random, sheets: dict[str, OperatorSheet], query: Query) -> Query:
    """The question after something was refused: an offer, an interface, a label."""
    items = [(e, name) for e in sorted(sheets) for name in sorted({*sheets[e].offers, *sheets[e].interfaces})]
    places = [(e, name) for e in sorted(sheets) for name in sorted(sheets[e].interfaces)]
    banned = {place: rng.choice((1 << 10, 1 << 11 | 1 << 12)) for place in rng.sample(places, min(2, len(places)))}
    return structs.replace(query, excluded=frozenset(rng.sample(items, 1)), banned_labels=banned)


def limited(rng: Random, query: Query, walks: list[Walk], share: float) -> Query:
    """The question with each limit set with probability `share`, near the value of some path."""

    def near(values: list[int], low: int = 0) -> int | None:
        if not values or rng.random() > share:
            return None
        return max(low, rng.choice(values) + rng.choice((0, 0, 0, -1, 1)))

    limits = Limits(
        latency_us=near([w.promise.latency_us for w in walks]),
        jitter_us=near([w.promise.jitter_us for w in walks]),
        loss_ppb=near([w.promise.loss_ppb for w in walks]),
        availability_ppb=near([w.promise.availability_ppb for w in walks]),
        carbon_mg_gb=near([w.promise.carbon_mg_gb for w in walks]),
    )
    hops, budget = near([w.hops for w in walks], 1), near([w.price for w in walks])
    return structs.replace(query, limits=limits, hops=hops, budget_micro=budget)

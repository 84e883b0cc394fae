"""Small federations with a question and every path there is, each from its seed; and how paths are compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from random import Random
from typing import Any

from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.query import Query, aim_of, figures
from federation.broker.paths.route import Route
from schemas.intent import Objective
from schemas.segment import Limits
from tests.support.brute_paths import Walk, keeps, key, walks
from tests.support.federations import ends, focused, small
from tests.support.path_queries import avoided, cranked, limited, marked, question, required, ruled

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
World = tuple[dict[str, OperatorSheet], Query, list[Walk]]
KEPT = 64  # tests that ask the same worlds in several ways run next to each other: those ways are the fastest parameter


def case(seed: int, share: float) -> World:
    """A federation of any kind, and limits that about this share of its paths keep."""
    sheets, query, every, state = _unlimited(seed)
    rng = Random()
    rng.setstate(state)
    return sheets, limited(rng, query, every, share), every


@lru_cache(maxsize=KEPT)
def _unlimited(seed: int) -> tuple[dict[str, OperatorSheet], Query, list[Walk], tuple[Any, ...]]:
    rng = Random(seed)
    sheets = small(rng)
    query = question(rng, sheets)
    if rng.random() < 0.5:
        query = ruled(rng, sheets, query)
    if rng.random() < 0.3:
        query = cranked(rng, sheets, query)
    return sheets, query, walks(sheets, query), rng.getstate()


@contextmanager
def naming(seed: int) -> Iterator[None]:
    """Says with which seed a case failed."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"seed {seed}") from error


def route_key(query: Query, route: Route) -> tuple[int, int]:
    promise = route.promise
    aim = aim_of(query.objective)
    return figures(aim, route.total_micro, promise.latency_us, promise.carbon_mg_gb, query.weighing)


def ranked(query: Query, every: list[Walk]) -> list[tuple[int, int]]:
    """The best figures of each interface sequence, best first."""
    best: dict[object, tuple[int, int]] = {}
    for walk in every:
        if keeps(walk, query):
            found = key(query, walk)
            best[walk.interfaces] = min(found, best.get(walk.interfaces, found))
    return sorted(best.values())


@lru_cache(maxsize=KEPT)
def pointed(seed: int, trouble: str) -> World:
    """A federation with much choice and one kind of trouble, and a question that has to do with it."""
    rng = Random(seed)
    sheets = focused(rng, trouble)
    query = structs.replace(question(rng, sheets), mtu=1500, objective=rng.choice(tuple(Objective)))
    if trouble == "required":
        query = structs.replace(query, operators_required=required(rng, sorted(sheets)))
    if trouble == "avoided":
        query = structs.replace(query, closed=avoided(rng, sheets))
    if trouble == "marks":
        query = structs.replace(query, refused=marked(rng, sheets))
    if trouble == "nearest":
        query = structs.replace(query, sources=tuple(ends(sheets))[:2], targets=tuple(ends(sheets))[2:], k=1)
        query = structs.replace(query, nearest_source=rng.random() < 0.5, nearest_target=rng.random() < 0.8)
    every = walks(sheets, query)
    if trouble == "nearest":
        query = limited(rng, query, every, 0.15)
    if every and trouble == "shares":
        some = rng.choice(every).promise
        limits = Limits(loss_ppb=some.loss_ppb, availability_ppb=rng.choice(every).promise.availability_ppb)
        query = structs.replace(query, limits=rng.choice((limits, Limits(loss_ppb=some.loss_ppb))))
    if every and trouble == "sums":
        some = rng.choice(every)
        query = structs.replace(
            query, limits=Limits(latency_us=some.promise.latency_us), hops=rng.choice((None, some.hops))
        )
    if every and trouble == "weights":
        limits = rng.choice((Limits(), Limits(carbon_mg_gb=rng.choice(every).promise.carbon_mg_gb)))
        budget = rng.choice((None, None, rng.choice(every).price))
        objective = rng.choice((Objective.CARBON, Objective.WEIGHTED, Objective.WEIGHTED))
        query = structs.replace(query, limits=limits, budget_micro=budget, objective=objective)
    return sheets, query, every


def meant(query: Query, every: list[Walk]) -> list[list[Walk]]:
    """The paths between the ends that a question means; several such lists where several ends are equally near."""
    if not query.nearest_source and not query.nearest_target:
        return [every]
    kept = [walk for walk in every if keeps(walk, query)]
    nearest = min(((walk.promise.latency_us, walk.price) for walk in kept), default=None)
    found = {ends_of(query, walk) for walk in kept if (walk.promise.latency_us, walk.price) == nearest}
    return [[walk for walk in every if ends_of(query, walk) == one] for one in sorted(found)] or [every]


def ends_of(query: Query, walk: Walk) -> tuple[tuple[str, str], ...]:
    """The ends of a path as far as they have to be the nearest."""
    first, last = walk.interfaces[0], walk.interfaces[-1]
    return ((first,) if query.nearest_source else ()) + ((last,) if query.nearest_target else ())

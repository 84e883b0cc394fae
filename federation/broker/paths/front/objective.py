"""An objective of a front: what a solve that minimises it is told, how a limit on it is put, what a path has of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import structs

from federation.broker.paths.labels import CARBON, LATENCY, Label
from federation.broker.paths.query import PRICE, Ask, Limit, Query
from schemas.intent import Objective


class Sum(NamedTuple):
    """An objective as the search knows it. `tied` is what else a solve for it minimises among equals, if anything."""

    aim: str
    limit: str
    of: Callable[[Label], int]
    tied: Objective | None


def _price(label: Label) -> int:
    return label.past_micro


def _latency(label: Label) -> int:
    return label.sums[LATENCY]


def _carbon(label: Label) -> int:
    return label.sums[CARBON]


# In the order in which they are listed and walked: what comes first is minimised, the others become limits.
SUMS: Final = {
    Objective.PRICE: Sum(PRICE, Limit.BUDGET, _price, Objective.LATENCY),
    Objective.LATENCY: Sum(Limit.LATENCY, Limit.LATENCY, _latency, Objective.PRICE),
    Objective.CARBON: Sum(Limit.CARBON, Limit.CARBON, _carbon, Objective.PRICE),
}


def ordered(objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
    """The objectives in the order of a front; those that have no sum are left out."""
    return tuple(objective for objective in SUMS if objective in objectives)


def within(query: Query, objective: Objective, most: int) -> Query:
    """The query with no more than `most` of an objective: as asked, where it already asks for less."""
    limit = SUMS[objective].limit
    asked = query.limit(limit)
    least = most if asked is None else min(most, asked)
    if limit == Limit.BUDGET:
        return structs.replace(query, budget_micro=least)
    return structs.replace(query, limits=structs.replace(query.limits, **{limit: least}))


def ask_of(query: Query, objective: Objective) -> Ask:
    """The ask for the least of an objective under every limit of a query."""
    return Ask(query=query, aim=SUMS[objective].aim)

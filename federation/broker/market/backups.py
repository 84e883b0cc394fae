"""A backup as a buyer asks for it and is shown it (pure): the pair, or what both paths always share, in words."""

from __future__ import annotations

from itertools import chain
from typing import Final, NamedTuple

from federation.broker.market.answer import LEAST, difference
from federation.broker.market.asking import Terms, ceiling
from federation.broker.market.market import Snapshot
from federation.broker.market.views import route_view
from federation.broker.market.words import carbon, milliseconds, money
from federation.broker.paths.backup.finding import Backup, Missing, Paired, Unpaired
from federation.broker.paths.backup.items import Item, published_at
from federation.broker.paths.query import NANO, Query
from federation.broker.paths.route import Route
from schemas.answer import BackupView, Relaxation
from schemas.backup import Apart, BackupRequest
from schemas.intent import Objective
from schemas.price import Money

UDEG: Final = 1000  # sites are told apart by thousandths of a degree
THINGS: Final = {
    Apart.SEGMENT: "stretch of any operator",
    Apart.OPERATOR: "operator",
    Apart.SITE: "site",
    Apart.CITY: "city",
}
NONE: Final = {
    Missing.PRIMARY: "no path keeps the limits of the intent",
    Missing.BACKUP: "no path at all keeps the backup's own limits",
    Missing.TOGETHER: "whatever two paths are taken, they share some {thing}, though not always the same one",
}


class Pair(NamedTuple):
    """What was found, and how far apart the two paths were to be."""

    apart: Apart
    found: Paired | Unpaired


def backup_of(asked: BackupRequest, query: Query, terms: Terms) -> Backup:
    """What is asked for, in the terms of a query. Raises INVALID_ARGUMENT for a budget in an unknown currency."""
    budget = query.budget_micro
    if asked.budget is not None:
        budget = ceiling(asked.budget, query.currency, terms.rates, "backup.budget")
    return Backup(
        apart=asked.apart,
        limits=query.limits if asked.limits is None else asked.limits,
        hops=query.hops if asked.hops is None else asked.hops,
        budget_micro=budget,
    )


def backup_view(pair: Pair, query: Query, snapshot: Snapshot, terms: Terms, best: Route) -> BackupView:
    """What the buyer is told of the pair; `best` is the best path alone."""
    apart, found = pair
    if isinstance(found, Unpaired):
        return _none(found, apart, query, snapshot)
    against = f"{difference(found.primary, best, query.currency)} than the best path alone"
    alone = "the best path there is" if found.primary == best else against
    beside = f"{difference(found.backup, found.primary, query.currency)} than the primary"
    return BackupView(
        apart=apart,
        found=True,
        primary=route_view(found.primary, query.currency, snapshot.sheets, terms.facts, alone),
        backup=route_view(found.backup, query.currency, snapshot.sheets, terms.facts, beside),
        total=Money(query.currency, found.total_micro),
        proven=found.proven,
        least=None if found.proven else _least(found, query),
        why=_why(found, apart, query),
    )


def _least(found: Paired, query: Query) -> int:
    """The bound, a weighted one in micro-units like a price."""
    return found.bound // NANO if query.objective is Objective.WEIGHTED else found.bound


def _why(found: Paired, apart: Apart, query: Query) -> str:
    """Which pair this is, and how far it can be from the best one."""
    said = f"the two paths {LEAST[query.objective]} in sum that share no {THINGS[apart]}"
    if found.proven:
        return said
    least = _least(found, query)
    words = {Objective.LATENCY: milliseconds(least), Objective.CARBON: carbon(least)}
    bound = words.get(query.objective, money(least, query.currency))
    return f"the best found before the work allowed for one search ran out; no pair comes to less than {bound} in sum"


def _none(found: Unpaired, apart: Apart, query: Query, snapshot: Snapshot) -> BackupView:
    shared = tuple(thing_said(item, snapshot) for item in found.shared)
    return BackupView(
        apart=apart,
        found=False,
        proven=found.proven,
        why=_why_none(found, apart, shared),
        shared=shared,
        relaxation=None if found.unlimited is None else _unlimited(found.unlimited, query),
    )


def _why_none(found: Unpaired, apart: Apart, shared: tuple[str, ...]) -> str:
    if found.missing is None:
        return "none was found before the work allowed for one search ran out; there may be one"
    if found.missing is Missing.SHARED:
        return f"whatever two paths are taken, both use {' and '.join(shared)}"
    return NONE[found.missing].format(thing=THINGS[apart])


def _unlimited(pair: Paired, query: Query) -> Relaxation:
    """The pair there is without the backup's own limits; the promise is the backup's."""
    return Relaxation(
        limits=("backup",),
        change="accept any latency, jitter, loss, availability, hops and price of the backup",
        total=Money(query.currency, pair.total_micro),
        promise=pair.backup.promise,
    )


def thing_said(item: Item, snapshot: Snapshot) -> str:
    """What is shared, as a person calls it."""
    match item:
        case ("interconnect", operator, name, other, _):
            where = snapshot.sheets[operator].interfaces[name]
            both = f"{_name(operator, snapshot)} and {_name(other, snapshot)}"
            return f"the interconnect {name} of {both} in {where.city} {where.country}"
        case ("segment", operator, route_class, a, z):
            return f"the segment {a} to {z} of {_name(operator, snapshot)}, class {route_class}"
        case ("stretch", operator, a, z):
            return f"the stretch {a} to {z} inside {_name(operator, snapshot)}"
        case ("operator", operator):
            return f"the operator {_name(operator, snapshot)}"
    return _place_said(item, snapshot)


def _place_said(item: Item, snapshot: Snapshot) -> str:
    kind = Apart(item[0])
    there = chain.from_iterable(published_at(network, kind).get(item, ()) for network in snapshot.graph.networks)
    operator, name = next(iter(there))
    where = snapshot.sheets[operator].interfaces[name]
    city = f"{where.city} {where.country}"
    if kind is Apart.CITY:
        return f"the city {city}"
    lat, lon = (int(thousandths) / UDEG for thousandths in item[1:])
    return f"the site at {lat:.3f}, {lon:.3f} in {city}"


def _name(operator: str, snapshot: Snapshot) -> str:
    return snapshot.sheets[operator].name

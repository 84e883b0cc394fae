"""The least change of one limit that lets a path through, the others as they stand."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.paths.assembly import legs
from federation.broker.paths.changes import Change, Stand
from federation.broker.paths.inquiry import SUMS, Inquiry
from federation.broker.paths.labels import CARBON, HOPS, JITTER, LATENCY, Label, Leg
from federation.broker.paths.meter import Meter, Size, worth
from federation.broker.paths.query import ADDITIONS, PRICE, Limit, Query
from federation.broker.paths.usable import Usable
from schemas.segment import PPB

ROUNDS_MAX: Final = 64


def least_change(inquiry: Inquiry, stand: Stand, limit: str, waived: frozenset[str]) -> Change | None:
    """The least change of `limit`, without the limits in `waived`; None when no change of it helps.

    A number moves as little as possible; to a rule as few names as possible are added.
    """
    if limit in SUMS:
        label = inquiry.solve(stand, PRICE if limit == Limit.BUDGET else limit, waived | {limit})
        return None if label is None else Change(limit=limit, value=_value(label, limit))
    if limit == Limit.BANDWIDTH:
        return _narrower(inquiry, stand, waived)
    if limit in (Limit.MTU, Limit.TERM):
        label = inquiry.solve(stand, limit, waived | {limit})
        return None if label is None else Change(limit=limit, value=abs(label.width))
    return _additions(inquiry, stand, limit, waived)


def _value(label: Label, limit: str) -> int:
    values = {
        Limit.LATENCY: label.sums[LATENCY],
        Limit.JITTER: label.sums[JITTER],
        Limit.HOPS: label.sums[HOPS],
        Limit.CARBON: label.sums[CARBON],
        Limit.LOSS: PPB - label.past_delivered,
        Limit.AVAILABILITY: label.past_available,
    }
    return values.get(Limit(limit), label.past_micro)


def _additions(inquiry: Inquiry, stand: Stand, rule: str, waived: frozenset[str]) -> Change | None:
    eased = frozenset({rule})
    label = inquiry.solve(stand, ADDITIONS, waived, eased)
    if label is None:
        return None
    usable = inquiry.prepared(stand.ask(ADDITIONS, waived, eased)).usable
    needed = tuple(name for place, (_, name) in enumerate(usable.names) if label.mask >> place & 1)
    return Change(limit=rule, value=needed)


def _narrower(inquiry: Inquiry, stand: Stand, waived: frozenset[str]) -> Change | None:
    """The most bandwidth below the one asked for.

    Less bandwidth costs less and fits through more, so what is feasible is everything up to some bandwidth. From a
    feasible one, the widest path within the budget is taken as far as its capacity and the budget allow; beyond the
    budget of that path, another may still do.
    """
    best, lower, most = None, 1, stand.query.bandwidth_bps - 1
    budget = None if Limit.BUDGET in waived | stand.dropped else stand.query.budget_micro
    for _ in range(ROUNDS_MAX):
        trial = structs.replace(stand, query=structs.replace(stand.query, bandwidth_bps=lower))
        label = inquiry.solve(trial, Limit.BANDWIDTH, waived | {Limit.BANDWIDTH}) if lower <= most else None
        if label is None or label.width < lower:
            return None if best is None else Change(limit=str(Limit.BANDWIDTH), value=best)
        usable = inquiry.prepared(trial.ask(Limit.BANDWIDTH, waived | {Limit.BANDWIDTH})).usable
        widest = min(label.width, most)
        best = widest if budget is None else _affordable(usable, stand.query, legs(label), (lower, widest), budget)
        if best == widest:
            return Change(limit=str(Limit.BANDWIDTH), value=best)
        lower = best + 1
    inquiry.complete = False
    return Change(limit=str(Limit.BANDWIDTH), value=best)


def _affordable(usable: Usable, query: Query, path: tuple[Leg, ...], span: tuple[int, int], budget: int) -> int:
    """The most bandwidth in a span, the least of it affordable, at which a path stays within the budget."""
    low, high = span
    while low < high:
        middle = (low + high + 1) // 2
        if _price(usable, query, path, middle) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def _price(usable: Usable, query: Query, path: tuple[Leg, ...], bandwidth_bps: int) -> int:
    price = 0
    for leg in path:
        rate = worth(query.rates, usable.network(leg.entry).sheet.currency, query.currency)
        assert rate is not None, "what is usable has a rate"
        meter = Meter(leg.meter.terms, rate, Size(bandwidth_bps, query.window, query.term_s))
        price += meter.price(sum(a.hourly_micro for a in leg.arcs), sum(a.gbps_hourly_micro for a in leg.arcs))
    return price

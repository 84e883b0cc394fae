"""What each limit costs: how much cheaper the cheapest path were without it, every other limit kept."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from federation.broker.paths.assembly import route
from federation.broker.paths.changes import Stand
from federation.broker.paths.inquiry import SUMS, Inquiry
from federation.broker.paths.query import PRICE, Limit, Query
from federation.broker.paths.route import Route
from federation.broker.paths.rules import names as rule_names
from federation.broker.paths.work import Work

LIMITS_MAX: Final = 8
WORK_TIMES: Final = 4
WORK_LEAST: Final = 2_000


class LimitCost(Struct, frozen=True, kw_only=True):
    """Without these limits, one or all, `route` would do, and it is cheaper than what was found."""

    limits: tuple[str, ...]
    saved_micro: int
    route: Route


def limit_costs(inquiry: Inquiry, query: Query, found: Route, work: int) -> tuple[LimitCost, ...]:
    """Each limit that costs money, the dearest first; all of them together where none does alone.

    `found` is the proven cheapest path of `query`, the one of the inquiry with its ends settled, by `work` labels. This
    takes a few times as many at most; nothing is said of a limit for which they do not suffice. Bandwidth, MTU and
    duration are no such limits: they are what is bought.
    """
    names = _asked(query)[:LIMITS_MAX]
    inquiry.work = Work(min(WORK_TIMES * work, query.work) + WORK_LEAST)
    stand = Stand(query)
    together = _without(inquiry, stand, names, found.total_micro) if names else None
    if together is None or len(names) == 1:
        return () if together is None else (together,)
    alone = [cost for name in names if (cost := _without(inquiry, stand, [name], found.total_micro)) is not None]
    return tuple(sorted(alone, key=lambda cost: -cost.saved_micro)) or (together,)


def _without(inquiry: Inquiry, stand: Stand, names: list[str], found_micro: int) -> LimitCost | None:
    waived = frozenset(names)
    label = inquiry.solve(stand, PRICE, waived)
    if label is None or label.past_micro >= found_micro:
        return None
    usable = inquiry.prepared(stand.ask(PRICE, waived)).usable
    cheaper = route(usable, stand.query, label)
    return LimitCost(limits=tuple(names), saved_micro=found_micro - cheaper.total_micro, route=cheaper)


def _asked(query: Query) -> list[str]:
    """Every limit that a question sets but its budget: numbers, then rules."""
    numbers = sorted(str(name) for name in SUMS if name != Limit.BUDGET and query.limit(name) is not None)
    rules = {reason.rule for reasons in query.refused.values() for reason in reasons}
    rules |= {str(rule) for rule, _ in rule_names(query)}
    rules |= {str(Limit.CLASSES)} if query.route_classes is not None else set()
    rules |= {str(Limit.ALLOWED)} if query.operators_allowed is not None else set()
    rules |= {str(Limit.DENIED)} if query.operators_denied else set()
    return numbers + sorted(rules)

"""What the limits of an intent cost, in words (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from federation.broker.market.words import limit_names, milliseconds, money
from federation.broker.paths.costs import LimitCost as Cost
from federation.broker.paths.query import Query
from schemas.answer import LimitCost
from schemas.price import Money


def cost_views(costs: Iterable[Cost], query: Query, roster: Mapping[str, str]) -> tuple[LimitCost, ...]:
    """Each as the buyer is told it."""
    return tuple(_view(cost, query.currency, roster) for cost in costs)


def _view(cost: Cost, currency: str, roster: Mapping[str, str]) -> LimitCost:
    operators = tuple(roster.get(segment.operator, segment.operator) for segment in cost.route.segments)
    names = limit_names(cost.limits)
    alone = len(cost.limits) == 1
    what = f"the limit on {names} costs" if alone else f"the limits on {names} together cost"
    way = f"over {', '.join(operators)} in {milliseconds(cost.route.promise.latency_us)}"
    saved = money(cost.saved_micro, currency)
    return LimitCost(
        limits=cost.limits,
        saved=Money(currency, cost.saved_micro),
        promise=cost.route.promise,
        operators=operators,
        words=f"{what} {saved}: without {'it' if alone else 'them'} one could go {way}",
    )

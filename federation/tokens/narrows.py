"""Authority only shrinks: the one comparison that every hop makes (RFC 9396, DESIGN section 8, promise 8).

A child narrows its parent when it allows nothing that the parent does not, axis by axis, and may be passed on less
often. So no chain of hops, however long, can do more than the mandate above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import structs

from schemas.authority import Authority, Spend
from schemas.price import MICRO_MAX, Money, RateTable
from schemas.problem import Problem


def narrows(child: Authority, parent: Authority) -> bool:
    """Whether `child` allows no more than `parent` on every axis, with at least one delegation less."""
    return next(widened(child, parent), None) is None


def widened(child: Authority, parent: Authority) -> Iterator[str]:
    """The axes on which `child` allows more than `parent`, or cannot be compared with it."""
    if child.depth >= parent.depth:
        yield "depth"
    if not set(child.actions) <= set(parent.actions):
        yield "actions"
    if not _within(child.locations, parent.locations):
        yield "locations"
    if child.max_bandwidth_bps > parent.max_bandwidth_bps:
        yield "max_bandwidth_bps"
    if not _within(child.jurisdictions, parent.jurisdictions):
        yield "jurisdictions"
    if parent.data_class is not None and child.data_class != parent.data_class:
        yield "data_class"
    if not set(child.excluded_regimes) >= set(parent.excluded_regimes):
        yield "excluded_regimes"
    if not set(child.required_marks) >= set(parent.required_marks):
        yield "required_marks"
    if child.max_hops > parent.max_hops:
        yield "max_hops"
    yield from _spends_more(child.spend, parent.spend)


def _within(child: tuple[str, ...] | None, parent: tuple[str, ...] | None) -> bool:
    """Null means no limit, so only null may contain it."""
    return parent is None or (child is not None and set(child) <= set(parent))


def _spends_more(child: Spend, parent: Spend) -> Iterator[str]:
    if child.ccy != parent.ccy:
        yield "spend.ccy"
    for name in ("per_order_micro", "total_micro", "until"):
        if getattr(child, name) > getattr(parent, name):
            yield f"spend.{name}"


def check_narrows(child: Authority, parent: Authority) -> Authority:
    """`child`, if it narrows `parent`. Raises `POLICY_DENIED` naming the axes on which it does not."""
    if axes := tuple(widened(child, parent)):
        raise Problem("POLICY_DENIED", f"asks for more than was given: {', '.join(axes)}", field=axes[0])
    return child


def passed_on(parent: Authority, **changes: Any) -> Authority:
    """The parent's authority with `changes`, for the next hop. Raises `POLICY_DENIED` where that would be more."""
    if parent.depth == 0:
        raise Problem("POLICY_DENIED", "this authority may not be passed on", field="depth")
    return check_narrows(structs.replace(parent, depth=parent.depth - 1, **changes), parent)


def slice_for(parent: Authority, operator: str, currency: str, rates: RateTable) -> Authority:
    """What a broker passes on to one operator: valid there alone, in the operator's currency, each order at most the
    ceiling of one order (the operator learns no more of the budget). Raises `POLICY_DENIED`, INVALID_ARGUMENT (rates).

    A ceiling is converted at the quote's rates and rounded down: in another currency it is never worth more.
    """
    spend = parent.spend
    per_order = min(spend.per_order_micro, spend.total_micro)
    most = min(MICRO_MAX, rates.ceiling(Money(spend.ccy, per_order), currency).micro)
    local = Spend(ccy=currency, per_order_micro=most, total_micro=most, until=spend.until)
    slice_ = passed_on(parent, locations=(operator,), spend=structs.replace(spend, total_micro=per_order))
    return structs.replace(slice_, spend=local)

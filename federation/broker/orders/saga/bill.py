"""What a path cost: the sum of its segments, each converted at the quote's rates and rounded up."""

from __future__ import annotations

from federation.broker.orders.saga.state import OrderState
from schemas.order import Bill
from schemas.price import Line, Money, total


def path_bill(state: OrderState) -> Bill:
    """The buyer's bill once every segment is settled: one line per segment, named by its operator.

    A path that never was ACTIVE costs nothing, whatever an operator claims.
    """
    currency = state.total.currency
    bills = [(part, bill) for part, leg in zip(state.terms.parts, state.legs, strict=True) if (bill := leg.bill)]
    if not state.was_active or not bills:
        return Bill(start=None, end=None, lines=(), total=Money(currency, 0))
    lines = tuple(Line(part.operator, state.terms.rates.convert(bill.total, currency).micro) for part, bill in bills)
    starts = [bill.start for _, bill in bills if bill.start]
    ends = [bill.end for _, bill in bills if bill.end]
    return Bill(
        start=min(starts, default=None),
        end=max(ends, default=None),
        lines=lines,
        total=Money(currency, total(lines)),
    )

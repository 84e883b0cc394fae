"""What the difference in price between two paths is made of, line by line (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from federation.broker.market.words import listed, money
from federation.broker.paths.query import Query
from federation.broker.paths.route import Route, RouteSegment
from schemas.price import charge

OPERATORS_MAX: Final = 3
_LINES: Final = {
    "set_up": "for set-up",
    "port": "for usage",
    "bandwidth": "for usage",
    "minimum": "to make up its minimum",
}


class Bill(NamedTuple):
    """What one operator asks for its segment: micro-units of its currency by what they are for."""

    operator: str
    currency: str
    parts: tuple[tuple[str, int], ...]


def made_of(other: Route, best: Route, query: Query, names: Callable[[str], str]) -> str:
    """`EUR 3.00 for usage at Delta instead of EUR 1.00 for usage at Beta`, what both pay left out.

    Nothing where they cost the same, or where more operators differ than anybody wants to read.
    """
    theirs, ours = (Counter(_bill(segment, query) for segment in route.segments) for route in (other, best))
    more, less = list((theirs - ours).elements()), list((ours - theirs).elements())
    if other.total_micro == best.total_micro or max(len(more), len(less)) > OPERATORS_MAX:
        return ""
    asked, spared = (listed([_said(bill, names) for bill in bills]) for bills in (more, less))
    if not asked:
        return f"without {spared}"
    return f"{asked} instead of {spared}" if spared else f"{asked} as well"


def _bill(segment: RouteSegment, query: Query) -> Bill:
    window, sums = query.window, dict[str, int]()
    for line in charge(segment.tariff, query.bandwidth_bps, window.start_s, window.end_s, query.term_s):
        if line.micro:
            what = _LINES[line.name]
            sums[what] = sums.get(what, 0) + line.micro
    return Bill(segment.operator, segment.price.currency, tuple(sums.items()))


def _said(bill: Bill, names: Callable[[str], str]) -> str:
    parts = [f"{money(micro, bill.currency)} {what}" for what, micro in bill.parts]
    return f"{listed(parts) or 'nothing'} at {names(bill.operator)}"

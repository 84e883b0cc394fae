"""Check `bills`: nobody bills more than the tariffs it quoted come to, for use between its confirm and its end.

Another bandwidth counts from the time of the first receipt that shows it; one that was taken back never counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Lease, Purchase, purchase, releases_of
from federation.evidence.verify.reading import Case, unsound
from schemas.lease import BILLABLE
from schemas.order import VOID_WITHIN_S, Bill, Receipt
from schemas.price import Line, Tariff, total, usage
from schemas.segment import Hash, Segment
from schemas.token import SKEW_S


class Sold(NamedTuple):
    """A window that was sold at one tariff and bandwidth, and since which Unix second it counts."""

    tariff: Tariff
    segment: Segment
    from_s: int

    @property
    def end_s(self) -> int:
        """The end of the window, as a Unix second."""
        return self.segment.window.end_s


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    found = purchase(case)
    count = 0
    for position, lease in enumerate(found.leases):
        for item in lease.receipts:
            if item.claims.bill is not None:
                _check_bill(lease, item.claims, item.claims.bill, _sold(found, lease, position))
                _check_void(case, lease, item.claims, item.claims.bill)
                count += 1
    return f"{count} bills, none above what was sold" if count else "nothing is billed yet"


def due(sold: Sequence[Sold], from_s: int, until_s: int) -> int:
    """Micro-units for use from one Unix second until another. What is sold ends where the next begins."""
    used = 0
    for place, one in enumerate(sold):
        stop_s = min((until_s, one.end_s, *(later.from_s for later in sold[place + 1 :])))
        used += total(_used(one, max(one.from_s, from_s), stop_s))
    set_up = sum(one.tariff.set_up_micro for one in sold)
    leaving = sold[-1].tariff.exit_micro if until_s < sold[-1].end_s else 0
    return set_up + max(used, sold[0].tariff.minimum_micro) + leaving


def _used(one: Sold, start_s: int, end_s: int) -> tuple[Line, ...]:
    if start_s >= end_s:
        return ()
    return usage(one.tariff, one.segment.bandwidth_bps, start_s, end_s, one.segment.window.duration_s)


def _sold(found: Purchase, lease: Lease, position: int) -> tuple[Sold, ...]:
    """What was sold of a lease: its window, and the changes that receipts show in force and not taken back."""
    legs = [one.legs[position] for one in found.rounds if position < len(one.legs)]
    changes = {leg.order.hash: leg.quote.claims for leg in legs[1:] if leg.order is not None}
    first = legs[0].quote.claims
    sold: tuple[Sold, ...] = (Sold(first.tariff, first.segment, first.segment.window.start_s),)
    before: dict[Hash, tuple[Sold, ...]] = {}
    for item in lease.receipts:
        change, given = changes.get(item.claims.order_h), _shown(item.claims.segment)
        if change is None or given == _shown(sold[-1].segment):
            continue
        if given == _shown(change.segment):
            longer = change.segment.window.start_s == sold[-1].end_s
            before[item.claims.order_h] = sold
            sold = (*sold, Sold(change.tariff, change.segment, sold[-1].end_s if longer else item.claims.iat))
        elif item.claims.order_h in before:
            sold = before.pop(item.claims.order_h)
    return sold


def _shown(segment: Segment) -> tuple[int, int]:
    """What a change is of."""
    return segment.bandwidth_bps, segment.window.end_s


def _check_bill(lease: Lease, receipt: Receipt, bill: Bill, sold: Sequence[Sold]) -> None:
    pairs: dict[str, tuple[object, object]] = {
        "currency": (bill.total.currency, sold[0].tariff.currency),
        "lines": (total(bill.lines), bill.total.micro),
    }
    if bill.start is None or bill.end is None:
        pairs["total"] = (bill.total.micro, 0)
        same(f"bill of {lease.operator}", pairs)
        return
    start_s, end_s = int(bill.start.timestamp()), int(bill.end.timestamp())
    begun = [item.claims.iat for item in lease.receipts if item.claims.state in BILLABLE]
    if not begun:
        raise unsound(f"{lease.operator} bills a lease that was never ACTIVE")
    most = due(sold, start_s, max(start_s, end_s))
    pairs |= {
        "start": (begun[0] - SKEW_S <= start_s, True),
        "end": (end_s <= min(receipt.iat + SKEW_S, sold[-1].end_s), True),
        "total": (bill.total.micro <= most, True),
    }
    same(f"bill of {lease.operator}", pairs)


def _check_void(case: Case, lease: Lease, receipt: Receipt, bill: Bill) -> None:
    """A release for want of another's confirm, in time, leaves nothing to pay."""
    limits = [item.claims.confirm_by for item in lease.receipts if item.claims.confirm_by is not None]
    for order in releases_of(case, lease):
        void = order.claims.void is not None and receipt.order_h == order.hash
        if void and len(set(limits)) == 1 and order.claims.iat <= limits[0] + VOID_WITHIN_S and bill.total.micro:
            raise unsound(f"{lease.operator} bills a segment that was voided in time")

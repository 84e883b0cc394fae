"""Check `bills`: nobody bills more than the tariffs it quoted come to, for use between its confirm and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Lease, Purchase, purchase, releases_of
from federation.evidence.verify.reading import Case, unsound
from schemas.lease import BILLABLE
from schemas.order import VOID_WITHIN_S, Bill, Receipt
from schemas.price import Line, Tariff, total, usage
from schemas.segment import Window
from schemas.token import SKEW_S


class Sold(NamedTuple):
    """A window that was sold at one tariff."""

    tariff: Tariff
    window: Window


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


def due(sold: Sequence[Sold], bandwidth_bps: int, from_s: int, until_s: int) -> int:
    """Micro-units for use from one Unix second until another of windows that follow each other."""
    used = sum(total(_used(one, bandwidth_bps, from_s, until_s)) for one in sold)
    set_up = sum(one.tariff.set_up_micro for one in sold)
    leaving = sold[-1].tariff.exit_micro if until_s < sold[-1].window.end_s else 0
    return set_up + max(used, sold[0].tariff.minimum_micro) + leaving


def _used(one: Sold, bandwidth_bps: int, from_s: int, until_s: int) -> tuple[Line, ...]:
    start_s, end_s = max(one.window.start_s, from_s), min(one.window.end_s, until_s)
    if start_s >= end_s:
        return ()
    return usage(one.tariff, bandwidth_bps, start_s, end_s, one.window.duration_s)


def _sold(found: Purchase, lease: Lease, position: int) -> list[Sold]:
    """What was sold of a lease: its window, and the extensions that a receipt shows in force."""
    ends = {item.claims.segment.window.end_s for item in lease.receipts}
    quotes = [one.legs[position].quote.claims for one in found.rounds if position < len(one.legs)]
    sold = [Sold(quote.tariff, quote.segment.window) for quote in quotes]
    return [one for one in sold if one.window.end_s in ends] or sold[:1]


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
    most = due(sold, receipt.segment.bandwidth_bps, start_s, max(start_s, end_s))
    pairs |= {
        "start": (begun[0] - SKEW_S <= start_s, True),
        "end": (end_s <= min(receipt.iat + SKEW_S, sold[-1].window.end_s), True),
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

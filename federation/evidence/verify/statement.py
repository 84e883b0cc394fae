"""Check `statement`: what the broker says that an order came to is about this purchase, and adds up.

It says nothing of its own: the receipts in it are the last ones of the leases, its tariffs those that were quoted, its
rates those of the path quote. What operators bill is for the check `bills`.
"""

from __future__ import annotations

from federation.evidence.verify.amounts import plain_hash, rates_of
from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Lease, Leg, Purchase, purchase
from federation.evidence.verify.reading import Case, unsound
from federation.evidence.verify.stated import check_statement
from schemas.lease import TERMINAL
from schemas.quote import PathQuote
from schemas.segment import Hash
from schemas.statement import BillingStatement, StatedSegment, Use


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    found = purchase(case)
    stated = case.all(BillingStatement)
    for item in stated:
        _check_parties(found, item.claims)
        _check_rates(case, found, item.claims)
        _check_segments(found, item.claims)
        check_statement(item.claims)
    return f"{stated[0].claims.total} in all, as it adds up" if stated else "nothing is stated before the end"


def check_there(case: Case, found: Purchase) -> None:
    """For the check `complete`: one statement of this purchase where it is over, and none before."""
    ended = all(lease.receipts[-1].claims.state in TERMINAL for lease in found.leases)
    stated = case.all(BillingStatement)
    if len(stated) != int(ended):
        raise unsound(f"{len(stated)} statements of what it came to, expected {int(ended)}")
    roots = [one.path.claims.path_root for one in found.rounds[:1] if one.path is not None]
    if any([item.claims.path_root] != roots for item in stated):
        raise unsound("the statement is about another purchase")


def _check_parties(found: Purchase, stated: BillingStatement) -> None:
    quotes = [one.path.claims for one in found.rounds if one.path is not None]
    first = quotes[0]
    pairs: dict[str, tuple[object, object]] = {
        "broker": (stated.iss, found.broker),
        "buyer": ((stated.sub, stated.aud), (first.sub, first.aud)),
        "path_root": (stated.path_root, first.path_root),
        "currency": (stated.total.currency, first.total.currency),
        "active": (stated.active, True),
        "order": ({stated.order, *_orders(quotes)}, {stated.order}),
    }
    same("the statement", pairs)


def _orders(quotes: list[PathQuote]) -> set[str]:
    """The order, as the quotes of its changes call it."""
    return {quoted.order for quoted in quotes if quoted.order is not None}


def _check_rates(case: Case, found: Purchase, stated: BillingStatement) -> None:
    """Those of the path quote; the statement shows only what occurs."""
    path = found.first.path
    assert path is not None, "who sees a statement sees the path quote"
    table = rates_of(case, path.claims)
    if table.date != stated.rates.date or not stated.rates.worth_ppm.items() <= table.worth_ppm.items():
        raise unsound("the statement has other rates than the path quote names")


def _check_segments(found: Purchase, stated: BillingStatement) -> None:
    if len(stated.segments) != len(found.leases):
        raise unsound("the statement has other segments than the purchase")
    for position, (lease, segment) in enumerate(zip(found.leases, stated.segments, strict=True)):
        _check_lease(lease, segment)
        legs = {leg.quote_h: leg for one in found.rounds for leg in one.legs[position : position + 1]}
        for use in segment.uses:
            _check_use(lease, use, legs)


def _check_lease(lease: Lease, segment: StatedSegment) -> None:
    pairs: dict[str, tuple[object, object]] = {
        "operator": (segment.operator, lease.operator),
        "product": (segment.product, lease.product),
        "receipt": (segment.receipt, lease.receipts[-1].token),
    }
    same(f"the statement about {lease.operator}", pairs)


def _check_use(lease: Lease, use: Use, legs: dict[Hash, Leg]) -> None:
    leg = legs.get(use.quote_h)
    if leg is None:
        raise unsound(f"the statement has use of a quote that {lease.operator} did not give")
    quote, frame = leg.quote.claims, leg.quote.claims.segment.window
    pairs: dict[str, tuple[object, object]] = {
        "tariff": (use.tariff_h, plain_hash(quote.tariff)),
        "bandwidth": (use.bandwidth_bps, quote.segment.bandwidth_bps),
        "length": (use.term_s, frame.duration_s),
        "window": (frame.start <= use.start <= use.end <= frame.end, True),
    }
    same(f"the statement about use of {lease.operator}", pairs)

"""Whether a billing statement adds up: every amount in it, computed again from what it holds, to the last micro-unit.

Its signature, and those of the receipts in it, are not judged here: for that their signers' keys are needed.
"""

from __future__ import annotations

import msgspec

from federation.evidence.verify.documents import same
from federation.evidence.verify.reading import unsound
from federation.trust.jose import doc_hash, sha256_b64, unverified
from schemas.order import Receipt
from schemas.price import Line, Money, Tariff, total, usage
from schemas.statement import BillingStatement, StatedSegment, Use


def check_statement(stated: BillingStatement) -> None:
    """Raises `DOCUMENT_INVALID` where an amount does not follow from the others, or a receipt says something else."""
    for segment in stated.segments:
        _check_segment(stated, segment)
    currency = stated.total.currency
    sums = Money(currency, sum(segment.total.micro for segment in stated.segments))
    same(f"the statement of {stated.order}", {"total": (stated.total, sums)})
    used = {use.tariff_h for segment in stated.segments for use in segment.uses}
    if used != {sha256_b64(msgspec.json.encode(one, order="sorted")) for one in stated.tariffs.values()}:
        raise unsound("the statement shows tariffs that nothing was used at, or other ones")


def _check_segment(stated: BillingStatement, segment: StatedSegment) -> None:
    where, converted = f"the statement about {segment.operator}", _converted(stated, segment)
    pairs: dict[str, tuple[object, object]] = {"total": (segment.total, converted)}
    if not stated.active:
        pairs |= {"due": (segment.due.micro, 0), "uses": (segment.uses, ()), "lines": (segment.lines, ())}
    elif segment.claimed is None:
        pairs["due"] = (segment.due.micro, 0)
    elif segment.uses:
        pairs["due"] = (segment.due, _due(segment.claimed, _most(stated, segment)))
    same(where, pairs)
    _check_receipt(segment, where)


def _converted(stated: BillingStatement, segment: StatedSegment) -> Money:
    currency, known = stated.total.currency, stated.rates.worth_ppm.keys()
    if segment.due.currency != currency and not {segment.due.currency, currency} <= known:
        raise unsound(f"the rates do not say what {segment.due.currency} is worth in {currency}")
    return stated.rates.convert(segment.due, currency)


def _due(claimed: Money, most: Money) -> Money:
    return claimed if claimed.currency == most.currency and claimed.micro <= most.micro else most


def _most(stated: BillingStatement, segment: StatedSegment) -> Money:
    """What the tariffs come to for the use named: computed again, line by line."""
    tariffs = [_tariff(stated, use) for use in segment.uses]
    used = 0
    for use, tariff in zip(segment.uses, tariffs, strict=True):
        start_s, end_s = int(use.start.timestamp()), int(use.end.timestamp())
        lines = usage(tariff, use.bandwidth_bps, start_s, end_s, use.term_s) if end_s > start_s else ()
        pairs = {"seconds": (use.seconds, end_s - start_s), "lines": (use.lines, lines)}
        same(f"the use of the quote {use.quote_h[:8]} of {segment.operator}", pairs)
        used += total(lines)
    _check_lines(segment, tariffs, used)
    return Money(tariffs[0].currency, used + total(segment.lines))


def _check_lines(segment: StatedSegment, tariffs: list[Tariff], used: int) -> None:
    leaving = next((line.micro for line in segment.lines if line.name == "exit"), 0)
    wanted = (
        Line("set_up", sum(tariff.set_up_micro for tariff in tariffs)),
        Line("minimum", max(0, tariffs[0].minimum_micro - used)),
        Line("exit", leaving),
    )
    pairs = {"lines": (segment.lines, wanted), "exit": (leaving in {0, tariffs[-1].exit_micro}, True)}
    same(f"what {segment.operator} is due once", pairs)


def _tariff(stated: BillingStatement, use: Use) -> Tariff:
    found = stated.tariffs.get(use.tariff_h)
    if found is None:
        raise unsound(f"the tariff {use.tariff_h[:8]} is missing from the statement")
    return found


def _check_receipt(segment: StatedSegment, where: str) -> None:
    if (segment.receipt is None) != (segment.receipt_h is None):
        raise unsound(f"{where}: the receipt {segment.receipt_h} is missing, or one is shown that is not named")
    if segment.receipt is None:
        same(where, {"claimed": (segment.claimed, None)})
        return
    claims = unverified(segment.receipt, Receipt)
    billed = claims.bill.total if claims.bill else None
    lines = total(claims.bill.lines) if claims.bill else 0
    pairs: dict[str, tuple[object, object]] = {
        "receipt": (segment.receipt_h, doc_hash(segment.receipt)),
        "operator": (claims.iss, segment.operator),
        "product": (claims.product, segment.product),
        "claimed": (segment.claimed, billed),
        "lines of the receipt": (lines, billed.micro if billed else 0),
    }
    same(where, pairs)

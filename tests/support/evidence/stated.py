"""The statement of a purchase that is over, as its broker would write it from what was signed."""

from __future__ import annotations

from typing import Any, Final

from federation.evidence.verify.amounts import plain_hash
from federation.trust.jose import unverified
from schemas.lease import State
from schemas.order import Receipt
from schemas.price import Line, Money, RateTable, Tariff, total, usage
from schemas.segment import moment
from schemas.statement import STATEMENT_LIFE_S, BillingStatement, StatedSegment, Use
from tests.support.evidence.cast import BROKER, BUYER, later

BEGUN, ENDED = 5, 1800  # seconds after the quote
Quoted = tuple[str, str, Any]  # a quote's hash, that of its tariff, its claims
ORDER: Final = "order-1"


def statement_of(made: Any, rates: RateTable, operators: int) -> BillingStatement:
    """What the papers of a purchase came to: per segment what was sold of it, and its last receipt."""
    sold = [[_quoted(made, f"quote:{number}:{index}") for number in range(made.rounds)] for index in range(operators)]
    last = [f"receipt:{made.rounds - 1}:{index}:released" for index in range(operators)]
    receipts = [(made.tokens[name], made.hash(name)) for name in last]
    segments = tuple(_segment(rates, quotes, *one) for quotes, one in zip(sold, receipts, strict=True))
    return BillingStatement(
        iss=BROKER,
        sub=BUYER,
        aud=BUYER,
        iat=later(ENDED),
        exp=later(ENDED) + STATEMENT_LIFE_S,
        jti="statement-of-order-1__",
        order=ORDER,
        state=State.RELEASED,
        path_root=made.claims["path-quote:0"].path_root,
        active=True,
        start=moment(later(BEGUN)),
        end=moment(later(ENDED)),
        segments=segments,
        tariffs={tariff_h: quote.tariff for quotes in sold for _, tariff_h, quote in quotes},
        rates=rates,
        total=Money("EUR", sum(segment.total.micro for segment in segments)),
    )


def _quoted(made: Any, name: str) -> Quoted:
    return made.hash(name), plain_hash(made.claims[name].tariff), made.claims[name]


def _segment(rates: RateTable, quotes: list[Quoted], receipt: str, receipt_h: str) -> StatedSegment:
    claims, first, last = unverified(receipt, Receipt), quotes[0][2].tariff, quotes[-1][2].tariff
    uses = tuple(_use(*quote) for quote in quotes)
    used = sum(total(use.lines) for use in uses)
    lines = (
        Line("set_up", sum(quote.tariff.set_up_micro for _, _, quote in quotes)),
        Line("minimum", max(0, first.minimum_micro - used)),
        Line("exit", last.exit_micro),
    )
    claimed = claims.bill.total if claims.bill else Money(first.currency, 0)
    due = Money(first.currency, min(claimed.micro, used + total(lines)))
    return StatedSegment(
        operator=claims.iss,
        product=claims.product,
        state=claims.state,
        receipt_h=receipt_h,
        receipt=receipt,
        uses=uses,
        lines=lines,
        claimed=claimed,
        due=due,
        total=rates.convert(due, "EUR"),
    )


def _use(quote_h: str, tariff_h: str, quote: Any) -> Use:
    frame, tariff = quote.segment.window, quote.tariff
    start_s = min(max(frame.start_s, later(BEGUN)), frame.end_s)
    end_s = max(start_s, min(frame.end_s, later(ENDED)))
    lines = _lines(tariff, quote.segment.bandwidth_bps, start_s, end_s, frame.duration_s)
    return Use(
        quote_h=quote_h,
        tariff_h=tariff_h,
        bandwidth_bps=quote.segment.bandwidth_bps,
        term_s=frame.duration_s,
        start=moment(start_s),
        end=moment(end_s),
        seconds=end_s - start_s,
        lines=lines,
    )


def _lines(tariff: Tariff, bps: int, start_s: int, end_s: int, term_s: int) -> tuple[Line, ...]:
    return usage(tariff, bps, start_s, end_s, term_s) if end_s > start_s else ()

"""When it was decided: marks and policies are judged as of a moment that a broker names, so others have to bear it out.

A decision is of the very second that it judges, in the life of the quotes that it is about, and shortly before the
receipts for them, which operators sign. Who sees nothing of operators has the broker's word for the moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from federation.evidence.verify.purchase import Round, purchase
from federation.evidence.verify.reading import Case, unsound
from schemas.order import Receipt
from schemas.token import SKEW_S

ORDERED_WITHIN_S: Final = 900  # a hold lasts 300 s at most, and then an operator has to answer


def check_moments(case: Case) -> None:
    """Raises `DOCUMENT_INVALID` where a decision is of another time than what it is about."""
    for one in purchase(case).rounds:
        decided = one.decision.claims
        if decided.at != decided.iat:
            raise unsound("a decision was made at another time than it judges")
        for leg in one.legs:
            quote = leg.quote.claims
            if not quote.iat - SKEW_S <= decided.at <= quote.exp + SKEW_S:
                raise unsound(f"the segment of {leg.operator} was decided at another time than it was quoted")
        for operator, first in _bought(case, one):
            if not decided.at - SKEW_S <= first <= decided.at + ORDERED_WITHIN_S:
                raise unsound(f"the segment of {operator} was decided at another time than it was bought")


def _bought(case: Case, one: Round) -> Iterator[tuple[str, int]]:
    """When each operator first gave a receipt for its quote."""
    times: dict[str | None, list[int]] = {}
    for item in case.all(Receipt):
        times.setdefault(item.claims.quote_h, []).append(item.claims.iat)
    for judged in one.carried:
        if judged.quote_h in times:
            yield judged.entity, min(times[judged.quote_h])

"""Check `amounts`: every price follows from the tariff it names, and the total from the prices, to the last micro-unit.

The intent and the rates are those that the path quote names by hash, so limits and budget are the buyer's own.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from federation.evidence.verify.documents import same
from federation.evidence.verify.purchase import Leg, Round, purchase
from federation.evidence.verify.reading import Case, unsound
from federation.trust.jose import sha256_b64
from schemas.intent import Intent
from schemas.price import Money, RateTable, charge, total
from schemas.quote import PathQuote
from schemas.segment import Hash

T = TypeVar("T", bound=msgspec.Struct)


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    found = purchase(case)
    quotes = [one.path.claims for one in found.rounds if one.path is not None]
    for one, quoted in zip(found.rounds, quotes, strict=True):
        intent, rates = intent_of(case, quoted), rates_of(case, quoted)
        _check_intent(intent, quoted, rates, extends=one is not found.first)
        _check_round(one, quoted, rates)
    first = quotes[0].total
    return f"{first.micro} micro-{first.currency} in {len(found.first.legs)} prices, as their tariffs say"


def intent_of(case: Case, quoted: PathQuote) -> Intent:
    """The intent that a path quote names. Raises `DOCUMENT_INVALID`."""
    if case.bundle.intent is None or plain_hash(case.bundle.intent) != quoted.intent_h:
        raise unsound("the intent is missing, or another than the path quote names")
    return _read(case.bundle.intent, Intent)


def rates_of(case: Case, quoted: PathQuote) -> RateTable:
    """The rates that a path quote names. Raises `DOCUMENT_INVALID`."""
    found = case.bundle.rates.get(quoted.rates_h)
    if found is None or plain_hash(found) != quoted.rates_h:
        raise unsound("the rates are missing, or others than the path quote names")
    return _read(found, RateTable)


def plain_hash(data: Any) -> Hash:
    """Hash of unsigned JSON: base64url SHA-256 of its spelling with sorted members and no spaces."""
    return sha256_b64(msgspec.json.encode(data, order="sorted"))


def converted(rates: RateTable, money: Money, currency: str) -> Money:
    """In another currency, rounded up. Raises `DOCUMENT_INVALID` where a rate is missing."""
    if money.currency != currency and not {money.currency, currency} <= rates.worth_ppm.keys():
        raise unsound(f"the rates do not say what {money.currency} is worth in {currency}")
    return rates.convert(money, currency)


def _check_intent(intent: Intent, quoted: PathQuote, rates: RateTable, *, extends: bool) -> None:
    pairs: dict[str, tuple[object, object]] = {
        "bandwidth": (extends or quoted.bandwidth_bps == intent.bandwidth_bps, True),
        "currency": (quoted.total.currency, intent.currency),
        "limits": (intent.limits.broken_by(quoted.promise), ()),
    }
    budget = intent.budget
    if budget is not None and not extends:
        # In the currency of the path, rounded up: a broker that rounds down stays within it.
        pairs["budget"] = (quoted.total.micro <= converted(rates, budget, quoted.total.currency).micro, True)
    if intent.duration_s is not None and not extends:
        pairs["duration"] = (quoted.window.duration_s, intent.duration_s)
    same("path quote against the intent", pairs)


def _check_round(one: Round, quoted: PathQuote, rates: RateTable) -> None:
    currency, leaving = quoted.total.currency, 0
    for leg, row in zip(one.legs, quoted.path, strict=True):
        _check_leg(leg)
        quote = leg.quote.claims
        same(f"path quote about {leg.operator}", {"total": (row.total, converted(rates, quote.total, currency))})
        leaving += converted(rates, Money(quote.tariff.currency, quote.tariff.exit_micro), currency).micro
    pairs = {
        "total": (quoted.total.micro, sum(row.total.micro for row in quoted.path)),
        "exit_total": ((quoted.exit_total.currency, quoted.exit_total.micro), (currency, leaving)),
    }
    same("path quote", pairs)


def _check_leg(leg: Leg) -> None:
    quote, window = leg.quote.claims, leg.quote.claims.segment.window
    bps = quote.segment.bandwidth_bps
    due = charge(quote.tariff, bps, window.start_s, window.end_s, window.duration_s)
    pairs = {
        "currency": (quote.total.currency, quote.tariff.currency),
        "lines": (total(quote.lines), quote.total.micro),
        "total": (quote.total.micro, total(due)),
        "least duration": (window.duration_s >= quote.tariff.minimum_term_s, True),
    }
    same(f"price of {leg.operator}", pairs)
    if leg.order is not None:
        same(f"order to {leg.operator}", {"amount": (leg.order.claims.amount, quote.total)})


def _read(data: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind)
    except (ValueError, RecursionError) as error:
        raise unsound(f"the {kind.__name__} is not well formed: {error}") from error

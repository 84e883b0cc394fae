"""What a path's quotes come to, checked against the intent in exact integers (pure).

Offers are promises of nobody: only what operators signed counts here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import structs

from federation.broker.paths.route import Route, RouteSegment
from federation.broker.peers.protocols import HeldQuote
from schemas.order import CONFIRM_WITHIN_S
from schemas.price import MICRO_MAX, Money, RateTable
from schemas.segment import MICROS_MAX, Limits, Promise
from schemas.token import TYPES

UP_BEFORE_S: Final = 15  # what is left for confirms once the last segment is up
SAYABLE: Final = Limits(latency_us=MICROS_MAX, jitter_us=MICROS_MAX, carbon_mg_gb=MICROS_MAX)


class Tally(NamedTuple):
    """Totals in the buyer's currency: per segment, of the path, and of leaving early everywhere."""

    promise: Promise
    totals: tuple[Money, ...]
    total: Money
    exit_total: Money


def tally(held: Sequence[HeldQuote], interconnect_us: Sequence[int], currency: str, rates: RateTable) -> Tally:
    """Add up segment quotes in path order, with the latency of the interconnects between them (microseconds)."""
    assert len(interconnect_us) == len(held) - 1, "one interconnect between two segments"
    promise = held[0].quote.promise
    for latency_us, following in zip(interconnect_us, held[1:], strict=True):
        promise = promise.then(Promise(latency_us=latency_us)).then(following.quote.promise)
    totals = tuple(rates.convert(one.quote.total, currency) for one in held)
    exits = (Money(one.quote.tariff.currency, one.quote.tariff.exit_micro) for one in held)
    return Tally(promise, totals, _sum(totals, currency), _sum([rates.convert(m, currency) for m in exits], currency))


def broken(found: Tally, limits: Limits, budget_micro: int | None) -> tuple[str, ...]:
    """Names of the limits that the quotes together break."""
    over = found.total.micro > (MICRO_MAX if budget_micro is None else budget_micro)
    return (*limits.broken_by(found.promise), *(("budget",) if over else ()))


def beyond_words(held: Sequence[HeldQuote], found: Tally) -> HeldQuote | None:
    """Whose quote makes a sum larger than a document can say, where one is: who brings most of what it may be at all.
    Each number by itself may stand in a quote, and what was signed over their sum nobody could read."""
    sayable = found.total.micro + found.exit_total.micro <= MICRO_MAX and not SAYABLE.broken_by(found.promise)
    return None if sayable else max(held, key=_share)


def too_large(document: str, held: Sequence[HeldQuote]) -> HeldQuote | None:
    """The longest of the quotes in a path quote that is larger than any reader takes, where it is."""
    fits = len(document) <= TYPES["path-quote+jwt"].bytes_max
    return None if fits else max(held, key=lambda one: len(one.quote_jws))


def worse(route: Route, held: Sequence[HeldQuote], found: Tally) -> tuple[RouteSegment, ...]:
    """The segments whose quote is dearer, or promises less, than their offers."""
    pairs = zip(route.segments, held, found.totals, strict=True)
    return tuple(s for s, one, total in pairs if total.micro > s.total.micro or less(one.quote.promise, s.promise))


def less(given: Promise, offered: Promise) -> bool:
    """Whether a promise falls short of another in anything that can be limited."""
    return bool(Limits(**structs.asdict(offered)).broken_by(given))


def labels_agree(held: Sequence[HeldQuote]) -> bool:
    """Whether the two sides of every interconnect hold the same label."""
    pairs = itertools.pairwise(held)
    return all(one.quote.segment.z.label == other.quote.segment.a.label is not None for one, other in pairs)


def confirm_within_s(held: Sequence[HeldQuote]) -> int:
    """How long after the order, or the start, all of them wait for a confirm."""
    return min(one.quote.confirm_within_s or CONFIRM_WITHIN_S for one in held)


def too_late(held: Sequence[HeldQuote], asked_s: int | None) -> HeldQuote | None:
    """A segment that comes up later than was asked for (null: 60 s), if there is one: others need not wait for it."""
    latest = max(held, key=lambda one: one.quote.up_within_s or 0)
    return latest if (latest.quote.up_within_s or 0) > (asked_s or CONFIRM_WITHIN_S) - UP_BEFORE_S else None


def too_slow(held: Sequence[HeldQuote]) -> HeldQuote | None:
    """A segment that may come up too late to be confirmed everywhere, or rather one that others do not wait for."""
    within, slowest = confirm_within_s(held), max(held, key=lambda one: one.quote.up_within_s or 0)
    if (slowest.quote.up_within_s or 0) <= within - UP_BEFORE_S:
        return None
    return min(held, key=lambda one: one.quote.confirm_within_s or CONFIRM_WITHIN_S)


def _share(one: HeldQuote) -> int:
    promise, money = one.quote.promise, one.quote.total.micro + one.quote.tariff.exit_micro
    return max(money * MICROS_MAX, max(promise.latency_us, promise.jitter_us, promise.carbon_mg_gb) * MICRO_MAX)


def _sum(amounts: Sequence[Money], currency: str) -> Money:
    return Money(currency, sum(amount.micro for amount in amounts))

"""A search and a quote within an authority: confined before, checked after, and said on which axis it fails (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import structs

from federation.broker.authority.asked import check_intent, check_price, check_segments, confined
from federation.broker.market.asking import Terms
from federation.broker.market.searching import Sight
from federation.broker.paths.search import Found
from federation.broker.quotes.protocols import StoredQuote
from schemas.authority import Authority
from schemas.intent import Intent
from schemas.price import Money


class Within(NamedTuple):
    """One authority, and what the broker knows to judge by."""

    authority: Authority
    terms: Terms

    def confined(self, intent: Intent, operators: Iterable[str]) -> Intent:
        """The intent with the authority's own limits. Raises POLICY_DENIED where it names more than these."""
        check_intent(self.authority, intent, self.terms.rates)
        return confined(self.authority, intent, operators, self.terms.facts, self.terms.marks)

    def looser(self, intent: Intent, operators: Iterable[str]) -> tuple[Intent, ...]:
        """What to search instead where nothing was found within the authority, to tell which of its axes stands in the
        way: without its ceiling for one order, then without any of it."""
        return structs.replace(self.confined(intent, operators), budget=intent.budget), intent

    def check_first(self, sight: Sight) -> None:
        """The best path that was found, with what leaving it would cost, before anybody is asked for a quote.

        Of a search without the authority's limits it tells which of them stands in the way. Raises POLICY_DENIED.
        """
        if isinstance(sight.found, Found):
            route, currency = sight.found.routes[0], sight.query.currency
            exits = [Money(one.tariff.currency, one.tariff.exit_micro) for one in route.segments]
            most = route.total_micro + sum(self.terms.rates.convert(money, currency).micro for money in exits)
            segments = [(one.operator, one.route_class) for one in route.segments]
            self._check(sight.query.bandwidth_bps, segments, Money(currency, most), self.authority.data_class)

    def check_quote(self, quote: StoredQuote, before: Money | None = None) -> None:
        """What was quoted, and leaving at once; `before` is what the order costs that it extends.

        Raises POLICY_DENIED naming the axis.
        """
        claims = quote.claims
        most = claims.total.micro + claims.exit_total.micro + (before.micro if before else 0)
        segments = [(one.operator, one.quote.segment.route_class) for one in quote.held]
        self._check(claims.bandwidth_bps, segments, Money(claims.total.currency, most), quote.intent.data_class)

    def check_path(self, bandwidth_bps: int, segments: list[tuple[str, str]], data_class: str | None) -> None:
        """A path of (operator, route class), whatever it costs. Raises POLICY_DENIED naming the axis."""
        facts, marks = self.terms.facts, self.terms.marks
        check_segments(self.authority, bandwidth_bps, segments, facts, marks, data_class=data_class)

    def _check(self, bandwidth_bps: int, segments: list[tuple[str, str]], most: Money, data_class: str | None) -> None:
        self.check_path(bandwidth_bps, segments, data_class)
        check_price(self.authority, most, self.terms.rates)

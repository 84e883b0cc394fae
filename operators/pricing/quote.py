"""The price of a stretch: rates that add up, then the tariff with what counts once."""

from __future__ import annotations

from typing import NamedTuple

from operators.pricing.card import RateCard
from schemas.interface import InterfaceKind
from schemas.offer import ClassTerms
from schemas.price import Line, Money, Tariff, charge, total
from schemas.quote import Action
from schemas.segment import Id, Window


class Rates(NamedTuple):
    """Micro-units per hour, and per Gb/s and hour."""

    hourly_micro: int
    gbps_hourly_micro: int

    def plus(self, other: Rates) -> Rates:
        """Both parts in a row."""
        return Rates(self.hourly_micro + other.hourly_micro, self.gbps_hourly_micro + other.gbps_hourly_micro)


def end_rates(card: RateCard, kind: InterfaceKind) -> Rates:
    """Rates of one end: its port, and the Gb/s there."""
    return Rates(card.port_hourly_micro.get(kind, 0), card.gbps_hourly_micro)


def distance_rates(card: RateCard, km: int) -> Rates:
    """Rates of `km` kilometres between the ends."""
    return Rates(0, card.gbps_km_hourly_micro * km)


def segment_rates(card: RateCard, a: InterfaceKind, z: InterfaceKind, km: int) -> Rates:
    """Rates of a whole segment: two ends and the length of its internal route."""
    return end_rates(card, a).plus(distance_rates(card, km)).plus(end_rates(card, z))


def class_terms(name: Id, card: RateCard, zone: str) -> ClassTerms:
    """The part of a card that is published once per route class."""
    return ClassTerms(
        id=name,
        set_up_micro=card.set_up_micro,
        minimum_micro=card.minimum_micro,
        exit_micro=card.exit_micro,
        minimum_term_s=card.minimum_term_s,
        zone=zone,
        bands=card.bands,
        terms=card.terms,
    )


def tariff(terms: ClassTerms, rates: Rates, currency: str, action: Action = Action.ADD) -> Tariff:
    """The tariff of a segment. An extension pays no set-up again, has no minimum and may be of any length."""
    whole = terms.tariff(currency, *rates)
    if action is not Action.MODIFY:
        return whole
    return Tariff(
        currency=whole.currency,
        hourly_micro=whole.hourly_micro,
        gbps_hourly_micro=whole.gbps_hourly_micro,
        exit_micro=whole.exit_micro,
        zone=whole.zone,
        bands=whole.bands,
        terms=whole.terms,
    )


def price(of: Tariff, bandwidth_bps: int, window: Window) -> tuple[tuple[Line, ...], Money]:
    """Lines and total for the whole window; the term sold is the window's length."""
    lines = charge(of, bandwidth_bps, window.start_s, window.end_s, window.duration_s)
    return lines, Money(of.currency, total(lines))

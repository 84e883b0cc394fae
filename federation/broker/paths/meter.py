"""What a segment will be billed, in the buyer's money, and never less than a bound on the way there.

`schemas.price.charge` is the rule; here the same integers are prepared once per route class and question. Usage is
kept as a whole number, `weight`, which adds up along a segment without rounding: hourly rate x 10^9 plus Gb/s rate
x bit/s. A segment costs set-up plus the larger of usage and minimum, each line rounded up, then converted and rounded
up: between the exact value and the bound `slack` micro-units may lie.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from schemas.offer import ClassTerms
from schemas.price import GBPS, HOUR_S, PPM, RateTable, ceil_div, term_ppm, weighted_seconds
from schemas.segment import Window


class Size(NamedTuple):
    """What is bought: bit/s, when, and the duration sold in seconds."""

    bandwidth_bps: int
    window: Window
    term_s: int


class Meter:
    """The tariff of one route class for one bandwidth, window and buyer's currency.

    `base` and `least` bound set-up and minimum from below, in the buyer's micro-units. `flat` says that bounds count
    the minimum of a segment at its entry instead of the usage along it (`lean` sets it). `names` is the mask of
    what would have to be allowed for this class.
    """

    __slots__ = (
        "_bandwidth_per",
        "_den",
        "_divide",
        "_factor",
        "_multiply",
        "_num",
        "_port_per",
        "bandwidth_bps",
        "base",
        "flat",
        "least",
        "minimum_micro",
        "names",
        "set_up_micro",
        "slack",
        "terms",
    )

    def __init__(self, terms: ClassTerms, worth: tuple[int, int], size: Size, names: int = 0) -> None:
        bandwidth_bps, window, term_s = size
        self.terms, self.names, self.bandwidth_bps = terms, names, bandwidth_bps
        self.set_up_micro, self.minimum_micro = terms.set_up_micro, terms.minimum_micro
        seconds = weighted_seconds(terms.zone, terms.bands, window.start_s, window.end_s)
        self._factor = seconds * term_ppm(terms.terms, term_s)
        self._port_per = HOUR_S * PPM * PPM
        self._bandwidth_per = GBPS * self._port_per
        self._multiply, self._divide = worth
        num, den = self._factor * self._multiply, self._bandwidth_per * self._divide
        shared = math.gcd(num, den)
        self._num, self._den = num // shared, den // shared
        self.base = self.set_up_micro * self._multiply // self._divide
        self.least = self.minimum_micro * self._multiply // self._divide
        self.slack = ceil_div(2 * self._multiply, self._divide) + 2
        self.flat = False

    def weight(self, hourly_micro: int, gbps_hourly_micro: int) -> int:
        """Usage per second of the two rates, exact, in units of its own."""
        return hourly_micro * GBPS + gbps_hourly_micro * self.bandwidth_bps

    def value(self, weight: int) -> int:
        """Usage over the window, at most what will be billed for it."""
        return weight * self._num // self._den

    def price(self, hourly_micro: int, gbps_hourly_micro: int) -> int:
        """A whole segment's total, exactly as billed and converted."""
        port = ceil_div(hourly_micro * self._factor, self._port_per)
        used = port + ceil_div(gbps_hourly_micro * self.bandwidth_bps * self._factor, self._bandwidth_per)
        total = self.set_up_micro + max(self.minimum_micro, used)
        return ceil_div(total * self._multiply, self._divide)

    def lean(self, typical_weight: int) -> None:
        """Let bounds rest on the minimum where a usual segment stays below it, otherwise on usage."""
        self.flat = self.least > self.value(typical_weight)


def worth(rates: RateTable, currency: str, buyer: str) -> tuple[int, int] | None:
    """The fraction that turns an operator's money into the buyer's; None where a rate is missing."""
    if currency == buyer:
        return 1, 1
    if currency not in rates.worth_ppm or buyer not in rates.worth_ppm:
        return None
    return rates.worth_ppm[currency], rates.worth_ppm[buyer]

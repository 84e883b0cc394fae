"""The rate card of a route class: what an operator writes into its configuration.

Money is micro-units of the operator's currency. Everything counts per end of a segment (its two interfaces), per
hop (each internal link of its route) or per kilometre of those links, so that the parts of an abstract graph add
up to exactly what a whole segment is quoted at.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from schemas.interface import Country, InterfaceKind
from schemas.price import Micro, TermFactor, TimeBand
from schemas.segment import PPB, Id, Promise

Share = Annotated[int, Meta(ge=0, le=10**9)]


class RateCard(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rates per hour.

    `port_hourly_micro` is for an interface of each kind, whatever the bandwidth; `gbps_hourly_micro` per Gb/s at
    each of the two ends; `gbps_km_hourly_micro` per Gb/s and kilometre in between. The rest counts once.
    """

    port_hourly_micro: dict[InterfaceKind, Micro] = {}
    gbps_hourly_micro: Micro = 0
    gbps_km_hourly_micro: Micro = 0
    set_up_micro: Micro = 0
    minimum_micro: Micro = 0
    exit_micro: Micro = 0
    minimum_term_s: Annotated[int, Meta(ge=0)] = 0
    terms: tuple[TermFactor, ...] = ()
    bands: tuple[TimeBand, ...] = ()


class Quality(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one part adds: jitter in nanoseconds, loss and unavailability in ppb, carbon in mg CO2e per GB."""

    jitter_ns: Share = 0
    loss_ppb: Share = 0
    unavailability_ppb: Share = 0
    carbon_mg_gb: Share = 0


class PromiseCard(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What each end, each hop and each kilometre adds to a promise; latency comes from the footprint."""

    end: Quality = Quality()
    hop: Quality = Quality()
    km: Quality = Quality()

    def of_end(self) -> Promise:
        """The promise of one interface."""
        return _promise(0, self.end.jitter_ns, self.end.loss_ppb, self.end.unavailability_ppb, self.end.carbon_mg_gb)

    def of_link(self, km: int, latency_us: int) -> Promise:
        """The promise of one internal link of `km` kilometres and a one-way latency in microseconds."""
        hop, per = self.hop, self.km
        return _promise(
            latency_us,
            hop.jitter_ns + per.jitter_ns * km,
            hop.loss_ppb + per.loss_ppb * km,
            hop.unavailability_ppb + per.unavailability_ppb * km,
            hop.carbon_mg_gb + per.carbon_mg_gb * km,
        )


class ClassCard(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A route class: PoPs in `countries` only, or anywhere when that is absent; what it costs and promises."""

    id: Id
    countries: tuple[Country, ...] | None = None
    rates: RateCard = RateCard()
    promises: PromiseCard = PromiseCard()


def _promise(latency_us: int, jitter_ns: int, loss_ppb: int, unavailability_ppb: int, carbon_mg_gb: int) -> Promise:
    """Jitter rounded up to whole microseconds; what would be more than all is all."""
    return Promise(
        latency_us, -(-jitter_ns // 1000), min(loss_ppb, PPB), PPB - min(unavailability_ppb, PPB), carbon_mg_gb
    )

"""Who asks, and how a question to one operator is written and signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.route import Route
from federation.broker.peers.pseudonym import pseudonym
from federation.broker.quotes.labels import Labels
from federation.node.seams import Clock, Entropy
from federation.trust.jose import sign_jws
from federation.trust.keys import PrivateKey
from schemas.boundary import Boundary
from schemas.intent import Intent
from schemas.interface import Country
from schemas.price import ceil_div
from schemas.quote import Action, Rfq
from schemas.segment import PPB, End, Limits, Promise, Segment, Window

RFQ_LIFE_S: Final = 60
NO_LIMITS: Final = Limits()


class Purpose(NamedTuple):
    """What operators are told for their own policies: the class of the data, and the countries at the path's ends."""

    data_class: str | None = None
    destinations: tuple[Country, ...] | None = None


@dataclass(frozen=True)
class Author:
    """This broker as it signs: its entity id and key, and the secret behind its buyers' pseudonyms."""

    entity: str
    key: PrivateKey
    secret: bytes
    clock: Clock
    entropy: Entropy

    def rfq(
        self,
        buyer: str,
        operator: str,
        segment: Segment,
        *,
        hold_s: int,
        limits: Limits = NO_LIMITS,
        product: str | None = None,
        replaces: str | None = None,
        confirm_within_s: int | None = None,
        mandate_h: str | None = None,
        grant_h: str | None = None,
        purpose: Purpose | None = None,
    ) -> tuple[str, Rfq]:
        """A signed rfq: to add a segment, or to extend `product`; under a mandate, with endpoint grants, by hash."""
        now, purpose = self.clock.now(), purpose or Purpose()
        rfq = Rfq(
            iss=self.entity,
            sub=pseudonym(self.secret, buyer, operator),
            aud=operator,
            iat=now,
            exp=now + RFQ_LIFE_S,
            jti=self.entropy.token(),
            action=Action.ADD if product is None else Action.MODIFY,
            segment=segment,
            limits=limits,
            hold_s=hold_s,
            product=product,
            replaces=replaces,
            confirm_within_s=confirm_within_s,
            data_class=purpose.data_class,
            destinations=purpose.destinations,
            mandate_h=mandate_h,
            grant_h=grant_h,
        )
        return sign_jws(self.key, rfq), rfq


def purpose_of(intent: Intent, ends: Iterable[tuple[str, str]], sheets: Mapping[str, OperatorSheet]) -> Purpose:
    """What operators are told of a path between `ends` (operator, interface); of an end without a place, no country."""
    found = [sheets[operator].interfaces.get(interface) if operator in sheets else None for operator, interface in ends]
    countries = sorted({one.country for one in found if one is not None})
    return Purpose(intent.data_class, tuple(countries) if countries and None not in found else None)


def segment_of(route: Route, index: int, labels: Labels, shape: Shape) -> Segment:
    """Segment `index` of a route as asked for, with the labels of the places at its ends.

    Only the operators at the ends of the path learn its boundary: those in between have no part in it.
    """
    wanted, outermost = route.segments[index], {0, len(route.segments) - 1}
    return Segment(
        a=End(wanted.a, labels[index]),
        z=End(wanted.z, labels[index + 1]),
        bandwidth_bps=shape.bandwidth_bps,
        mtu=shape.mtu,
        window=shape.window,
        route_class=wanted.route_class,
        boundary=shape.boundary if index in outermost else None,
    )


@dataclass(frozen=True)
class Shape:
    """What is the same for every segment of a path, and the boundary that its ends keep."""

    bandwidth_bps: int
    mtu: int
    window: Window
    boundary: Boundary | None = None


def room(limits: Limits, route: Route, index: int) -> Limits:
    """What one segment may at most promise while the others keep to what they offer: its share of the path's limits."""
    others = Promise(latency_us=sum(route.interconnect_us))
    for place, segment in enumerate(route.segments):
        others = others if place == index else others.then(segment.promise)
    own = route.segments[index].promise
    return Limits(
        latency_us=_left(limits.latency_us, others.latency_us, own.latency_us),
        jitter_us=_left(limits.jitter_us, others.jitter_us, own.jitter_us),
        loss_ppb=_loss_left(limits.loss_ppb, others.loss_ppb, own.loss_ppb),
        availability_ppb=_needed(limits.availability_ppb, others.availability_ppb, own.availability_ppb),
        carbon_mg_gb=_left(limits.carbon_mg_gb, others.carbon_mg_gb, own.carbon_mg_gb),
    )


def _left(limit: int | None, others: int, own: int) -> int | None:
    return None if limit is None else max(own, limit - others)


def _loss_left(limit: int | None, others: int, own: int) -> int | None:
    if limit is None:
        return None
    delivered = ceil_div((PPB - limit) * PPB, max(1, PPB - others))
    return max(own, PPB - delivered)


def _needed(limit: int | None, others: int, own: int) -> int | None:
    return None if limit is None else min(own, ceil_div(limit * PPB, max(1, others)))

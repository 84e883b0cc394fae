"""Operators drawn by hand for tests of the path search: plenty of everything, unless a test says otherwise."""

from __future__ import annotations

from msgspec import structs

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.query import Query
from schemas.interface import Interface, InterfaceKind, Peer
from schemas.offer import ClassTerms, Offer
from schemas.price import RateTable
from schemas.segment import Promise, window
from tests.support.federations import GBPS, START_S, Draft, entity

ANY = ClassTerms(id="any")
HOUR_S = 3600


def operator(number: int, *items: Interface | ClassTerms | Offer | str, currency: str = "EUR") -> OperatorSheet:
    """An operator with these items; strings are nodes. Without classes it has one that costs nothing extra."""
    draft = Draft(entity(number), currency=currency)
    for item in items:
        match item:
            case Interface():
                draft.interfaces[item.id] = item
            case ClassTerms():
                draft.classes[item.id] = item
            case Offer():
                draft.offers[item.id] = item
            case str():
                draft.nodes.add(item)
    draft.classes = draft.classes or {"any": ANY}
    return draft.sheet()


def interface(name: str, peer: Peer | None = None, **changes: object) -> Interface:
    """An ENNI where a peer is given, a UNI otherwise."""
    found = Interface(
        id=name,
        kind=InterfaceKind.ENNI if peer else InterfaceKind.UNI,
        name=name,
        city="City",
        country="NL",
        lat_udeg=52_000_000,
        lon_udeg=5_000_000,
        speed_bps=100 * GBPS,
        mtu=9000,
        labels="1-20",
        peer=peer,
        free=((START_S - 10, 100 * GBPS),),
    )
    return structs.replace(found, **changes)


def offer(a: str, z: str, hourly_micro: int = 0, latency_us: int = 1, **changes: object) -> Offer:
    """An offer named after its ends."""
    found = Offer(
        id=f"{a}-{z}",
        a=a,
        z=z,
        route_class="any",
        hourly_micro=hourly_micro,
        promise=Promise(latency_us=latency_us),
        free=((START_S - 10, 100 * GBPS),),
    )
    return structs.replace(found, **changes)


def to(number: int, name: str) -> Peer:
    """The interface of another operator."""
    return Peer(entity(number), name)


def ask(source: tuple[int, str], target: tuple[int, str], **changes: object) -> Query:
    """One Gb/s for one hour from a UNI to another."""
    query = Query(
        sources=((entity(source[0]), source[1]),),
        targets=((entity(target[0]), target[1]),),
        bandwidth_bps=GBPS,
        window=window(START_S, START_S + HOUR_S),
        term_s=HOUR_S,
        currency="EUR",
        rates=RateTable("2026-11-20", {"EUR": 3, "USD": 2, "CHF": 4}),
    )
    return structs.replace(query, **changes)

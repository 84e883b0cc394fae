"""Small random federations, each from its seed, made to provoke ties, traps and rounding; and larger regular ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from random import Random
from typing import NamedTuple

from federation.broker.discovery.sheet import OperatorSheet
from schemas.interface import Interface, InterfaceKind, Peer
from schemas.offer import ClassTerms, Disclosure, Offer
from schemas.price import RateTable, TermFactor, TimeBand
from schemas.segment import PPB, Promise, Window, window

START_S = 1_795_000_000
GBPS = 10**9
RATES = RateTable("2026-11-20", {"EUR": 1_000_000, "USD": 920_000, "CHF": 1_050_007})
LABELS = ("11", "10-12", "12-14", "9,11,13", "11-20", "1-20", "1-11", "8-12,14", "2-13", "5,11", "12", "")
CAPACITIES = (1, 5, 10, 20)


@dataclass
class Draft:
    """An operator under construction."""

    entity: str
    interfaces: dict[str, Interface] = field(default_factory=dict)
    classes: dict[str, ClassTerms] = field(default_factory=dict)
    nodes: set[str] = field(default_factory=set)
    offers: dict[str, Offer] = field(default_factory=dict)
    currency: str = "EUR"
    disclosure: Disclosure = Disclosure.MESH

    def sheet(self, version: int = 1) -> OperatorSheet:
        """The draft as a sheet."""
        return OperatorSheet(
            entity=self.entity,
            name=self.entity.removeprefix("https://").partition(".")[0].upper(),
            version=version,
            currency=self.currency,
            disclosure=self.disclosure,
            interfaces=dict(self.interfaces),
            classes=dict(self.classes),
            nodes=frozenset(self.nodes),
            offers=dict(self.offers),
        )


def week() -> Window:
    return window(START_S, START_S + 7 * 86400)


def entity(number: int) -> str:
    return f"https://op{number}.example"


class Mood(NamedTuple):
    """How often each kind of trouble comes up in one federation; were all there, no path would be left."""

    labels: float
    swap: float
    room: float
    mtu: float
    term: float
    joined: float
    sold: float


def mood(rng: Random) -> Mood:
    """Each trouble is absent from half of the federations."""
    return Mood(
        *(rng.choice((0.0, 0.0, 0.1, 0.5)) for _ in range(5)), rng.choice((0.0, 0.4, 1.0)), rng.choice((0.8, 0.9, 1.0))
    )


def small(rng: Random) -> dict[str, OperatorSheet]:
    """Two to five operators with a few interfaces each."""
    how = mood(rng)
    drafts = [_operator(rng, how, number) for number in range(rng.choice((2, 3, 3, 4, 4, 5)))]
    for (i, a), (j, z) in combinations(enumerate(drafts), 2):
        for number in range(rng.choice((1, 1, 2)) if j == i + 1 or rng.random() < how.joined / 2 else 0):
            _meet(rng, how, (a, z), number)
    for draft in drafts:
        _disclose(rng, how, draft)
    return {draft.entity: draft.sheet() for draft in drafts}


def focused(rng: Random, trouble: str) -> dict[str, OperatorSheet]:
    """Three or four operators that meet in several places and sell everything, with one kind of trouble or none."""
    tight = trouble == "labels"
    how = Mood(1.0 if tight else 0.0, 0.6 if tight else 0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    drafts = [_operator(rng, how, number) for number in range(rng.choice((3, 3, 4)))]
    for draft in drafts:
        draft.classes = {"any": draft.classes["any"]}
        draft.interfaces.setdefault("u0", _interface(rng, how, "u0", None, drafts.index(draft)))
    for (i, a), (j, z) in combinations(enumerate(drafts), 2):
        for number in range(rng.choice((2, 2, 3)) if j == i + 1 else rng.choice((0, 1))):
            _meet(rng, how, (a, z), number)
    for draft in drafts:
        _disclose(rng, how, draft)
    return {draft.entity: draft.sheet() for draft in drafts}


def _operator(rng: Random, how: Mood, number: int) -> Draft:
    draft = Draft(entity(number), currency=rng.choice(("EUR", "EUR", "USD", "CHF")))
    for name in ("any", "eu")[: rng.choice((1, 1, 2)) if number < 4 else 1]:
        draft.classes[name] = _terms(rng, how, name)
    for place in range(rng.choice((0, 1, 1, 1, 2)) if number else 1):
        draft.interfaces[f"u{place}"] = _interface(rng, how, f"u{place}", None, number)
    return draft


def _terms(rng: Random, how: Mood, name: str) -> ClassTerms:
    bands = (TimeBand(rng.choice((0, 480)), 1080, rng.choice((500_000, 1_333_333)), (1, 2, 3, 4, 5)),)
    return ClassTerms(
        id=name,
        set_up_micro=rng.choice((0, 0, 7, 1000)),
        minimum_micro=rng.choice((0, 0, 50, 2000, 9000)),
        exit_micro=5,
        minimum_term_s=rng.choice((8, 9)) * 86400 if rng.random() < how.term / 3 else rng.choice((0, 86400)),
        zone=rng.choice(("UTC", "Europe/Amsterdam")),
        bands=bands if rng.random() < 0.3 else (),
        terms=(TermFactor(86400, 900_000),) if rng.random() < 0.3 else (),
    )


def _interface(rng: Random, how: Mood, name: str, peer: Peer | None, number: int) -> Interface:
    return Interface(
        id=name,
        kind=InterfaceKind.ENNI if peer else InterfaceKind.UNI,
        name=name,
        city=f"City {number}",
        country="NL",
        lat_udeg=50_000_000 + number * 1000,
        lon_udeg=5_000_000,
        speed_bps=rng.choice(CAPACITIES) * GBPS if rng.random() < how.room / 4 else 100 * GBPS,
        mtu=1500 if rng.random() < how.mtu / 2 else 9000,
        labels=rng.choice(LABELS) if rng.random() < how.labels else "1-20",
        swap=rng.random() >= how.swap,
        owner=None if peer else "https://owner.example",
        peer=peer,
        latency_us=rng.choice((0, 0, 3)) if peer else 0,
        free=_free(rng, how),
    )


def _free(rng: Random, how: Mood) -> tuple[tuple[int, int], ...]:
    """Free capacity: plenty for a month, or in trouble little, little in the middle of the week, or none at first."""
    much, little = 20 * GBPS, rng.choice(CAPACITIES) * GBPS
    if rng.random() >= how.room / 2:
        return ((START_S - 10, much), (START_S + 30 * 86400, 0))
    shape = rng.random()
    if shape < 0.4:
        return ((START_S - 10, little),)
    if shape < 0.5:
        return ((START_S + 1, much),)
    return ((START_S, much), (START_S + 3 * 86400, little), (START_S + 4 * 86400, much))


def _meet(rng: Random, how: Mood, pair: tuple[Draft, Draft], number: int) -> None:
    """An interconnect, sometimes declared by one side only."""
    a, z = pair
    numbers = {d.entity: int(d.entity.removeprefix("https://op").partition(".")[0]) for d in (a, z)}
    ours, theirs = f"e{numbers[z.entity]}-{number}", f"e{numbers[a.entity]}-{number}"
    shape = rng.random()
    a.interfaces[ours] = _interface(rng, how, ours, Peer(z.entity, theirs), numbers[a.entity])
    if shape > 0.04:
        back = Peer(a.entity, ours if shape > 0.06 else "other")
        z.interfaces[theirs] = _interface(rng, how, theirs, back, numbers[z.entity])


def _disclose(rng: Random, how: Mood, draft: Draft) -> None:
    if rng.random() < 0.5:
        draft.disclosure = Disclosure.MESH
        for pair in combinations(sorted(draft.interfaces), 2):
            _offers(rng, how, draft, pair)
        return
    draft.disclosure = Disclosure.ABSTRACT
    draft.nodes = {f"n{place}" for place in range(rng.choice((1, 1, 2, 2, 3)))}
    for name in sorted(draft.interfaces):
        _offers(rng, how, draft, (name, rng.choice(sorted(draft.nodes))))
        if rng.random() < 0.2:
            _offers(rng, how, draft, (rng.choice(sorted(draft.nodes)), name))
    for pair in combinations(sorted(draft.nodes), 2):
        _offers(rng, how, draft, pair)
    if rng.random() < 0.2 and len(draft.interfaces) > 1:
        _offers(rng, how, draft, tuple(rng.sample(sorted(draft.interfaces), 2)))


def _offers(rng: Random, how: Mood, draft: Draft, pair: tuple[str, ...]) -> None:
    for name in draft.classes:
        for copy in range(1 if rng.random() < 0.9 else 2):
            if rng.random() < how.sold:
                offer = _offer(rng, how, (f"{name}:{pair[0]}:{pair[1]}:{copy}", name), pair)
                draft.offers[offer.id] = offer


def _offer(rng: Random, how: Mood, names: tuple[str, str], pair: tuple[str, ...]) -> Offer:
    return Offer(
        id=names[0],
        a=pair[0],
        z=pair[1],
        route_class=names[1],
        hourly_micro=rng.choice((0, 1, 3, 10, 17)),
        gbps_hourly_micro=rng.choice((0, 1, 2, 5)),
        promise=Promise(
            latency_us=rng.choice((1, 2, 5, 9, 20)),
            jitter_us=rng.choice((0, 1, 4)),
            loss_ppb=rng.choice((0, 1, 1000, 333_333_333)),
            availability_ppb=PPB - rng.choice((0, 1, 777, 100_000, 250_000_001)),
            carbon_mg_gb=rng.choice((0, 1, 3, 8)),
        ),
        free=_free(rng, how),
    )


def ends(sheets: dict[str, OperatorSheet], kind: InterfaceKind = InterfaceKind.UNI) -> Iterator[tuple[str, str]]:
    """Every UNI as (operator, interface), in a fixed order."""
    for name in sorted(sheets):
        for interface in sorted(sheets[name].interfaces):
            if sheets[name].interfaces[interface].kind is kind:
                yield name, interface

"""Every path there is, by trying them all. Reads sheets and schemas only: nothing of the search it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from federation.broker.discovery.sheet import OperatorSheet
from federation.broker.paths.query import Query
from schemas import labels
from schemas.intent import Objective
from schemas.interface import Interface, InterfaceKind
from schemas.offer import Offer, steps_least
from schemas.price import Money, charge, total
from schemas.segment import Promise

Names = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Piece:
    """One segment: operator, class, interfaces, offers."""

    operator: str
    route_class: str
    a: str
    z: str
    offers: tuple[Offer, ...]


@dataclass(frozen=True)
class Walk:
    """A whole path that labels allow, with everything a limit could be about."""

    pieces: tuple[Piece, ...]
    promise: Promise
    price: int
    width: int
    mtu: int
    term_s: int
    lacking: Names
    absent: frozenset[str]

    @property
    def hops(self) -> int:
        return len(self.pieces)

    @property
    def interfaces(self) -> tuple[tuple[str, str], ...]:
        return tuple((p.operator, i) for p in self.pieces for i in (p.a, p.z))


class Step(NamedTuple):
    """A piece of a path, and all that it adds to one, whatever comes before and after."""

    piece: Piece
    there: tuple[str, str] | None
    swaps: bool
    promise: Promise
    paid: int
    width: int
    mtu: int
    term_s: int
    lacking: Names
    absent: frozenset[str]


def walks(sheets: Mapping[str, OperatorSheet], query: Query) -> list[Walk]:
    """Every path, whatever limits, rules and capacity say; excluded items, labels and missing rates are obeyed."""
    return list(_Trial(sheets, query).walks())


def judged(sheets: Mapping[str, OperatorSheet], query: Query, pieces: tuple[Piece, ...]) -> Walk | None:
    """One path as a whole; None where something of it is excluded or nothing is known of it."""
    return _Trial(sheets, query).judged(pieces)


class _Trial:
    """One question to one federation. What is true of an interface or of a piece by itself is found out once."""

    def __init__(self, sheets: Mapping[str, OperatorSheet], query: Query) -> None:
        self._sheets, self._query = sheets, query
        self._free: dict[tuple[str, str], int] = {}
        self._steps: dict[tuple[str, str], list[Step]] = {}

    def walks(self) -> Iterator[Walk]:
        """Every path from every source to every target."""
        targets = {end for end in self._query.targets if _uni(self._sheets, end)}
        for end in dict.fromkeys(self._query.sources):
            if _uni(self._sheets, end):
                for steps in self._onward(targets, (), end, self._labels(end)):
                    yield self._walk(steps)

    def judged(self, pieces: tuple[Piece, ...]) -> Walk | None:
        """One path, by its pieces."""
        steps = tuple(step for piece in pieces if (step := self._step(piece)) is not None)
        labels = self._labels((pieces[0].operator, pieces[0].a))
        for place, step in enumerate(steps):
            after = [(piece.operator, piece.a) for piece in pieces[place + 1 : place + 2]]
            labels = self._after(step, labels) & (self._labels(after[0]) if after else -1)
        return self._walk(steps) if len(steps) == len(pieces) and labels else None

    def _onward(
        self, targets: set[tuple[str, str]], before: tuple[Step, ...], here: tuple[str, str], labels: int
    ) -> Iterator[tuple[Step, ...]]:
        seen = {here[0], *(step.piece.operator for step in before)}
        for step in self._from(here):
            left = self._after(step, labels)
            if not left:
                continue
            path = (*before, step)
            if (here[0], step.piece.z) in targets:
                yield path
            if step.there is not None and step.there[0] not in seen:
                yield from self._onward(targets, path, step.there, left & self._labels(step.there))

    def _labels(self, end: tuple[str, str]) -> int:
        """Labels that may be used at an interface, as a mask."""
        if end not in self._free:
            published = self._sheets[end[0]].interfaces[end[1]].labels
            self._free[end] = labels.parse(published) & ~self._query.banned_labels.get(end, 0)
        return self._free[end]

    def _after(self, step: Step, before: int) -> int:
        """Labels possible behind a piece: any free one where it can swap, else one of those before it."""
        there = self._labels((step.piece.operator, step.piece.z))
        return there if step.swaps and before else there & before

    def _from(self, here: tuple[str, str]) -> list[Step]:
        if here not in self._steps:
            found = map(self._step, _pieces(self._sheets[here[0]], self._query, here[1]))
            self._steps[here] = [step for step in found if step is not None]
        return self._steps[here]

    def _step(self, piece: Piece) -> Step | None:
        """None where it is excluded, or its price cannot be told."""
        sheet, query = self._sheets[piece.operator], self._query
        currencies = {sheet.currency, query.currency}
        if len(currencies) > 1 and not currencies <= query.rates.worth_ppm.keys():
            return None
        if not query.excluded.isdisjoint({(piece.operator, piece.a), (piece.operator, piece.z)}):
            return None
        ends = [sheet.interfaces[name] for name in (piece.a, piece.z)]
        items: list[Interface | Offer] = [*ends, *piece.offers]
        free = (steps_least(item.free, query.window.start_s, query.window.end_s) for item in items)
        promise = Promise()
        for offer in piece.offers:
            promise = promise.then(offer.promise)
        return Step(
            piece,
            beyond(self._sheets, piece.operator, piece.z),
            all(end.swap for end in ends),
            promise,
            _paid(sheet, query, piece, query.bandwidth_bps),
            min(*free, *(end.speed_bps for end in ends)),
            min(end.mtu for end in ends),
            sheet.classes[piece.route_class].minimum_term_s,
            *_rules(query, piece),
        )

    def _walk(self, steps: tuple[Step, ...]) -> Walk:
        missing = self._query.operators_required - {step.piece.operator for step in steps}
        return Walk(
            tuple(step.piece for step in steps),
            self._promise(steps),
            sum(step.paid for step in steps),
            min(step.width for step in steps),
            min(step.mtu for step in steps),
            max(step.term_s for step in steps),
            frozenset(("operators_required", name) for name in missing).union(*(step.lacking for step in steps)),
            frozenset[str]().union(*(step.absent for step in steps)),
        )

    def _promise(self, steps: tuple[Step, ...]) -> Promise:
        path = Promise().then(steps[0].promise)
        for before, step in pairwise(steps):
            ours = self._sheets[before.piece.operator].interfaces[before.piece.z]
            theirs = self._sheets[step.piece.operator].interfaces[step.piece.a]
            path = path.then(Promise(latency_us=max(ours.latency_us, theirs.latency_us))).then(step.promise)
        return path


def _uni(sheets: Mapping[str, OperatorSheet], end: tuple[str, str]) -> bool:
    sheet = sheets.get(end[0])
    return sheet is not None and end[1] in sheet.interfaces and sheet.interfaces[end[1]].kind is InterfaceKind.UNI


def beyond(sheets: Mapping[str, OperatorSheet], operator: str, name: str) -> tuple[str, str] | None:
    """The other side of an interconnect that both declare."""
    interface = sheets[operator].interfaces[name]
    if interface.kind is not InterfaceKind.ENNI or interface.peer is None or interface.peer.entity not in sheets:
        return None
    back = sheets[interface.peer.entity].interfaces.get(interface.peer.interface)
    if back is None or back.kind is not InterfaceKind.ENNI or back.peer is None:
        return None
    named = (back.peer.entity, back.peer.interface) == (operator, name)
    return (interface.peer.entity, back.id) if named else None


def _pieces(sheet: OperatorSheet, query: Query, entry: str) -> Iterator[Piece]:
    """Every way through one operator: nodes may be inside, interfaces only at the ends."""
    for name in sheet.classes:
        offers = [
            o
            for o in sheet.offers.values()
            if o.route_class == name and (sheet.entity, o.id) not in query.excluded and o.a != o.z
        ]
        stack: list[tuple[str, tuple[Offer, ...], frozenset[str]]] = [(entry, (), frozenset({entry}))]
        while stack:
            here, used, seen = stack.pop()
            for offer in offers:
                if here in (offer.a, offer.z):
                    there = offer.z if here == offer.a else offer.a
                    if there in sheet.interfaces and there != entry:
                        yield Piece(sheet.entity, name, entry, there, (*used, offer))
                    elif there in sheet.nodes and there not in seen:
                        stack.append((there, (*used, offer), seen | {there}))


def price(sheets: Mapping[str, OperatorSheet], query: Query, pieces: tuple[Piece, ...], bandwidth_bps: int) -> int:
    """What a buyer pays for a path at some bandwidth."""
    return sum(_paid(sheets[piece.operator], query, piece, bandwidth_bps) for piece in pieces)


def _paid(sheet: OperatorSheet, query: Query, piece: Piece, bandwidth_bps: int) -> int:
    rates = sum(o.hourly_micro for o in piece.offers), sum(o.gbps_hourly_micro for o in piece.offers)
    tariff = sheet.classes[piece.route_class].tariff(sheet.currency, *rates)
    lines = charge(tariff, bandwidth_bps, query.window.start_s, query.window.end_s, query.term_s)
    return query.rates.convert(Money(sheet.currency, total(lines)), query.currency).micro


def _rules(query: Query, piece: Piece) -> tuple[Names, frozenset[str]]:
    """Names that each rule would have to allow, and rules for which a fact is missing."""
    lacking, absent = set[tuple[str, str]](), set[str]()
    for name in (piece.a, piece.z):
        lacking |= query.closed.get((piece.operator, name), frozenset())
    if query.operators_allowed is not None and piece.operator not in query.operators_allowed:
        lacking.add(("operators_allowed", piece.operator))
    if piece.operator in query.operators_denied:
        lacking.add(("operators_denied", piece.operator))
    if query.route_classes is not None and piece.route_class not in query.route_classes:
        lacking.add(("route_classes", piece.route_class))
    for refusal in query.refused.get((piece.operator, piece.route_class), ()):
        if refusal.lacking is None:
            absent.add(str(refusal.rule))
        else:
            lacking |= {(str(refusal.rule), name) for name in refusal.lacking}
    return frozenset(lacking), frozenset(absent)


def keeps(walk: Walk, query: Query, waived: frozenset[str] = frozenset(), granted: Names = frozenset()) -> bool:
    """Whether a path keeps every limit of a query that is not waived. `walk.price` must be for its bandwidth."""
    promise = walk.promise
    values = {
        "latency_us": (promise.latency_us, query.limits.latency_us),
        "jitter_us": (promise.jitter_us, query.limits.jitter_us),
        "loss_ppb": (promise.loss_ppb, query.limits.loss_ppb),
        "availability_ppb": (-promise.availability_ppb, _negative(query.limits.availability_ppb)),
        "carbon_mg_gb": (promise.carbon_mg_gb, query.limits.carbon_mg_gb),
        "hops": (walk.hops, query.hops),
        "budget": (walk.price, query.budget_micro),
        "bandwidth_bps": (-walk.width, -query.bandwidth_bps),
        "mtu": (-walk.mtu, -query.mtu),
        "duration_s": (walk.term_s, query.term_s),
    }
    if any(most is not None and value > most for name, (value, most) in values.items() if name not in waived):
        return False
    return not (walk.absent - waived) and not {n for n in walk.lacking - granted if n[0] not in waived}


def key(query: Query, walk: Walk) -> tuple[int, int]:
    """By what paths are ranked: what the objective is the least of, then the price (or latency, after the price)."""
    price, latency_us, carbon = walk.price, walk.promise.latency_us, walk.promise.carbon_mg_gb
    worth = query.weighing.nano_per_us * latency_us + query.weighing.nano_per_mg_gb * carbon
    keys = {
        Objective.PRICE: (price, latency_us),
        Objective.LATENCY: (latency_us, price),
        Objective.CARBON: (carbon, price),
        Objective.WEIGHTED: (1000 * price + worth, price),
    }
    return keys[query.objective]


def _negative(value: int | None) -> int | None:
    return None if value is None else -value

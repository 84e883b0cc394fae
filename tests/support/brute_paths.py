"""Every path there is, by trying them all. Reads sheets and schemas only: nothing of the search it is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

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


def walks(sheets: Mapping[str, OperatorSheet], query: Query) -> list[Walk]:
    """Every path, whatever limits, rules and capacity say; excluded items, labels and missing rates are obeyed."""
    targets = {end for end in query.targets if _uni(sheets, end)}
    found = []
    for end in dict.fromkeys(query.sources):
        if _uni(sheets, end):
            for pieces in _onward(sheets, query, targets, (), end):
                walk = judged(sheets, query, pieces)
                if walk is not None:
                    found.append(walk)
    return found


def _uni(sheets: Mapping[str, OperatorSheet], end: tuple[str, str]) -> bool:
    sheet = sheets.get(end[0])
    return sheet is not None and end[1] in sheet.interfaces and sheet.interfaces[end[1]].kind is InterfaceKind.UNI


def _onward(
    sheets: Mapping[str, OperatorSheet],
    query: Query,
    targets: set[tuple[str, str]],
    pieces: tuple[Piece, ...],
    here: tuple[str, str],
) -> Iterator[tuple[Piece, ...]]:
    operator, entry = here
    for piece in _pieces(sheets[operator], query, entry):
        path = (*pieces, piece)
        if not _labels(sheets, query, path):
            continue
        if (operator, piece.z) in targets:
            yield path
        there = beyond(sheets, operator, piece.z)
        if there is not None and there[0] not in {p.operator for p in path}:
            yield from _onward(sheets, query, targets, path, there)


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


def judged(sheets: Mapping[str, OperatorSheet], query: Query, pieces: tuple[Piece, ...]) -> Walk | None:
    ends = [(p.operator, name) for p in pieces for name in (p.a, p.z)]
    interfaces = [sheets[o].interfaces[name] for o, name in ends]
    known = all(
        sheets[p.operator].currency == query.currency
        or {sheets[p.operator].currency, query.currency} <= query.rates.worth_ppm.keys()
        for p in pieces
    )
    if not known or any(end in query.excluded for end in ends) or not _labels(sheets, query, pieces):
        return None
    start, end = query.window.start_s, query.window.end_s
    free = [steps_least(item.free, start, end) for item in [*interfaces, *(o for p in pieces for o in p.offers)]]
    lacking, absent = _rules(sheets, query, pieces)
    return Walk(
        pieces,
        _promise(sheets, pieces),
        price(sheets, query, pieces, query.bandwidth_bps),
        min(*free, *(i.speed_bps for i in interfaces)),
        min(i.mtu for i in interfaces),
        max(sheets[p.operator].classes[p.route_class].minimum_term_s for p in pieces),
        lacking,
        absent,
    )


def price(sheets: Mapping[str, OperatorSheet], query: Query, pieces: tuple[Piece, ...], bandwidth_bps: int) -> int:
    """What a buyer pays for a path at some bandwidth."""
    paid = 0
    for piece in pieces:
        sheet = sheets[piece.operator]
        rates = sum(o.hourly_micro for o in piece.offers), sum(o.gbps_hourly_micro for o in piece.offers)
        tariff = sheet.classes[piece.route_class].tariff(sheet.currency, *rates)
        lines = charge(tariff, bandwidth_bps, query.window.start_s, query.window.end_s, query.term_s)
        paid += query.rates.convert(Money(sheet.currency, total(lines)), query.currency).micro
    return paid


def _promise(sheets: Mapping[str, OperatorSheet], pieces: tuple[Piece, ...]) -> Promise:
    path = Promise()
    for place, piece in enumerate(pieces):
        inside = Promise()
        for offer in piece.offers:
            inside = inside.then(offer.promise)
        path = path.then(inside)
        if place + 1 < len(pieces):
            there = pieces[place + 1]
            ours, theirs = sheets[piece.operator].interfaces[piece.z], sheets[there.operator].interfaces[there.a]
            path = path.then(Promise(latency_us=max(ours.latency_us, theirs.latency_us)))
    return path


def _free_labels(query: Query, operator: str, interface: Interface) -> frozenset[int]:
    return _values(interface.labels) - _values(labels.ranges(query.banned_labels.get((operator, interface.id), 0)))


@cache
def _values(text: str) -> frozenset[int]:
    mask = labels.parse(text)
    return frozenset(value for value in range(1, 4095) if mask >> value & 1)


def _labels(sheets: Mapping[str, OperatorSheet], query: Query, pieces: tuple[Piece, ...]) -> bool:
    """Whether every place can have a label, kept from end to end of a segment that cannot swap."""

    def free(operator: str, name: str) -> frozenset[int]:
        return _free_labels(query, operator, sheets[operator].interfaces[name])

    possible = free(pieces[0].operator, pieces[0].a)
    for place, piece in enumerate(pieces):
        there = free(piece.operator, piece.z)
        if place + 1 < len(pieces):
            there &= free(pieces[place + 1].operator, pieces[place + 1].a)
        interfaces = sheets[piece.operator].interfaces
        swaps = interfaces[piece.a].swap and interfaces[piece.z].swap
        possible = there if swaps and possible else there & possible
    return bool(possible)


def _rules(
    sheets: Mapping[str, OperatorSheet], query: Query, pieces: tuple[Piece, ...]
) -> tuple[Names, frozenset[str]]:
    """Names that each rule would have to allow, and rules for which a fact is missing."""
    lacking, absent = set(), set()
    lacking |= {("operators_required", name) for name in query.operators_required - {p.operator for p in pieces}}
    for piece in pieces:
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

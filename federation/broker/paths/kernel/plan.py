"""From a question to what the compiled functions read: which classes it admits, and what they cost it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
from msgspec import structs

from federation.broker.paths.kernel.ahead import CLASS_COLUMNS, FRACTIONS, RATE_COLUMNS, RATIOS, UNSPANNED, Plan
from federation.broker.paths.kernel.arrays import CROSS, SHUT, SOURCE, TARGET, Arrays
from federation.broker.paths.kernel.block import Bytes, Flags, Floats, Ints
from federation.broker.paths.meter import Meter, worth
from federation.broker.paths.query import Ask, Limit, Query
from federation.broker.paths.rules import lacking
from federation.broker.paths.usable import Usable
from schemas.intent import Objective
from schemas.price import GBPS, HOUR_S, PPM, term_ppm, weighted_seconds
from schemas.segment import Limits, Window, window

AMOUNT_MAX: Final = float(1 << 47)  # micro-units of one segment: beyond, 64 bits may not do
DENOMINATOR_MAX: Final = 1 << 61
SLACK_MORE: Final = 4  # two amounts used, each rounded down once as a float and once to a whole number
ROOM: Final = 1 - 1e-15
TARIFFS_MAX: Final = 8
ROOMS_MAX: Final = 8
ANY_TIME: Final = window(0, 1)
Row = tuple[tuple[int, ...], tuple[float, ...], bool]  # of one zone, bands, term factors and currency


class Room(NamedTuple):
    """Where there is room for one size and time, as far as searches have found out; rows as in `Plan`."""

    key: tuple[object, ...]
    state: Bytes
    fits: Bytes
    opened: Bytes


class Planned(NamedTuple):
    """A plan, and what tells it from other plans over the same arrays. `fits` is False where 64 bits may not do.

    While it is searched by, `states` take their `places` in its state: the ends, and what was taken away. `ending` are
    the operators where a path may end, `twins` the UNIs that are source and target, `meters` those of the same tariffs.
    """

    plan: Plan
    key: tuple[object, ...]
    fits: bool
    places: Ints
    states: Bytes
    sources: Ints
    ending: Ints
    twins: Ints
    meters: dict[int, Meter]


class Prices(NamedTuple):
    """Fractions and bounds per class. `known`: there is an exchange rate; `small`: 64 bits do for the exact price."""

    fractions: Ints
    ratio: Floats
    rates: Floats
    slack: Ints
    known: Flags
    small: Flags


class Tariffed(NamedTuple):
    """What questions of one size and set of rules share, whatever their ends: which classes they admit, at what price.

    `alike` and `rows` tell it from others; `key` does so too, briefly. `during` is when it was asked for.
    """

    alike: Ask
    during: Window
    rows: tuple[Row, ...]
    admitted: Bytes
    classes: Ints
    rates: Floats
    fits: bool
    key: bytes
    meters: dict[int, Meter]


def planned(arrays: Arrays, usable: Usable, ask: Ask) -> Planned:
    """The plan of an ask whose ends and crossings `usable` judges."""
    query, shared = ask.query, _tariffed(arrays, ask)
    wanted, mtu = ask.limit(Limit.BANDWIDTH) or 0, ask.limit(Limit.MTU) or 0
    during = query.window.start_s, query.window.end_s
    # Windows between the same changes of capacity have the same room; what prices they have, `shared` says.
    gaps = _gap(arrays.breaks, *during)
    room, ends = _room(arrays, (wanted, mtu, *gaps)), (tuple(usable.sources), tuple(usable.targets))
    states, closed = _states(arrays, usable, query)
    plan = Plan(
        admitted=shared.admitted,
        classes=shared.classes,
        rates=shared.rates,
        state=room.state,
        fits=room.fits,
        opened=_opened(arrays, query, room),
        targets=_ints(ends[1]),
        size=_ints((wanted, mtu, *during)),
        span=UNSPANNED.copy(),
    )
    return Planned(
        plan=plan,
        key=(shared.key, room.key, ends, closed, query.excluded),
        fits=shared.fits,
        places=_ints(tuple(states)),
        states=np.array(tuple(states.values()), dtype=np.uint8),
        sources=_ints(ends[0]),
        ending=_ints(sorted({arrays.graph.owner[vertex] for vertex in ends[1]})),
        twins=_ints([vertex for vertex in ends[0] if vertex in usable.targets]),
        meters=shared.meters,
    )


def _gap(breaks: Sequence[int], start_s: int, end_s: int) -> tuple[int, int]:
    """The last change of capacity up to a start and the first from an end on, as seconds: their places among all
    changes would be those of other windows once there are more changes."""
    before, after = bisect_right(breaks, start_s), bisect_left(breaks, end_s)
    return breaks[before - 1] if before else -1, breaks[after] if after < len(breaks) else -1


def _room(arrays: Arrays, key: tuple[object, ...]) -> Room:
    """What was found out about offers and interfaces for a size and time, if only that it is not known yet."""
    for known in reversed(tuple(arrays.rooms)):
        if known.key == key:
            found: Room = known
            return found
    unknown = (np.zeros(size, dtype=np.uint8) for size in (len(arrays.net.step_ptr), arrays.arcs))
    made = Room(key, arrays.unopened.copy(), *unknown)
    arrays.rooms.append(made)
    del arrays.rooms[:-ROOMS_MAX]
    return made


def _tariffed(arrays: Arrays, ask: Ask) -> Tariffed:
    """What a question shares with others: found for one of them before, or made."""
    query, each = ask.query, len(arrays.currencies)
    plain = structs.replace(
        query, sources=(), targets=(), window=ANY_TIME, limits=Limits(), hops=None, budget_micro=None,
        objective=Objective.PRICE, excluded=frozenset(), banned_labels={}, k=1, work=0,
    )  # fmt: skip
    alike = structs.replace(ask, query=plain, aim="", eased=frozenset())
    same: list[Tariffed] = [known for known in reversed(tuple(arrays.tariffs)) if known.alike == alike]
    found = next((known for known in same if known.during == query.window), None)
    if found is not None:
        return found
    rows = tuple(_fractions(arrays, query, *divmod(pair, each)) for pair in arrays.pairs)
    found = next((known for known in same if known.rows == rows), None)
    if found is not None:
        return found
    made = _priced(arrays, ask, alike, rows)
    arrays.tariffs.append(made)
    del arrays.tariffs[:-TARIFFS_MAX]
    return made


def _priced(arrays: Arrays, ask: Ask, alike: Ask, rows: tuple[Row, ...]) -> Tariffed:
    prices = _prices(arrays, rows)
    admitted = _admitted(arrays, ask) & prices.known
    base, least = arrays.set_up, arrays.minimum
    if arrays.currencies != [ask.query.currency]:
        rounded = np.where(prices.ratio[2] == 1, 1.0, prices.ratio[2] * ROOM)
        base, least = (base * rounded).astype(np.int64), (least * rounded).astype(np.int64)
    per_hourly, per_gbps = prices.rates
    flat = least > arrays.usual[0] * per_hourly + arrays.usual[1] * per_gbps
    tops = (arrays.highest[0] * per_hourly + arrays.highest[1] * per_gbps) * arrays.stretch
    tops += (arrays.set_up + arrays.minimum) * np.maximum(1, prices.ratio[2])
    entry = base + np.where(flat, least, 0)
    classes = np.empty((len(admitted), CLASS_COLUMNS), dtype=np.int64)
    columns = (flat, base, least, entry, prices.slack, arrays.set_up, arrays.minimum)
    for place, column in enumerate(columns):
        classes[:, place] = column
    classes[:, FRACTIONS:] = prices.fractions
    rates = np.empty((len(admitted), RATE_COLUMNS))
    rates[:, 0], rates[:, 1], rates[:, RATIOS:] = per_hourly, per_gbps, prices.ratio.T
    fits = bool(((tops < AMOUNT_MAX) & prices.small | ~admitted).all())
    key = blake2b(admitted.tobytes() + classes.tobytes() + rates.tobytes(), digest_size=32).digest()
    return Tariffed(alike, ask.query.window, rows, admitted.astype(np.uint8), classes, rates, fits, key, {})


def _prices(arrays: Arrays, rows: tuple[Row, ...]) -> Prices:
    """Per class: three fractions as numerators, denominators and ratios; slack, and whether 64 bits do."""
    which = arrays.pair
    exact: Ints = np.array([row[0] for row in rows], dtype=np.int64).reshape(-1, 8)[which]
    floats: Floats = np.array([row[1] for row in rows], dtype=np.float64).reshape(-1, 5).T[:, which]
    known = np.array([row[2] for row in rows], dtype=bool)[which]
    return Prices(exact[:, :6], floats[:3], floats[3:], exact[:, 6], known, exact[:, 7] == 1)


def _fractions(arrays: Arrays, query: Query, timing: int, currency: int) -> Row:
    rate = worth(query.rates, arrays.currencies[currency], query.currency)
    if rate is None:
        return (1,) * 8, (1.0, 1.0, 1.0, 0.0, 0.0), False
    zone, bands, terms = arrays.timings[timing]
    seconds = weighted_seconds(zone or "UTC", bands, query.window.start_s, query.window.end_s)
    factor = seconds * term_ppm(terms, query.term_s)
    per = HOUR_S * PPM * PPM
    fractions = [_reduced(factor, per), _reduced(query.bandwidth_bps * factor, GBPS * per), _reduced(*rate)]
    slack = -(-2 * rate[0] // rate[1]) + 2 + SLACK_MORE
    small = all(den < DENOMINATOR_MAX for _, den in fractions) and slack < AMOUNT_MAX
    exact = [number if small else 1 for fraction in fractions for number in fraction]
    rates = factor * rate[0] / (per * rate[1]), query.bandwidth_bps * factor * rate[0] / (GBPS * per * rate[1])
    wrapped = tuple(_wrapped(number) for number in (*exact, slack if small else 0, small))
    return wrapped, (*(num / den for num, den in fractions), rates[0] * ROOM, rates[1] * ROOM), True


def _reduced(numerator: int, denominator: int) -> tuple[int, int]:
    shared = math.gcd(numerator, denominator)
    return numerator // shared, denominator // shared


def _wrapped(number: int) -> int:
    """The same number as 64 bits with a sign hold it."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _admitted(arrays: Arrays, ask: Ask) -> Flags:
    """Classes that no rule keeps out, of the rules that are not waived."""
    if ask.granted:
        return np.array([_granted(ask, entity, t.id, t.minimum_term_s) for entity, t in arrays.classes], dtype=bool)
    query, waived = ask.query, ask.waived
    admitted = np.ones(len(arrays.classes), dtype=bool)
    if Limit.TERM not in waived:
        admitted &= arrays.term_s <= query.term_s
    if query.operators_allowed is not None and Limit.ALLOWED not in waived:
        allowed = [network.entity in query.operators_allowed for network in arrays.graph.networks]
        admitted &= np.array(allowed, dtype=bool)[arrays.class_owner]
    if query.operators_denied and Limit.DENIED not in waived:
        denied = [network.entity in query.operators_denied for network in arrays.graph.networks]
        admitted &= ~np.array(denied, dtype=bool)[arrays.class_owner]
    if query.route_classes is not None and Limit.CLASSES not in waived:
        wanted = query.route_classes
        admitted &= np.array([name in wanted for name in arrays.class_names], dtype=bool)
    number = arrays.class_number
    for key, reasons in query.refused.items():
        place = number.get(key)
        if place is not None and any(reason.rule not in waived for reason in reasons):
            admitted[place] = False
    return admitted


def _granted(ask: Ask, entity: str, route_class: str, minimum_term_s: int) -> bool:
    """Whether every rule that refuses a class is waived, or has been granted what it lacks."""
    for rule, names in lacking(ask.query, entity, route_class, minimum_term_s):
        missing = names is None or not {(rule, name) for name in names} <= ask.granted
        if rule not in ask.waived and missing:
            return False
    return True


def _states(arrays: Arrays, usable: Usable, query: Query) -> tuple[dict[int, int], tuple[int, ...]]:
    """What a question says of interfaces: which are ends, and which are shut as they are avoided or were taken away."""
    net, graph, states = arrays.net, arrays.graph, dict[int, int]()
    found = [graph.vertex(*end) for end in (*query.excluded, *query.banned_labels, *query.closed)]
    named = sorted({vertex for vertex in found if vertex is not None})
    closed = [vertex for vertex in named if net.vertices[vertex, CROSS] >= 0 and usable.beyond(vertex) is None]
    for vertex in closed:
        states[vertex] = states[int(net.vertices[vertex, CROSS])] = SHUT
    for vertex in usable.sources:
        states[vertex] = SOURCE
    for vertex in usable.targets:
        states[vertex] = TARGET | (SOURCE if vertex in usable.sources else 0)
    return states, tuple(closed)


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _opened(arrays: Arrays, query: Query, room: Room) -> Bytes:
    """What is known of arcs; of its own where some offers are excluded."""
    numbers = [number for end in query.excluded if (number := arrays.arc_number(*end)) is not None]
    if not numbers:
        return room.opened
    opened = room.opened.copy()
    opened[numbers] = SHUT
    return opened

"""Why there is no path: a minimal set of limits that bind, the floor of each, and the least changes that help.

A set of limits is minimal when no path keeps them all, and one does as soon as any of them is left out (QuickXplain).
A change is the least one of its kind, and it is offered only after a search under the changed limits has found the
path that goes with it. A missing attestation is never offered as something to overlook while anything else helps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Final

from msgspec import Struct

from federation.broker.paths.assembly import route
from federation.broker.paths.changes import Change, Stand
from federation.broker.paths.graph import Graph
from federation.broker.paths.inquiry import SUMS, Inquiry
from federation.broker.paths.least import least_change
from federation.broker.paths.network import Network
from federation.broker.paths.query import PRICE, Limit, Query, aim_of
from federation.broker.paths.route import Route
from federation.broker.paths.rules import lacking
from federation.broker.paths.rules import names as rule_names
from federation.broker.paths.usable import least_free

# What is kept back as long as possible stands first: of several minimal sets, the one nearest to the front is found.
PREFERRED: Final = (
    Limit.LATENCY,
    "countries",
    "domicile",
    "parents",
    "marks_required",
    Limit.BUDGET,
    Limit.BANDWIDTH,
    Limit.AVAILABILITY,
    Limit.LOSS,
    Limit.JITTER,
    Limit.CARBON,
    Limit.CLASSES,
    Limit.ALLOWED,
    Limit.DENIED,
    Limit.REQUIRED,
    Limit.SITES,
    Limit.CITIES,
    Limit.HOPS,
    Limit.MTU,
    Limit.TERM,
)
NEEDS: Final = frozenset({Limit.BANDWIDTH, Limit.MTU, Limit.TERM})
TURNS: Final[Mapping[str, int]] = {Limit.TERM: 0, Limit.BANDWIDTH: 1, Limit.BUDGET: 3}
PAIRS_MAX: Final = 5


class Bind(Struct, frozen=True, kw_only=True):
    """A limit that binds. `floor` is the best that any path can do on it alone.

    That path has the bandwidth, MTU and duration asked for and is free of every other limit. None: there is no such
    path. For a rule, `asked` is None and `floor` the fewest names that would have to be allowed.
    """

    limit: str
    asked: int | None
    floor: int | tuple[str, ...] | None


class Relaxed(Struct, frozen=True, kw_only=True):
    """Changes that make the query feasible, and the best path then."""

    changes: tuple[Change, ...]
    route: Route


class Infeasible(Struct, frozen=True, kw_only=True):
    """There is no path (`proven`), or none was found before the work ran out.

    `floor_us` is what light needs between the nearest endpoints; `impossible` says that less was asked. No binding
    limit and no relaxation: nothing published joins the endpoints at all. `complete` is False where the work did not
    suffice to tell that or everything else.
    """

    proven: bool
    complete: bool
    work: int
    floor_us: int
    impossible: bool = False
    binding: tuple[Bind, ...] = ()
    relaxations: tuple[Relaxed, ...] = ()


class Explanation:
    """What there is to say about a query without a path."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry, self._query, self._impossible = inquiry, inquiry.query, inquiry.impossible
        self._asked = asked(inquiry.graph, inquiry.query)

    def answer(self) -> Infeasible:
        """The limits that bind, their floors, and the relaxations."""
        binding = [str(Limit.LATENCY)] if self._impossible else self._conflict()
        if not self._inquiry.complete:
            binding = []  # a solve that ran out of work has not shown that anything conflicts
        return Infeasible(
            proven=True,
            binding=tuple(Bind(limit=name, asked=self._query.limit(name), floor=self._floor(name)) for name in binding),
            relaxations=tuple(self._relaxations(binding)),
            complete=self._inquiry.complete,
            work=self._inquiry.work.done,
            floor_us=self._inquiry.floor_us,
            impossible=self._impossible,
        )

    def _conflict(self) -> list[str]:
        """A minimal set of limits that no path keeps; empty when there is no path without any of them."""
        if not self._feasible(()):
            return []
        return self._quick((), (), self._asked)

    def _quick(self, background: Iterable[str], delta: Iterable[str], rest: list[str]) -> list[str]:
        """QuickXplain (Junker 2004): a minimal part of `rest` that conflicts, together with `background`."""
        kept = list(background)
        if delta and not self._feasible(kept):
            return []
        if len(rest) <= 1:
            return rest
        first, second = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        of_second = self._quick([*kept, *first], first, second)
        of_first = self._quick([*kept, *of_second], of_second, first)
        return of_first + of_second

    def _feasible(self, kept: Iterable[str]) -> bool:
        waived = frozenset(self._asked) - frozenset(kept)
        return self._inquiry.solve(Stand(self._query), PRICE, waived) is not None

    def _floor(self, name: str) -> int | tuple[str, ...] | None:
        others = frozenset(self._asked) - {name} - NEEDS
        change = least_change(self._inquiry, Stand(self._query), name, others)
        return None if change is None else change.value

    def _relaxations(self, binding: list[str]) -> list[Relaxed]:
        """Single changes, else pairs, else rules dropped where facts are missing; the cheapest first."""
        if not binding:
            return []
        cheaper_by_size = [str(Limit.BANDWIDTH)] if Limit.BUDGET in binding and Limit.BANDWIDTH not in binding else []
        for offer in (
            lambda: (self._changed((name,)) for name in [*binding, *cheaper_by_size]),
            lambda: (self._changed(pair) for pair in self._pairs(binding)),
            self._dropped,
        ):
            found = _by_price(offer())
            if found:
                return found
        return []

    def _pairs(self, binding: list[str]) -> Iterator[tuple[str, str]]:
        for first in binding:
            for second in self._asked:
                if first != second and not (second in binding and binding.index(second) < binding.index(first)):
                    yield first, second

    def _changed(self, names: tuple[str, ...]) -> Relaxed | None:
        """The least change of each limit in turn, the later ones left out meanwhile; verified by searching again."""
        names = tuple(sorted(names, key=_turn))
        stand, changes = Stand(self._query), list[Change]()
        for place, name in enumerate(names):
            change = least_change(self._inquiry, stand, name, frozenset(names[place + 1 :]))
            if change is None:
                return None
            changes.append(change)
            stand = stand.changed(change)
        return self._verified(stand, changes)

    def _dropped(self) -> Iterator[Relaxed | None]:
        rules = [name for name in self._asked if self._unattested(name)]
        for size in range(1, len(rules) + 1):
            found = False
            for names in combinations(rules, size):
                changes = [Change(limit=name, value=None) for name in names]
                relaxed = self._verified(Stand(self._query, dropped=frozenset(names)), changes)
                found = found or relaxed is not None
                yield relaxed
            if found:
                return

    def _unattested(self, rule: str) -> bool:
        reasons = (reason for reasons in self._query.refused.values() for reason in reasons)
        return any(reason.rule == rule and reason.lacking is None for reason in reasons)

    def _verified(self, stand: Stand, changes: Iterable[Change]) -> Relaxed | None:
        stand = self._inquiry.settled(stand)
        label = self._inquiry.solve(stand, aim_of(self._query.objective))
        if label is None:
            return None
        found = route(self._inquiry.prepared(stand.ask(aim_of(self._query.objective))).usable, stand.query, label)
        return Relaxed(changes=tuple(changes), route=found)


def _turn(limit: str) -> int:
    """How long and how much is bought decides the price, so these come first and the budget comes last."""
    return TURNS.get(limit, 2)


def _by_price(found: Iterable[Relaxed | None]) -> list[Relaxed]:
    kept = [relaxed for relaxed in found if relaxed is not None]
    return sorted(kept, key=lambda r: (r.route.total_micro, r.route.promise.latency_us))[:PAIRS_MAX]


def asked(graph: Graph, query: Query) -> list[str]:
    """The limits that something published fails or may fail, in the order of `PREFERRED`, then rules of other names."""
    offered = ((network.entity, terms) for network in graph.networks for terms in network.classes)
    rules = {str(rule) for entity, t in offered for rule, _ in lacking(query, entity, t.id, t.minimum_term_s)}
    rules |= {str(rule) for rule, _ in rule_names(query)}
    names = rules | {str(name) for name in SUMS if query.limit(name) is not None}
    if any(interface.mtu < query.mtu for network in graph.networks for interface in network.interfaces):
        names.add(str(Limit.MTU))
    if any(_too_narrow(network, query) for network in graph.networks):
        names.add(str(Limit.BANDWIDTH))
    place = {str(name): number for number, name in enumerate(PREFERRED)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))


def _too_narrow(network: Network, query: Query) -> bool:
    """Whether anything an operator publishes has less room than asked for."""
    wanted, during = query.bandwidth_bps, (query.window.start_s, query.window.end_s)
    if any(i.speed_bps < wanted or least_free(i.free, *during) < wanted for i in network.interfaces):
        return True
    return any(least_free(arc.free, *during) < wanted for arc in network.arcs)

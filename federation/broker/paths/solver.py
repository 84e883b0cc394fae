"""The optimum of one ask: label setting, best first, with bounds on what is still to come.

A path does not enter an operator twice. Solves begin without that rule; while the best path found breaks it, the
operators it enters twice are watched (a bit in each label, and no second entry) and the solve begins again. That is
exact: a label is dropped only for one that has entered no watched operator the other has not (and has every required
operator behind it that the other has), and a path found without breaking the rule is the best among more than are
allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Final

from federation.broker.paths import effort
from federation.broker.paths.bounds import NEVER, Bounds
from federation.broker.paths.labels import CARBON, HOPS, LATENCY, NO_SUMS, PLACE_OF, Label, dominance, worth
from federation.broker.paths.network import shrinkage_max
from federation.broker.paths.query import ADDITIONS, NANO, PRICE, SCORE, Ask, Limit, figures
from federation.broker.paths.usable import ALL_TIME_BPS, ANY_LABEL, MEASURES, Beyond, Stretch, Usable
from federation.broker.paths.work import Fixed, Solved, Work
from schemas.segment import PPB

ADDITIVE: Final = (Limit.LATENCY, Limit.JITTER, Limit.LOSS, Limit.AVAILABILITY, Limit.HOPS, Limit.CARBON)
SHARES: Final = (Limit.LOSS, Limit.AVAILABILITY)
REACH_SHARE: Final = 8  # bounds on price run an eighth beyond the least price before they stop
PRICED: Final = (Limit.LATENCY, Limit.CARBON)  # of equal ones, the cheaper
AIMS: Final = (PRICE, SCORE, *PRICED)
Key = tuple[int, int]


class Solve:
    """One ask, over what is usable for it."""

    def __init__(self, usable: Usable, bounds: Bounds, ask: Ask, work: Work, fixed: Fixed | None = None) -> None:
        self._usable, self._graph, self._ask, self._work = usable, usable.graph, ask, work
        self._fixed = fixed or Fixed()
        self._counted = (usable,) if bounds.usable is usable else (usable, bounds.usable)
        self._spent = sum(each.effort for each in self._counted)
        self._dominates = dominance(ask.aim, ask.limit(Limit.BUDGET) is not None, ask.query.weighing)
        self._budget = ask.limit(Limit.BUDGET)
        self._price = bounds.of(PRICE) if ask.aim in (PRICE, ADDITIONS) or self._budget is not None else None
        self._checks = [(PLACE_OF[n], bounds.of(n), most) for n in ADDITIVE if (most := limit_most(ask, n)) is not None]
        self._aimed = bounds.of(ask.aim) if ask.aim in PLACE_OF or ask.aim == SCORE else None
        self._hard = [n for n in ADDITIVE if limit_most(ask, n) is not None or n == ask.aim]
        self._wide = ask.aim in MEASURES
        self._names = (1 << len(usable.names)) - 1
        self._sure = self._names & ~usable.pending  # bits that no path loses again
        self._watched = self._first_watched()
        self._reach = 0
        self._best: tuple[Key, Label] | None = None  # among paths that enter no operator twice; stands across rounds

    def run(self) -> Solved:
        """The best path that keeps every limit."""
        while True:
            found = self._round()
            twice = self._entered_twice(found.label)
            if not twice:
                return found
            for owner in twice:
                self._watched.setdefault(owner, 1 << (self._usable.bits + len(self._watched)))

    def _round(self) -> Solved:
        """The best path that enters no watched operator twice."""
        self._begin()
        while self._heap:
            first, second, _, label = heappop(self._heap)
            if self._best is not None and (first, second) >= self._best[0]:
                break
            if label.goal:
                return Solved(label, complete=True, least=first)
            if label.dead:
                continue
            if self._sharpened(label, (first, second)):
                continue
            if not self._take():
                return Solved(self._best[1] if self._best else None, complete=False, least=first)
            self._expand(label)
        self._count()
        if self._best is None:
            return Solved(None, complete=True, least=NEVER)
        return Solved(self._best[1], complete=True, least=self._best[0][0])

    def _take(self) -> bool:
        """Use one label of the work, and the steps taken since the last one; False when none is left."""
        self._count()
        return self._work.take()

    def _count(self) -> None:
        spent = sum(each.effort for each in self._counted)
        self._work.spend(spent - self._spent)
        self._spent = spent

    def _begin(self) -> None:
        self._heap: list[tuple[int, int, int, Label]] = []
        self._fronts: dict[int, list[Label]] = {}
        self._ticks = count()
        # The bits of the operators where a path may end: once all of them have been left, it cannot.
        self._ending = {self._watched.get(self._graph.owner[target], 0) for target in self._usable.targets}
        self._start()

    def _start(self) -> None:
        for source, labels in self._usable.sources.items():
            if self._fixed.allows(0, source):
                network = self._usable.network(source)
                swap = self._usable.interface(source).swap
                owner = self._graph.owner[source]
                mask = self._watched.get(owner, 0) | self._watched.get(-1 - source, 0)
                mask |= self._usable.pending & ~self._usable.met.get(owner, 0) | (self._usable.closing(source) or 0)
                possible = ANY_LABEL if network.all_swap else labels
                past = (0, PPB, PPB)
                start = Label(source, None, past, NO_SUMS, mask=mask, labels=possible, swap=swap, width=ALL_TIME_BPS)
                self._keep(start)

    def _expand(self, label: Label) -> None:
        is_interface, around = self._graph.is_interface, self._usable.near(label.vertex)
        self._usable.effort += effort.LABEL * len(around)
        for to, stretch in around:
            if is_interface[to]:
                self._leave(label, stretch, to)
            else:
                self._keep(label.along(stretch, to))

    def _leave(self, label: Label, stretch: Stretch, exit_: int) -> None:
        """Complete the segment at an interface: the path ends there, or enters the next operator."""
        target, beyond = self._usable.targets.get(exit_), self._usable.beyond(exit_)
        place = label.sums[HOPS] + 1
        if (target is None and beyond is None) or not self._fixed.allows(place, exit_):
            return
        inside = label.along(stretch, exit_)
        free = target if beyond is None else beyond.labels
        labels = self._labels(inside, exit_, free or 0)
        if not labels:
            return
        if beyond is None:
            self._finish(inside, labels)
            return
        watched = self._watched.get(self._graph.owner[beyond.vertex], 0)
        if not inside.mask & watched and not all(inside.mask & bit for bit in self._ending):
            self._enter(inside, beyond, labels)

    def _labels(self, inside: Label, exit_: int, free: int) -> int:
        """The labels possible at an exit: those free there, and the same as at the entry unless both ends swap."""
        both_swap = inside.swap and self._usable.interface(exit_).swap
        return free if both_swap or inside.labels == ANY_LABEL else free & inside.labels

    def _enter(self, inside: Label, beyond: Beyond, labels: int) -> None:
        s, vertex, owner = inside.sums, beyond.vertex, self._graph.owner[beyond.vertex]
        sums = (s[0] + beyond.latency_us, s[1], s[2], s[3], s[4] + 1, s[5])
        possible = ANY_LABEL if self._usable.network(vertex).all_swap else labels
        swap = self._usable.interface(vertex).swap
        mask = (inside.mask | self._watched.get(owner, 0) | beyond.names) & ~self._usable.met.get(owner, 0)
        past = inside.completed()
        self._keep(Label(vertex, inside, past, sums, mask=mask, labels=possible, swap=swap, width=inside.width))

    def _finish(self, inside: Label, labels: int) -> None:
        """A whole path: every limit is judged on exact values."""
        s = inside.sums
        mask = inside.mask | (self._usable.closing(inside.vertex) or 0)
        if mask & (self._watched.get(-1 - inside.vertex, 0) | self._usable.must):
            return
        sums, past = (s[0], s[1], s[2], s[3], s[4] + 1, s[5]), inside.completed()
        done = Label(inside.vertex, inside, past, sums, mask=mask, labels=labels, swap=True, width=inside.width)
        if self._broken(done):
            return
        done.goal = True
        self._arrive(done)

    def _arrive(self, done: Label) -> None:
        """A path that breaks no limit is the best so far, or none; one that enters an operator twice waits its turn."""
        key = self._goal_key(done)
        if self._best is not None and key >= self._best[0]:
            return
        if self._entered_twice(done):
            heappush(self._heap, (*key, next(self._ticks), done))
        else:
            self._best = key, done

    def _broken(self, done: Label) -> bool:
        values = {
            Limit.LATENCY: done.sums[0],
            Limit.JITTER: done.sums[1],
            Limit.LOSS: PPB - done.past_delivered,
            Limit.HOPS: done.sums[HOPS],
            Limit.CARBON: done.sums[CARBON],
            Limit.BUDGET: done.past_micro,
        }
        least = self._ask.limit(Limit.AVAILABILITY)
        return (least is not None and done.past_available < least) or any(
            (most := self._ask.limit(name)) is not None and value > most for name, value in values.items()
        )

    def _keep(self, label: Label) -> None:
        """Put a label where it may be expanded, unless it cannot lead anywhere or another is as good."""
        vertex = label.vertex
        for place, bound, most in self._checks:
            left = most - label.sums[place]
            if left < 0 or bound.at(vertex, left) > left:
                return
        key = self._key(label)
        if key is None or (self._best is not None and key >= self._best[0]):
            return
        if self._hard or self._wide:
            label.hard = tuple(self._under_limits(label))
        front = self._fronts.setdefault(vertex, [])
        dominates = self._dominates
        for place, other in enumerate(front, 1):
            if dominates(other, label):
                self._usable.effort += place
                return
        self._usable.effort += 2 * len(front)
        kept = []
        for other in front:
            if dominates(label, other):
                other.dead = True
            else:
                kept.append(other)
        kept.append(label)
        front[:] = kept
        heappush(self._heap, (*key, next(self._ticks), label))

    def _under_limits(self, label: Label) -> Iterator[int]:
        for name in self._hard:
            if name == Limit.LOSS:
                yield -label.past_delivered
                yield -label.delivered
            elif name == Limit.AVAILABILITY:
                yield -label.past_available
                yield -label.available
            else:
                yield label.sums[PLACE_OF[name]]
        if self._wide:
            yield -label.width

    def _key(self, label: Label) -> Key | None:
        """The least a path through this label can come to, or None when there is none within the budget."""
        aim, price = self._ask.aim, label.price_least()
        if self._price is not None:
            need = NEVER if self._budget is None else self._budget - price
            if self._budget is not None and need < 0:
                return None
            if aim == PRICE and self._reach:
                need = min(need, max(0, self._reach - price))
            price += self._price.at(label.vertex, need)
            if price >= NEVER or (self._budget is not None and price > self._budget):
                return None
            if not self._reach:
                self._reach = price + price // REACH_SHARE
        if aim == PRICE:
            return price, label.sums[LATENCY]
        if aim == ADDITIONS:
            return (label.mask & self._sure).bit_count(), price
        if self._wide:
            return -label.width, 0
        assert self._aimed is not None, "every other aim is a sum"
        ahead = self._aimed.at(label.vertex)
        if ahead >= NEVER:
            return None
        if aim == SCORE:
            return NANO * label.price_least() + worth(label.sums, self._ask.query.weighing) + ahead, price
        return label.sums[PLACE_OF[Limit(aim)]] + ahead, price if aim in PRICED else 0

    def _sharpened(self, label: Label, key: Key) -> bool:
        """Whether a label went back into the heap because a bound that had stopped early now says more."""
        if self._ask.aim != PRICE or key[0] <= self._reach:
            return False
        self._reach = key[0] + key[0] // REACH_SHARE
        again = self._key(label)
        if again is None or again > key:
            if again is not None:
                heappush(self._heap, (*again, next(self._ticks), label))
            return True
        return False

    def _goal_key(self, done: Label) -> Key:
        aim = self._ask.aim
        if aim in AIMS:
            return path_figures(self._ask, done)
        if aim == ADDITIONS:
            return (done.mask & self._names).bit_count(), done.past_micro
        if self._wide:
            return -done.width, 0
        if aim in SHARES:
            return shrinkage_max(done.past_delivered if aim == Limit.LOSS else done.past_available), 0
        return done.sums[PLACE_OF[Limit(aim)]], 0

    def _first_watched(self) -> dict[int, int]:
        """Bits of operators (by number) that are watched from the start: those a fixed beginning enters.

        So a vertex belongs to the fixed beginning or to what follows, and labels there can be compared as they are.
        A UNI that is a source and a target is watched too (as -1 - vertex): no segment ends where it begins.
        """
        prefix = self._fixed.prefix
        next_ = self._usable.beyond(prefix[-1]) if prefix else None
        entered = (*prefix, next_.vertex) if next_ is not None else prefix
        owners = dict.fromkeys(self._graph.owner[vertex] for vertex in entered)
        both = [-1 - vertex for vertex in self._usable.sources if vertex in self._usable.targets]
        first = self._usable.bits
        return {item: 1 << (first + place) for place, item in enumerate([*owners, *both])}

    def _entered_twice(self, label: Label | None) -> tuple[int, ...]:
        """Operators that a path enters more than once."""
        entered = [self._graph.owner[step.vertex] for step in steps(label) if step.meter is None and not step.goal]
        return tuple(sorted({owner for owner in entered if entered.count(owner) > 1}))


def steps(label: Label | None) -> Iterator[Label]:
    """The labels of a path, last first."""
    while label is not None:
        yield label
        label = label.parent


def path_figures(ask: Ask, done: Label) -> Key:
    """By what whole paths are compared under an objective's aim."""
    return figures(ask.aim, done.past_micro, done.sums[LATENCY], done.sums[CARBON], ask.query.weighing)


def limit_most(ask: Ask, name: Limit) -> int | None:
    """The most that a sum may come to under a limit; None without one."""
    limit = ask.limit(name)
    if limit is None:
        return None
    if name == Limit.LOSS:
        return shrinkage_max(PPB - limit)
    return shrinkage_max(limit) if name == Limit.AVAILABILITY else limit

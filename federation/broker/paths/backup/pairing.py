"""The best pair of paths that share no item: branch and bound over what each of the two may not use.

A node says what the primary and what the backup must avoid; the two optima under that, solved apart, add up to what no
pair of the node can be better than. Where they share an item, every pair of the node avoids it in one of its two paths,
so two nodes take its place. The first node whose two paths share nothing, least sum first, is the best pair of all.

The item to branch on is the one whose better child is the worst: its two children are solved before it is chosen, but
not for an item that some path found already shows to be no better than another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Final, NamedTuple

from federation.broker.paths.backup.items import Bars, Item, Items
from federation.broker.paths.backup.side import NOTHING, Key, Side, Way
from federation.broker.paths.work import Work

ENDLESS: Final[Key] = (1 << 200, 0)


class Node(NamedTuple):
    """What either path avoids, and the least that a pair may come to then."""

    bound: Key
    tick: int
    primary: Bars
    backup: Bars


class Pair(NamedTuple):
    """Two paths that share nothing, and their sum."""

    key: Key
    primary: Way
    backup: Way


class Pairing:
    """One search. Both sides are the same object where both paths have the same limits.

    After `run`, `best` is the pair or None, `proven` says that it is the best (or that there is none), and no pair
    comes to less than `bound`, in units of the aim. `nodes` counts those that were looked at.
    """

    def __init__(self, primary: Side, backup: Side, items: Items, work: Work) -> None:
        self._primary, self._backup, self._items, self._work = primary, backup, items, work
        self._heap: list[Node] = []
        self._seen: set[object] = set()
        self._ticks = count()
        self._paired = [0, 0]  # how many ways of each side have been held against those of the other
        self.best: Pair | None = None
        self.proven, self.bound, self.nodes = False, 0, 0

    def run(self) -> None:
        """Search until the best pair is proven or the work has run out."""
        self._add(NOTHING, NOTHING)
        if not self._spent:
            self._greedy()
        while self._heap and not self._spent:
            node = self._heap[0]
            if node.bound >= self._most:
                break
            self.nodes += 1
            children = self._children(node)
            if not self._spent:
                heappop(self._heap)
                for child in children:
                    heappush(self._heap, child)
        self.proven = not self._spent
        self.bound = self._bound()

    @property
    def _spent(self) -> bool:
        return self._primary.spent or self._backup.spent

    @property
    def _most(self) -> Key:
        """What the best pair so far comes to."""
        return ENDLESS if self.best is None else self.best.key

    def _bound(self) -> int:
        if not self._spent:
            return 0 if self.best is None else self.best.key[0]
        if self._heap:
            return min(self._heap[0].bound, self._most)[0]
        known = [side.best(NOTHING, Work(0)) for side in (self._primary, self._backup)]
        sides = zip((self._primary, self._backup), known, strict=True)
        return sum(side.least if way is None else way.key[0] for side, way in sides)

    def _add(self, primary: Bars, backup: Bars) -> None:
        node = self._node(primary, backup)
        if node is not None:
            heappush(self._heap, node)

    def _node(self, primary: Bars, backup: Bars) -> Node | None:
        """A node, solved; None where it holds no pair, or none better than the best so far."""
        first = self._primary.best(primary, self._work)
        second = None if first is None else self._backup.best(backup, self._work)
        self._match()
        if first is None or second is None:
            return None
        bound = added(first.key, second.key)
        return None if bound >= self._most else Node(bound, next(self._ticks), primary, backup)

    def _greedy(self) -> None:
        """A pair to begin with: the best backup for the best primary."""
        first = self._primary.best(NOTHING, self._work)
        if first is not None:
            bars = frozenset[Item]().union(*(self._items.ways(item)[-1] for item in first.used.items))
            self._backup.best(bars, self._work)
            self._match()

    def _match(self) -> None:
        """Hold paths found since the last time against all of the other side: some pair may be the best so far."""
        ours, theirs = self._primary.ways, self._backup.ways
        seen_ours, seen_theirs = self._paired
        self._paired = [len(ours), len(theirs)]
        fresh = [(way, other) for way in ours[seen_ours:] for other in theirs]
        fresh += [(way, other) for way in ours[:seen_ours] for other in theirs[seen_theirs:]]
        for way, other in fresh:
            key = added(way.key, other.key)
            if key < self._most and apart(way, other):
                self.best = Pair(key, way, other)

    def _children(self, node: Node) -> list[Node]:
        """The nodes that take a node's place: for the shared item that raises the bound most."""
        first, second = self._primary.best(node.primary, self._work), self._backup.best(node.backup, self._work)
        assert first is not None, "a node is solved when it is made"
        assert second is not None, "a node is solved when it is made"
        shared = set(second.used.items)
        best, children = node.bound, list[Node]()
        for item in [item for item in first.used.items if item in shared]:
            if children and self._no_better(node, item, (first.key, second.key), best):
                continue
            found = [child for child in self._split(node, item) if child is not None]
            least = min((child.bound for child in found), default=ENDLESS)
            if not children or least > best:
                best, children = least, found
            if not found or self._spent:
                break
        return [child for child in children if self._fresh(child)]

    def _split(self, node: Node, item: Item) -> Iterator[Node | None]:
        """One node per way in which one of the two paths can avoid an item."""
        same = self._primary is self._backup and node.primary == node.backup
        for bars in self._items.ways(item):
            yield self._node(node.primary | bars, node.backup)
            if not same:
                yield self._node(node.primary, node.backup | bars)

    def _no_better(self, node: Node, item: Item, keys: tuple[Key, Key], best: Key) -> bool:
        """Whether some path known shows that branching on an item raises the bound to `best` at most."""
        for bars in self._items.ways(item):
            primary, backup = self._primary.most(node.primary | bars), self._backup.most(node.backup | bars)
            if primary is not None and added(primary, keys[1]) <= best:
                return True
            if backup is not None and added(keys[0], backup) <= best:
                return True
        return False

    def _fresh(self, node: Node) -> bool:
        """Whether a node stands for the first time; the two paths may change places where they have the same limits."""
        both: object = node.primary, node.backup
        if self._primary is self._backup:
            both = frozenset((node.primary, node.backup))
        if both in self._seen:
            return False
        self._seen.add(both)
        return True


def apart(way: Way, other: Way) -> bool:
    """Whether two paths share no item."""
    return set(way.used.items).isdisjoint(other.used.items)


def added(one: Key, other: Key) -> Key:
    """Figures of two paths together."""
    return one[0] + other[0], one[1] + other[1]

"""A label of the search: one way to get from a source to a vertex, and when it makes another one superfluous.

A label dominates another at the same vertex if whatever follows, the path through it is at least as good and allowed
wherever the other is. What is rounded when a segment is complete (price, loss, availability) is kept apart for the
segments behind and the one under way: both parts must be no worse, except for price, where the two may be weighed
against each other with the largest rounding error set aside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from federation.broker.paths.meter import Meter
from federation.broker.paths.network import Arc
from federation.broker.paths.query import ADDITIONS, NANO, PRICE, SCORE, Limit, Weighing
from federation.broker.paths.usable import ALL_TIME_BPS, ANY_LABEL, Stretch
from schemas.segment import PPB

LATENCY, JITTER, LOST, DOWN, HOPS, CARBON = range(6)
PLACE_OF: Final = {
    Limit.LATENCY: LATENCY,
    Limit.JITTER: JITTER,
    Limit.LOSS: LOST,
    Limit.AVAILABILITY: DOWN,
    Limit.HOPS: HOPS,
    Limit.CARBON: CARBON,
}
WORSE, LEVEL, BETTER = 0, 1, 2
Judge = Callable[["Label", "Label"], bool]
Sums = tuple[int, int, int, int, int, int]
NO_SUMS: Final[Sums] = (0, 0, 0, 0, 0, 0)


class Label:
    """Where a path has got to.

    `past_micro`, `past_delivered`, `past_available` are of complete segments, exact and rounded; `hourly_micro`,
    `gbps_hourly_micro`, `weight`, `value`, `delivered`, `available` of the one under way. `sums` are latency,
    jitter, -ln delivered, -ln available, complete segments and carbon. `mask` has a bit for every name that must be
    allowed, for every operator required that is still to come, and for every watched one entered. `labels` are those
    possible where this segment began, `swap` whether that interface can swap. `hard` are the resources under a limit,
    less is better.
    """

    __slots__ = (
        "available",
        "dead",
        "delivered",
        "gbps_hourly_micro",
        "goal",
        "hard",
        "hourly_micro",
        "labels",
        "mask",
        "meter",
        "parent",
        "past_available",
        "past_delivered",
        "past_micro",
        "stretch",
        "sums",
        "swap",
        "value",
        "vertex",
        "weight",
        "width",
    )

    def __init__(
        self,
        vertex: int,
        parent: Label | None,
        past: tuple[int, int, int],
        sums: Sums,
        *,
        mask: int,
        labels: int,
        swap: bool,
        width: int,
    ) -> None:
        """A label at an interface, before its next segment begins."""
        self.vertex, self.parent = vertex, parent
        self.past_micro, self.past_delivered, self.past_available = past
        self.sums, self.mask, self.labels, self.swap, self.width = sums, mask, labels, swap, width
        self.stretch: Stretch | None = None
        self.meter: Meter | None = None
        self.hourly_micro = self.gbps_hourly_micro = self.weight = self.value = 0
        self.delivered = self.available = PPB
        self.hard: tuple[int, ...] = ()
        self.dead = self.goal = False

    def along(self, stretch: Stretch, to: int) -> Label:
        """The label one stretch further, within the same segment."""
        ahead = Label.__new__(Label)
        arc, meter, sums = stretch.arc, stretch.meter, self.sums
        ahead.vertex, ahead.parent, ahead.stretch, ahead.meter = to, self, stretch, meter
        ahead.past_micro = self.past_micro
        ahead.past_delivered, ahead.past_available = self.past_delivered, self.past_available
        ahead.hourly_micro = self.hourly_micro + arc.hourly_micro
        ahead.gbps_hourly_micro = self.gbps_hourly_micro + arc.gbps_hourly_micro
        ahead.weight = self.weight + stretch.weight
        ahead.value = meter.value(ahead.weight)
        ahead.delivered = self.delivered * arc.delivered_ppb // PPB
        ahead.available = self.available * arc.available_ppb // PPB
        ahead.sums = (
            sums[0] + stretch.latency_us,
            sums[1] + stretch.jitter_us,
            sums[2] + stretch.lost,
            sums[3] + stretch.down,
            sums[4],
            sums[5] + stretch.carbon_mg_gb,
        )
        ahead.mask, ahead.labels, ahead.swap = self.mask | meter.names, self.labels, self.swap
        ahead.width = min(self.width, stretch.width)
        ahead.hard = ()
        ahead.dead = ahead.goal = False
        return ahead

    def completed(self) -> tuple[int, int, int]:
        """Price, delivered and available of all segments, the present one as complete: exact."""
        assert self.meter is not None, "a segment has at least one stretch"
        return (
            self.past_micro + self.meter.price(self.hourly_micro, self.gbps_hourly_micro),
            self.past_delivered * self.delivered // PPB,
            self.past_available * self.available // PPB,
        )

    def price_least(self) -> int:
        """What the path has cost so far at least, the present segment's set-up included."""
        meter = self.meter
        if meter is None:
            return self.past_micro
        return self.past_micro + meter.base + (max(meter.least, self.value) if meter.flat else self.value)


class Leg(NamedTuple):
    """A segment as the search knows it: vertices where it enters and leaves, and the arcs that it runs over."""

    entry: int
    exit: int
    meter: Meter
    arcs: tuple[Arc, ...]


class Behind(Label):
    """A label behind a whole segment, whose steps are not told one by one; its parent stands where that began."""

    __slots__ = ("leg",)

    def __init__(
        self, vertex: int, parent: Label, past: tuple[int, int, int], sums: Sums, *, labels: int, swap: bool, leg: Leg
    ) -> None:
        super().__init__(vertex, parent, past, sums, mask=0, labels=labels, swap=swap, width=ALL_TIME_BPS)
        self.leg = leg


def cheaper(a: Label, b: Label) -> int:
    """Whether `a` will cost less than `b`, whatever equal things follow: BETTER, LEVEL (no more) or WORSE (unknown)."""
    no_more = a.hourly_micro <= b.hourly_micro and a.gbps_hourly_micro <= b.gbps_hourly_micro
    if no_more and a.past_micro <= b.past_micro:
        return BETTER if a.past_micro < b.past_micro else LEVEL
    dearer = dearer_below(a, b)
    return BETTER if dearer is not None and dearer <= 0 else WORSE


def dearer_below(a: Label, b: Label) -> int | None:
    """`a` will cost less than this beyond what `b` costs, whatever equal things follow; None between segments.

    With usage u and minimum m, what a segment costs grows as max(m, u + x) with the usage x still to come. The gap
    between two such curves is widest at x = 0 when `a` has the smaller usage, and without end when it has the larger.
    """
    meter = a.meter
    if meter is None:
        return None
    ours, theirs = a.value, b.value
    if a.weight <= b.weight:
        ours, theirs = max(meter.least, ours), max(meter.least, theirs)
    return a.past_micro + ours + meter.slack - b.past_micro - theirs


def dominance(aim: str, budget: bool, weighing: Weighing) -> Callable[[Label, Label], bool]:
    """The order in which one label makes another superfluous, for an aim and with or without a budget."""
    judged: Judge = _never_dearer if budget else _any_price
    if aim == PRICE:
        judged = _by_price
    elif aim == ADDITIONS:
        judged = _never_dearer
    elif aim == SCORE:
        judged = _within(_by_score(weighing)) if budget else _by_score(weighing)
    elif aim in (Limit.LATENCY, Limit.CARBON):
        place = PLACE_OF[Limit(aim)]
        judged = _by_sum_within(place) if budget else _by_sum(place)

    def dominates(a: Label, b: Label) -> bool:
        if a.mask & ~b.mask or (b.swap and not a.swap):
            return False
        if a.labels != ANY_LABEL and a.labels | b.labels != a.labels:
            return False
        for ours, theirs in zip(a.hard, b.hard, strict=True):
            if ours > theirs:
                return False
        return judged(a, b)

    return dominates


def _by_price(a: Label, b: Label) -> bool:
    found = cheaper(a, b)
    return found == BETTER or (found == LEVEL and a.sums[LATENCY] <= b.sums[LATENCY])


def _by_sum(place: int) -> Judge:
    def judged(a: Label, b: Label) -> bool:
        if a.sums[place] != b.sums[place]:
            return a.sums[place] < b.sums[place]
        return cheaper(a, b) != WORSE

    return judged


def _by_sum_within(place: int) -> Judge:
    return lambda a, b: a.sums[place] <= b.sums[place] and cheaper(a, b) != WORSE


def _by_score(weighing: Weighing) -> Judge:
    """Less of price, latency and carbon together, or as much at no higher price.

    The gap in worth stays as it is, whatever follows; the gap in price is bounded from above as in `cheaper`.
    """

    def judged(a: Label, b: Label) -> bool:
        more = worth(a.sums, weighing) - worth(b.sums, weighing)
        if a.hourly_micro <= b.hourly_micro and a.gbps_hourly_micro <= b.gbps_hourly_micro:
            gap = NANO * (a.past_micro - b.past_micro) + more
            if gap < 0 or (gap == 0 and more >= 0):
                return True
        dearer = dearer_below(a, b)
        return dearer is not None and NANO * dearer + more <= 0

    return judged


def _within(judge: Judge) -> Judge:
    return lambda a, b: cheaper(a, b) != WORSE and judge(a, b)


def worth(sums: Sums, weighing: Weighing) -> int:
    """What latency and carbon so far are worth, in billionths of the currency unit."""
    return weighing.nano_per_us * sums[LATENCY] + weighing.nano_per_mg_gb * sums[CARBON]


def _never_dearer(a: Label, b: Label) -> bool:
    return cheaper(a, b) != WORSE


def _any_price(a: Label, b: Label) -> bool:
    return True

"""Capacity and labels are calendars, not numbers: what is free depends on when.

Times are whole Unix seconds and windows are half-open, so a claim that ends when another starts never meets
it. Nothing here is ever oversold: `Calendar.admit` looks at the peak of everything that overlaps the window
(design section 8, promise 2). Stored claims are put back with `restore`, which trusts them, in any order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from itertools import compress
from operator import ne
from typing import NamedTuple

Steps = tuple[tuple[int, int], ...]


class StepLevel:
    """A level over time that changes in steps; zero before the first and after the last change."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._levels: list[int] = []  # _levels[i] holds from _times[i] until _times[i + 1]
        self._floor_s: int | None = None

    def add(self, start_s: int, end_s: int, delta: int) -> None:
        """Raise (or lower) the level by `delta` in [start_s, end_s); what is forgotten stays so."""
        start_s = self._clip(start_s)
        if start_s >= end_s or not delta:
            return
        first, last = self._cut(start_s), self._cut(end_s)
        for index in range(first, last):
            self._levels[index] += delta
        self._join(last)
        self._join(first)

    def peak(self, start_s: int, end_s: int) -> int:
        """The highest level in [start_s, end_s), which must not be empty."""
        start_s = self._clip(start_s)
        first = bisect_right(self._times, start_s)
        inside = self._levels[first : bisect_left(self._times, end_s)]
        return max(self._before(first), max(inside, default=0))

    def steps(self, from_s: int, to_s: int) -> tuple[list[int], list[int]]:
        """`from_s` and every second after it at which the level changes, before `to_s`, and the levels from then on."""
        first = bisect_right(self._times, from_s)
        last = max(first, bisect_left(self._times, to_s))
        return [from_s, *self._times[first:last]], [self._before(first), *self._levels[first:last]]

    def forget_before(self, now_s: int) -> None:
        """Drop every change up to `now_s`; the level at `now_s` stays."""
        first = bisect_right(self._times, now_s)
        level = self._before(first)
        self._times[:first], self._levels[:first] = ([now_s], [level]) if level else ([], [])
        self._floor_s = self._clip(now_s)

    def __len__(self) -> int:
        return len(self._times)

    def _clip(self, at_s: int) -> int:
        return at_s if self._floor_s is None else max(at_s, self._floor_s)

    def _before(self, index: int) -> int:
        return self._levels[index - 1] if index else 0

    def _cut(self, at_s: int) -> int:
        """Index of the step that starts at `at_s`, made if there was none."""
        index = bisect_left(self._times, at_s)
        if index == len(self._times) or self._times[index] != at_s:
            self._levels.insert(index, self._before(index))
            self._times.insert(index, at_s)
        return index

    def _join(self, index: int) -> None:
        """Drop a step that changes nothing any more."""
        if index < len(self._times) and self._levels[index] == self._before(index):
            del self._times[index], self._levels[index]


class Refusal(NamedTuple):
    """Why a claim was not admitted: the first resource with too little, and what is free there (bit/s)."""

    resource: str
    free: int


class Use(NamedTuple):
    """What one claim takes: bit/s by resource id, in [start_s, end_s)."""

    bps: Mapping[str, int]
    start_s: int
    end_s: int


class Calendar:
    """Use of every resource (internal link or interface) over time, claim by claim."""

    def __init__(self, capacity_bps: Mapping[str, int]) -> None:
        self._capacity = dict(capacity_bps)
        self._levels = {resource: StepLevel() for resource in self._capacity}
        self._claims: dict[str, Use] = {}

    def admit(self, claim_id: str, bps: Mapping[str, int], start_s: int, end_s: int) -> Refusal | None:
        """Take `bps` on every resource for the whole window, or nothing and say where it does not fit."""
        assert claim_id not in self._claims, f"claim {claim_id} is already admitted"
        use = _checked(Use(dict(bps), start_s, end_s))
        refusal = self._refusal(use)
        if refusal is None:
            self._put(claim_id, use)
        return refusal

    def withdraw(self, claim_id: str) -> None:
        """Give back what a claim took; a claim that is not there has nothing to give back."""
        use = self._claims.pop(claim_id, None)
        if use is not None:
            for resource, bps in use.bps.items():
                self._levels[resource].add(use.start_s, use.end_s, -bps)

    def restore(self, claim_id: str, bps: Mapping[str, int], start_s: int, end_s: int) -> None:
        """Put back a claim that was admitted before a restart, even where the capacity has shrunk since.

        A resource that no longer exists is kept with no capacity, so that nothing more is sold on it.
        """
        assert claim_id not in self._claims, f"claim {claim_id} is already admitted"
        for resource in bps:
            self._capacity.setdefault(resource, 0)
            self._levels.setdefault(resource, StepLevel())
        self._put(claim_id, _checked(Use(dict(bps), start_s, end_s)))

    def free(self, resource: str, start_s: int, end_s: int) -> int:
        """Least capacity (bit/s) left on a resource in [start_s, end_s)."""
        return max(0, self._capacity[resource] - self._levels[resource].peak(start_s, end_s))

    def free_steps(self, resource: str, from_s: int, to_s: int, granularity_bps: int = 1) -> Steps:
        """Capacity left on a resource from `from_s` until `to_s`, rounded down: (second, bit/s), each till the next."""
        capacity, (times, levels) = self._capacity[resource], self._levels[resource].steps(from_s, to_s)
        free = [(capacity - level) // granularity_bps * granularity_bps for level in levels]
        if min(free) < 0:
            free = [max(0, bps) for bps in free]
        return tuple(compress(zip(times, free, strict=True), map(ne, free, (None, *free))))

    def forget_before(self, now_s: int) -> None:
        """Drop the past; claims stay until they are withdrawn, because their owners still name them."""
        for level in self._levels.values():
            level.forget_before(now_s)

    def __contains__(self, claim_id: str) -> bool:
        return claim_id in self._claims

    def _refusal(self, use: Use) -> Refusal | None:
        for resource, bps in use.bps.items():
            free = self.free(resource, use.start_s, use.end_s)
            if free < bps:
                return Refusal(resource, free)
        return None

    def _put(self, claim_id: str, use: Use) -> None:
        self._claims[claim_id] = use
        for resource, bps in use.bps.items():
            self._levels[resource].add(use.start_s, use.end_s, bps)


def _checked(use: Use) -> Use:
    assert use.start_s < use.end_s, "a claim has a start before its end"
    assert all(bps > 0 for bps in use.bps.values()), "a claim takes a positive bandwidth"
    return use


class Taking(NamedTuple):
    """One claim on one label of one interface, in [start_s, end_s)."""

    start_s: int
    end_s: int
    claim_id: str
    interface: str
    label: int


class LabelCalendar:
    """Which label of which interface is taken when; no label is ever shared."""

    def __init__(self, labels: Mapping[str, int]) -> None:
        self._interfaces = {interface: _Labels(mask) for interface, mask in labels.items()}
        self._claims: dict[str, list[Taking]] = {}

    def take(self, claim_id: str, interface: str, label: int, start_s: int, end_s: int) -> bool:
        """Take a label for the whole window; False when it is taken in any part of it, or does not exist."""
        assert start_s < end_s, "a label is taken from a start until a later end"
        labels = self._interfaces[interface]
        exists = bool(labels.allowed >> label & 1)
        free = exists and labels.is_free(label, start_s, end_s)
        if free:
            self.restore(claim_id, interface, label, start_s, end_s)
        return free

    def restore(self, claim_id: str, interface: str, label: int, start_s: int, end_s: int) -> None:
        """Put back a label taken before a restart, whatever the footprint says of it now."""
        taking = Taking(start_s, end_s, claim_id, interface, label)
        self._interfaces.setdefault(interface, _Labels(0)).add(taking)
        self._claims.setdefault(claim_id, []).append(taking)

    def release(self, claim_id: str) -> None:
        """Give back every label of a claim; a claim that is not there has none."""
        for taking in self._claims.pop(claim_id, ()):
            self._interfaces[taking.interface].remove(taking)

    def free_labels(self, interface: str, start_s: int, end_s: int) -> int:
        """Mask of the labels of an interface that nobody has at any second of [start_s, end_s)."""
        return self._interfaces[interface].free(start_s, end_s)


class _Labels:
    """The labels of one interface: those that it is `allowed`, and who has which when.

    Takings are sorted by their ends and by their starts too: nearly all of them meet any window that is asked about,
    so what is free is everything that is not taken, and those few that lie before or after the window.
    """

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._mask = 0  # of all that are taken at any time
        self._taken: dict[int, list[Taking]] = {}
        self._ends: list[tuple[int, int]] = []
        self._starts: list[tuple[int, int]] = []

    def add(self, taking: Taking) -> None:
        self._taken.setdefault(taking.label, []).append(taking)
        self._mask |= 1 << taking.label
        insort(self._ends, (taking.end_s, taking.label))
        insort(self._starts, (taking.start_s, taking.label))

    def remove(self, taking: Taking) -> None:
        del self._ends[bisect_left(self._ends, (taking.end_s, taking.label))]
        del self._starts[bisect_left(self._starts, (taking.start_s, taking.label))]
        others = self._taken[taking.label]
        others.remove(taking)
        if not others:
            del self._taken[taking.label]
            self._mask &= ~(1 << taking.label)

    def free(self, start_s: int, end_s: int) -> int:
        mask = self.allowed & ~self._mask
        before, after = bisect_left(self._ends, (start_s + 1,)), bisect_left(self._starts, (end_s,))
        for label in {label for _, label in (*self._ends[:before], *self._starts[after:])}:
            if self.is_free(label, start_s, end_s):
                mask |= self.allowed & 1 << label
        return mask

    def is_free(self, label: int, start_s: int, end_s: int) -> bool:
        takings = self._taken.get(label, ())
        return not any(taking.start_s < end_s and start_s < taking.end_s for taking in takings)

"""How much one caller may ask, over time and at once (pure: time is an argument, memory is bounded).

Over time each has a bucket. One that is full again remembers nothing, so it is forgotten. While more callers than fit
are active, those that come last share one bucket: whoever invents names gains no more than one caller's share.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from schemas.problem import Outcome, Problem

CALLERS_MAX: Final = 4096
SECOND_US: Final = 1_000_000
REST: Final = ""  # the bucket of callers that do not fit; no entity has this id


class Rate(NamedTuple):
    """`per_second` requests in the long run, `burst` at once."""

    per_second: int
    burst: int


_Bucket = tuple[int, int]  # micro-requests left, at a Unix microsecond


class Buckets:
    """The buckets of all callers, all at one rate."""

    def __init__(self, rate: Rate, *, callers_max: int = CALLERS_MAX) -> None:
        assert rate.per_second > 0, "nobody could ever ask"
        assert rate.burst > 0, "nobody could ever ask"
        self._rate, self._callers_max = rate, callers_max
        self._full = rate.burst * SECOND_US
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str, now_us: int) -> int:
        """Take one request of `caller`: 0 where it may go on, else for how many seconds it must wait, at least 1."""
        self._forget(now_us)
        name = self._name(caller)
        left, at_us = self._level(name, now_us)
        wait_s = self._wait_s(left)
        self._buckets[name] = (left if wait_s else left - SECOND_US), at_us
        self._buckets.move_to_end(name)
        return wait_s

    def look(self, caller: str, now_us: int) -> int:
        """What `take` would answer now; nothing is taken."""
        return self._wait_s(self._level(self._name(caller), now_us)[0])

    def __len__(self) -> int:
        return len(self._buckets)

    def _name(self, caller: str) -> str:
        fits = caller in self._buckets or len(self._buckets) < self._callers_max
        return caller if fits else REST

    def _wait_s(self, left: int) -> int:
        return 0 if left >= SECOND_US else -(-(SECOND_US - left) // (self._rate.per_second * SECOND_US))

    def _level(self, name: str, now_us: int) -> _Bucket:
        """The bucket as it is now. A clock that goes back, and forward again, gives nothing."""
        left, at_us = self._buckets.get(name) or (self._full, now_us)
        if now_us <= at_us:
            return left, at_us
        return min(self._full, left + (now_us - at_us) * self._rate.per_second), now_us

    def _forget(self, now_us: int) -> None:
        """Those asked longest ago come first; each call forgets at most two, so that none is slow."""
        for _ in range(2):
            oldest = next(iter(self._buckets), None)
            if oldest is None or self._level(oldest, now_us)[0] < self._full:
                return
            del self._buckets[oldest]


class AtOnce:
    """How many of something each caller has under way, so that one of them leaves room for the others."""

    def __init__(self, most: int, what: str) -> None:
        """`what` is their name in the plural."""
        self._most, self._what = most, what
        self._under_way = Counter[str]()

    @contextmanager
    def one(self, caller: str, *, at_any_rate: bool = False) -> Iterator[None]:
        """One more while the block lasts. Raises `TOO_MANY_REQUESTS`, with nothing done.

        What ends something is let in `at_any_rate`, and leaves less room for what begins.
        """
        if not at_any_rate and self._under_way[caller] >= self._most:
            why = f"{self._most} {self._what} of yours are under way, no more at a time; ask again when one is answered"
            raise Problem("TOO_MANY_REQUESTS", why, outcome=Outcome.NONE, retry_after_s=1)
        self._under_way[caller] += 1
        try:
            yield
        finally:
            self._under_way[caller] -= 1
            if not self._under_way[caller]:
                del self._under_way[caller]

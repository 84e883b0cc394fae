"""Promises along a route, exact until the end.

`Promise.then` rounds at every step against the seller. Here the products stay whole numbers and are rounded once,
so what is promised for a segment is never worse than its published parts put together in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas.segment import PPB, Promise


class Along(NamedTuple):
    """Sums and products so far: `delivered` and `available` are over PPB to the power of `parts`."""

    latency_us: int = 0
    jitter_us: int = 0
    carbon_mg_gb: int = 0
    delivered: int = 1
    available: int = 1
    parts: int = 0

    def then(self, part: Promise) -> Along:
        """The route with one more part."""
        return Along(
            self.latency_us + part.latency_us,
            self.jitter_us + part.jitter_us,
            self.carbon_mg_gb + part.carbon_mg_gb,
            self.delivered * (PPB - part.loss_ppb),
            self.available * part.availability_ppb,
            self.parts + 1,
        )

    def promise(self) -> Promise:
        """The promise of the whole route: loss rounded up, availability down."""
        if not self.parts:
            return Promise()
        scale = PPB ** (self.parts - 1)
        return Promise(
            self.latency_us,
            self.jitter_us,
            PPB - self.delivered // scale,
            self.available // scale,
            self.carbon_mg_gb,
        )


def along(parts: Iterable[Promise]) -> Promise:
    """The promise of parts in a row."""
    total = Along()
    for part in parts:
        total = total.then(part)
    return total.promise()

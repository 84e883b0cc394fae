"""Distances in latency from a few landmarks: what is least between two vertices, whatever a question admits.

By the triangle inequality, the distance between two vertices is no less than the difference of theirs to a landmark.
Distances are over all offers and interconnects, in both directions alike; rules, capacity and prices only leave less
to use. So they are good for every question, until a latency falls or something new is joined.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from federation.broker.paths.kernel.arrays import CROSS, CROSS_US, HEAD, LATENCY_US, Arrays, Net
from federation.broker.paths.kernel.heaps import lift, sink

LANDMARKS: Final = 16
FARTHEST_US: Final = 1 << 29  # a distance from here on counts as this much, which keeps differences below the truth

Measure = Callable[..., None]


def measure(ptr: Any, hot: Any, vertices: Any, start: int, far: Any, keys: Any, places: Any) -> None:
    """Latency from a vertex to every other one into `far`, `FARTHEST_US` where that is far or there is no way."""
    far[:] = FARTHEST_US
    far[start], keys[0], places[0] = 0, 0, start
    many = 1
    while many > 0:
        total, here = keys[0], places[0]
        many -= 1
        sink(keys, places, many)
        if total != far[here]:
            continue
        there = vertices[here, CROSS]
        if there >= 0 and total + vertices[here, CROSS_US] < far[there]:
            far[there] = total + vertices[here, CROSS_US]
            lift(keys, places, many, far[there], there)
            many += 1
        for slot in range(ptr[here], ptr[here + 1]):
            to, reached = hot[slot, HEAD], total + hot[slot, LATENCY_US]
            if reached < far[to]:
                far[to] = reached
                lift(keys, places, many, reached, to)
                many += 1


def with_marks(arrays: Arrays, run: Measure, before: Arrays | None) -> Net:
    """The arrays with distances, taken over from `before` where none has fallen since; landmarks lie far apart."""
    net = arrays.net
    if before is not None and before.net.marks.shape[1] and _no_nearer(net, before.net):
        return net._replace(marks=before.net.marks)
    size, slots = arrays.graph.size, len(net.hot)
    keys, places = np.empty(size + slots + 1, np.int64), np.empty(size + slots + 1, np.int32)
    far, nearest = np.empty(size, np.int64), np.full(size, FARTHEST_US, np.int64)
    marks = np.empty((size, min(LANDMARKS, size)), np.int32)
    if not size:
        return net
    start = int(np.argmax(np.diff(net.ptr)))
    for place in range(-1, marks.shape[1]):
        run(net.ptr, net.hot, net.vertices, start, far, keys, places)
        if place >= 0:
            marks[:, place] = far
            np.minimum(nearest, far, out=nearest)
        reached = np.where(far < FARTHEST_US, far if place < 0 else nearest, -1)
        start = int(np.argmax(reached))
    return net._replace(marks=marks)


def _no_nearer(now: Net, then: Net) -> bool:
    """Whether the same vertices are joined as before, and none of them by less latency."""
    if now.hot.shape != then.hot.shape or now.vertices.shape != then.vertices.shape:
        return False
    same = np.array_equal(now.ptr, then.ptr) and np.array_equal(now.hot[:, HEAD], then.hot[:, HEAD])
    if not same or not np.array_equal(now.vertices[:, CROSS], then.vertices[:, CROSS]):
        return False
    kept = now.hot[:, LATENCY_US] >= then.hot[:, LATENCY_US]
    return bool(kept.all() and (now.vertices[:, CROSS_US] >= then.vertices[:, CROSS_US]).all())

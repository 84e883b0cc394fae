"""Heaps in arrays, as the compiled functions use them: of vertices by one key, and of labels by two."""

from __future__ import annotations

from typing import Any, Final

# Cell of `search.Work.cells`: how many labels are queued.
HEAP: Final = 2


def lift(keys: Any, places: Any, place: int, key: int, vertex: int) -> None:
    """Put a vertex into a heap of `place` others; four children to a place."""
    while place > 0:
        above = (place - 1) >> 2
        if keys[above] <= key:
            break
        keys[place] = keys[above]
        places[place] = places[above]
        place = above
    keys[place] = key
    places[place] = vertex


def sink(keys: Any, places: Any, many: int) -> None:
    """Fill the first place of a heap with its last, `many`, which is no part of it any more."""
    key, vertex = keys[many], places[many]
    place = 0
    while True:
        child = 4 * place + 1
        if child >= many:
            break
        best, least = child, keys[child]
        for other in range(child + 1, min(child + 4, many)):
            if keys[other] < least:
                best, least = other, keys[other]
        if least >= key:
            break
        keys[place] = least
        places[place] = places[best]
        place = best
    keys[place] = key
    places[place] = vertex


def queue(heap: Any, cells: Any, first: int, second: int, number: int) -> None:
    """Put a label into the heap."""
    place = cells[HEAP]
    cells[HEAP] = place + 1
    while place > 0:
        above = (place - 1) >> 1
        if heap[above, 0] < first or (heap[above, 0] == first and heap[above, 1] <= second):
            break
        heap[place, 0], heap[place, 1], heap[place, 2] = heap[above, 0], heap[above, 1], heap[above, 2]
        place = above
    heap[place, 0], heap[place, 1], heap[place, 2] = first, second, number


def unqueue(heap: Any, cells: Any) -> None:
    """Drop the first place of the heap."""
    last = cells[HEAP] - 1
    cells[HEAP] = last
    first, second, number = heap[last, 0], heap[last, 1], heap[last, 2]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and (
            heap[child + 1, 0] < heap[child, 0]
            or (heap[child + 1, 0] == heap[child, 0] and heap[child + 1, 1] < heap[child, 1])
        ):
            child += 1
        if first < heap[child, 0] or (first == heap[child, 0] and second <= heap[child, 1]):
            break
        heap[place, 0], heap[place, 1], heap[place, 2] = heap[child, 0], heap[child, 1], heap[child, 2]
        place = child
    heap[place, 0], heap[place, 1], heap[place, 2] = first, second, number

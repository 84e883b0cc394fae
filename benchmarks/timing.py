"""Times taken fairly: one process, one question after the other, every contender in turn, the first one rotating.

By default the clock is the processor time of this process, all its threads together: what else runs on the machine
does not count, and nobody gains by threads. On an idle machine it shows what the wall clock shows. The garbage
collector rests meanwhile.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from time import perf_counter, process_time
from typing import Final, NamedTuple

from benchmarks.peers.peer import Peer
from benchmarks.question import Question

CLOCKS: Final[Mapping[str, Callable[[], float]]] = {"cpu": process_time, "wall": perf_counter}


class Timed(NamedTuple):
    """Per contender, in the order of the questions: seconds (the median of the rounds) and answers."""

    seconds: Mapping[str, Sequence[float]]
    answers: Mapping[str, Sequence[int | None]]

    def median_ms(self, name: str) -> float:
        """The median over the questions, in milliseconds."""
        return median(self.seconds[name]) * 1000

    def p95_ms(self, name: str) -> float:
        """The 95th percentile over the questions (the next larger value), in milliseconds."""
        ordered = sorted(self.seconds[name])
        return ordered[min(len(ordered) - 1, -(-95 * len(ordered) // 100) - 1)] * 1000

    def max_ms(self, name: str) -> float:
        """The slowest, in milliseconds."""
        return max(self.seconds[name]) * 1000


def interleaved(
    contenders: Sequence[Peer], questions: Sequence[Question], rounds: int, clock: Callable[[], float] = process_time
) -> Timed:
    """Every contender on every question, `rounds` times. A contender that changes its mind is wrong."""
    spent: dict[str, list[list[float]]] = {c.name: [] for c in contenders}
    answers: dict[str, list[int | None]] = {c.name: [] for c in contenders}
    assert len(spent) == len(contenders), "two contenders have the same name"
    with _no_collection():
        for number, question in enumerate(questions):
            for runs in spent.values():
                runs.append([])
            for turn in range(rounds):
                for contender in _rotated(contenders, number + turn):
                    took_s, answer = _once(contender, question, clock)
                    spent[contender.name][-1].append(took_s)
                    if turn == 0:
                        answers[contender.name].append(answer)
                    assert answers[contender.name][-1] == answer, f"{contender.name} gave two answers"
    return Timed({name: [median(runs) for runs in all_] for name, all_ in spent.items()}, answers)


def _once(contender: Peer, question: Question, clock: Callable[[], float]) -> tuple[float, int | None]:
    contender.prepare(question)
    began = clock()
    answer = contender.solve(question)
    return clock() - began, answer


def _rotated(contenders: Sequence[Peer], by: int) -> Iterator[Peer]:
    start = by % len(contenders)
    yield from contenders[start:]
    yield from contenders[:start]


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()

"""Our engine as a contender beside the peers: cold or warm, with none, one or two limits."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from benchmarks.ours import Engine
from benchmarks.question import Question, query
from federation.broker.paths.query import Query
from federation.policy.limits import Refusals

LIMITS: Final = ("no limit", "one limit", "two limits")
LOOSER: Final = 20  # the question that warms up has a latency limit larger by one part in so many


class Cold:
    """Every question is the first one between its ends; what a size and set of rules admits was told before."""

    def __init__(self, engine: Engine, refused: Refusals, limits: int) -> None:
        self.name = f"{engine.name}: exact, {LIMITS[limits]}"
        self._engine, self._refused, self._limits = engine, refused, limits
        self._query: Query | None = None

    def prepare(self, question: Question) -> None:
        """Forget the bounds of the questions before."""
        self._query = query(question, self._refused, self._limits)
        self._engine.forget()

    def solve(self, question: Question) -> int | None:
        """The least price within the limits."""
        assert self._query is not None, "a question is prepared first"
        return self._engine.solve(self._query)


class Warm(Cold):
    """The engine has just answered the same question with a looser limit, so an answer kept whole is of no use."""

    def __init__(self, engine: Engine, refused: Refusals, limits: int) -> None:
        super().__init__(engine, refused, limits)
        self.name += ", warm"

    def prepare(self, question: Question) -> None:
        """Ask a looser question first."""
        super().prepare(question)
        looser = structs.replace(question, latency_us=question.latency_us + question.latency_us // LOOSER)
        self._engine.solve(query(looser, self._refused, self._limits))

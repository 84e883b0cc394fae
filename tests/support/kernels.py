"""The kernel as the tests of it want it: counting what it answers, and asked what it can answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import structs

from federation.broker.paths.kernel.engine import Engine
from federation.broker.paths.query import Query
from federation.broker.paths.usable import Usable
from federation.broker.paths.work import Fixed, Solved, Work
from schemas.intent import Objective


class Counting(Engine):
    """Counts what it answers itself, so that a test in which the solver does all the work fails."""

    answered = left = 0

    def solve(self, usable: Usable, ask: object, work: Work, fixed: Fixed) -> Solved | None:
        solved = super().solve(usable, ask, work, fixed)  # type: ignore[arg-type]
        self.answered += solved is not None
        self.left += solved is None
        return solved


@contextmanager
def mostly(engine: Counting) -> Iterator[None]:
    """Says that the engine left no more than one solve in five to the solver."""
    yield
    assert engine.answered > 4 * engine.left


def taken(query: Query) -> Query:
    """The question without what the kernel leaves to the solver."""
    objective = query.objective if query.objective is Objective.LATENCY else Objective.PRICE
    query = structs.replace(query, operators_required=frozenset())
    return structs.replace(query, objective=objective, limits=structs.replace(query.limits, carbon_mg_gb=None))

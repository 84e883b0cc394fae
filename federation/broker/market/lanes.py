"""Which question waits for which: short ones in one lane, long ones in another, and how many a buyer may have there."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from msgspec import structs

from federation.broker.market.market import Offload
from federation.broker.paths.infeasible import Infeasible
from federation.broker.paths.query import Ask, Query
from federation.broker.paths.search import Found
from federation.broker.paths.solving import Kernel
from federation.broker.paths.usable import Usable
from federation.broker.paths.work import Fixed, Solved, Work
from schemas.problem import Problem

SHORT_WORK: Final = 5_000
SEARCHES_MAX: Final = 16
LONG_MAX: Final = 2
SEARCH_WAIT_S: Final = 1
LONG_WAIT_S: Final = 5


class Lanes:
    """Two places to compute in, each of which does one thing after the other.

    Whatever may take long (fronts, pairs) goes to the `long` one. Everything else begins in the `short` one with
    `SHORT_WORK` labels, and is asked again in the other one with all of its work where these do not suffice: so nobody
    waits there for more than that, times the questions before.
    """

    def __init__(self, short: Offload, long: Offload) -> None:
        self._short, self.long = short, long

    async def plain(
        self, query: Query, answer: Callable[[Query], Found | Infeasible], *, explain: bool
    ) -> Found | Infeasible:
        """The answer to a question for single paths, with why there is none where that is wanted."""
        short = structs.replace(query, work=min(query.work, SHORT_WORK))
        found = await self._short(functools.partial(answer, short))
        enough = found.complete or (isinstance(found, Infeasible) and found.proven and not explain)
        return found if enough or short == query else await self.long(functools.partial(answer, query))


class Turns:
    """How many questions each buyer has in flight, so that one of them leaves room for the others."""

    def __init__(self) -> None:
        self._all, self._long = Counter[str](), Counter[str]()

    @contextmanager
    def one(self, buyer: str | None, *, long: bool) -> Iterator[None]:
        """One question more. Raises TOO_MANY_REQUESTS; nobody in particular has no limit."""
        if buyer is None:
            yield
            return
        taken = [(self._all, SEARCHES_MAX, SEARCH_WAIT_S, "searches")]
        if long:
            taken.append((self._long, LONG_MAX, LONG_WAIT_S, "searches for a front or a backup"))
        for under_way, most, wait_s, what in taken:
            if under_way[buyer] >= most:
                why = f"{most} {what} of yours are under way, no more at a time; ask again when one is answered"
                raise Problem("TOO_MANY_REQUESTS", why, retry_after_s=wait_s)
        for under_way, *_ in taken:
            under_way[buyer] += 1
        try:
            yield
        finally:
            for under_way, *_ in taken:
                under_way[buyer] -= 1
                if not under_way[buyer]:
                    del under_way[buyer]


class Shared:
    """A kernel that both lanes use, one solve at a time: what it keeps between solves is not for two at once."""

    def __init__(self, kernel: Kernel, turn: AbstractContextManager[object]) -> None:
        self._kernel, self._turn = kernel, turn

    def takes(self, ask: Ask) -> bool:
        """Whether an ask is of a kind that it can solve."""
        return self._kernel.takes(ask)

    def solve(self, usable: Usable, ask: Ask, work: Work, fixed: Fixed) -> Solved | None:
        """The best path; None where this ask has to be left to the solver."""
        with self._turn:
            return self._kernel.solve(usable, ask, work, fixed)

"""What was found out about the offers for a question, for the next one that differs from it in limits only.

A buyer searches, tightens a limit, asks for a quote, and goes on to other paths: places, size, time and rules stay.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from federation.broker.paths.graph import Graph
from federation.broker.paths.query import ADDITIONS, Ask, Query
from federation.broker.paths.usable import MEASURES, Usable

RECALLED_MAX: Final = 8
LIMITS: Final = frozenset({"limits", "hops", "budget_micro", "objective", "k", "work"})
_shared: Final = attrgetter(*(name for name in Query.__struct_fields__ if name not in LIMITS))


def usable_for(graph: Graph, ask: Ask) -> Usable:
    """What of a graph serves an ask, with what an equal one before has found out."""
    if ask.aim in MEASURES or ask.aim == ADDITIONS:
        return Usable(graph, ask)
    alike = (ask.waived, ask.granted, *_shared(ask.query))
    for known, judged in reversed(tuple(graph.recent)):
        if known == alike:
            return Usable(graph, ask, judged)
    usable = Usable(graph, ask)
    graph.recent.append((alike, usable.judged))
    del graph.recent[:-RECALLED_MAX]
    return usable

"""What was found out about the offers for a question, for the next one that differs from it in limits only.

A buyer searches, tightens a limit, asks for a quote, and goes on to other paths: places, size, time and rules stay.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.paths.graph import Graph
from federation.broker.paths.query import ADDITIONS, Ask
from federation.broker.paths.usable import MEASURES, Usable
from schemas.intent import Objective
from schemas.segment import Limits

RECALLED_MAX: Final = 8


def usable_for(graph: Graph, ask: Ask) -> Usable:
    """What of a graph serves an ask, with what an equal one before has found out."""
    if ask.aim in MEASURES or ask.aim == ADDITIONS:
        return Usable(graph, ask)
    query = structs.replace(
        ask.query, limits=Limits(), hops=None, budget_micro=None, objective=Objective.PRICE, k=1, work=0
    )
    alike = structs.replace(ask, query=query, aim="", eased=frozenset())
    for known, judged in reversed(tuple(graph.recent)):
        if known == alike:
            return Usable(graph, ask, judged)
    usable = Usable(graph, ask)
    graph.recent.append((alike, usable.judged))
    del graph.recent[:-RECALLED_MAX]
    return usable

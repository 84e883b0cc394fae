"""The ends of a front: the best path on each objective, and among equals on the others in turn. One search each."""

from __future__ import annotations

from federation.broker.paths.front.objective import SUMS, ask_of, within
from federation.broker.paths.front.point import Point, point_of
from federation.broker.paths.query import Query
from federation.broker.paths.solving import Prepared
from federation.broker.paths.work import Work
from schemas.intent import Objective


def end(
    prepared: Prepared, query: Query, objectives: tuple[Objective, ...], first: Objective, work: Work
) -> Point | None:
    """A path that is best on `first` and that no other beats; None where there is none, or the work does not suffice.

    The least of one objective becomes the limit of the next solve. What a solve minimises among equals needs no solve.
    """
    asked, point, settled = query, None, list[Objective]()
    for objective in (first, *(other for other in objectives if other != first)):
        if objective in settled:
            continue
        solved = prepared.solve(ask_of(asked, objective), work)
        if solved.label is None or not solved.complete:
            return None
        point = point_of(solved.label, objectives)
        settled += [name for name in objectives if name in (objective, SUMS[objective].tied)]
        for name in settled:
            asked = within(asked, name, SUMS[name].of(solved.label))
    return point

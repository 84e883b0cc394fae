"""What a refusal rules out of the next attempt, and what the buyer is told in the end (pure; design section 3).

Just what failed is excluded: a label of an interface, the offers of a segment, or a whole operator that does not
answer or not truthfully. What is left is searched again within the same limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, structs

from federation.broker.paths.query import Query
from federation.broker.paths.route import Route, RouteSegment
from schemas.labels import LABEL_MAX, LABEL_MIN, parse, span
from schemas.problem import Outcome, Problem

# These say something of the operator, not of one segment: it is not asked again for this quote.
WHOLE_OPERATOR: Final = frozenset(
    "OPERATOR_UNREACHABLE DOCUMENT_INVALID TOO_MANY_REQUESTS POLICY_DENIED INCOMPATIBLE_STATE NOT_FOUND"
    " NOT_IMPLEMENTED INTERNAL".split()
)
# Where several failed for different reasons, the answer carries the code that says most about what to do next.
WEIGHT: Final = (
    "OPERATOR_UNREACHABLE",
    "DOCUMENT_INVALID",
    "POLICY_DENIED",
    "TOO_MANY_REQUESTS",
    "CAPACITY_CHANGED",
    "LABEL_TAKEN",
    "INTERNAL",
)
CONTENDED: Final = frozenset({"CAPACITY_CHANGED", "LABEL_TAKEN"})
EVERY_LABEL: Final = span(LABEL_MIN, LABEL_MAX)
TOLD_MAX: Final = 4


class Failure(Struct, frozen=True, kw_only=True):
    """One refusal, as the buyer is told."""

    operator: str
    operator_name: str
    code: str
    detail: str


class Ruled(Struct, frozen=True, kw_only=True):
    """What this quote does without from now on, and why. `banned` are label masks by (operator, interface)."""

    operators: frozenset[str] = frozenset()
    excluded: frozenset[tuple[str, str]] = frozenset()
    banned: Mapping[tuple[str, str], int] = {}
    failed: tuple[Failure, ...] = ()

    def refused(self, segment: RouteSegment, name: str, problem: Problem) -> Ruled:
        """After `problem` on one segment."""
        failure = Failure(operator=segment.operator, operator_name=name, code=problem.code, detail=problem.detail)
        noted = structs.replace(self, failed=(*self.failed, failure))
        if problem.code in WHOLE_OPERATOR:
            return structs.replace(noted, operators=self.operators | {segment.operator})
        taken = _taken(segment, problem)
        if taken is not None:
            return structs.replace(noted, banned={**self.banned, taken[0]: taken[1]})
        return structs.replace(noted, excluded=self.excluded | {(segment.operator, offer) for offer in segment.offers})

    @property
    def contended(self) -> bool:
        """Whether anything is ruled out that another buyer's attempt may let go of in a moment."""
        return bool(self.excluded or self.banned) and any(failure.code in CONTENDED for failure in self.failed)

    def reopened(self) -> Ruled:
        """With nothing ruled out but operators that are of no help."""
        return Ruled(operators=self.operators, failed=self.failed)

    @property
    def why(self) -> str:
        """Why the path is not the first choice; empty when it is."""
        said = dict.fromkeys(failure.detail for failure in self.failed)
        return f"the best that could be held; {'; '.join(said)}" if said else ""

    def narrowed(self, query: Query) -> Query:
        """The query without what is ruled out."""
        return structs.replace(
            query,
            operators_denied=query.operators_denied | self.operators,
            excluded=query.excluded | self.excluded,
            banned_labels={**query.banned_labels, **self.banned},
        )

    def allows(self, route: Route) -> bool:
        """Whether a route uses nothing that is ruled out; its labels are another question."""
        return not any(
            s.operator in self.operators or any((s.operator, offer) in self.excluded for offer in s.offers)
            for s in route.segments
        )

    def places(self, route: Route) -> tuple[int, ...]:
        """The labels free at each place of a route, without those found taken on either side."""
        masks = list(route.labels)
        for index, segment in enumerate(route.segments):
            masks[index] &= ~self.banned.get((segment.operator, segment.a), 0)
            masks[index + 1] &= ~self.banned.get((segment.operator, segment.z), 0)
        return tuple(masks)


def _taken(segment: RouteSegment, problem: Problem) -> tuple[tuple[str, str], int] | None:
    """The end whose label was taken and every label that is not free there; None where the answer does not say."""
    interface, free = problem.extra.get("interface"), problem.extra.get("free")
    if problem.code != "LABEL_TAKEN" or interface not in {segment.a, segment.z} or not isinstance(free, str):
        return None
    try:
        return (segment.operator, interface), EVERY_LABEL & ~parse(free)
    except Problem:
        return None


def given_up(failed: Iterable[Failure], why: str, outcome: Outcome, **extra: Any) -> Problem:
    """The one answer after several attempts: who failed and why."""
    failed = tuple(dict.fromkeys(failed))
    codes = {failure.code for failure in failed}
    code = next((code for code in WEIGHT if code in codes), "OPERATOR_REFUSED")
    said = "; ".join(dict.fromkeys(failure.detail for failure in failed[-TOLD_MAX:]))
    told = tuple(
        {"operator": f.operator, "operator_name": f.operator_name, "code": f.code, "detail": f.detail} for f in failed
    )
    return Problem(code, f"{said}; {why}", outcome=outcome, extra={"failed": told, **extra})

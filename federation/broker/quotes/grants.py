"""Which of a buyer's endpoint grants go to which operator (pure). What they say, the operators verify."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from federation.trust.jose import unverified
from schemas.grant import EndpointGrant
from schemas.problem import Outcome, Problem

GRANTS_MAX: Final = 2  # a path has two ends


def check_grants(grants: Sequence[str]) -> None:
    """Whether these can be grants at all. Raises `INVALID_ARGUMENT`."""
    if len(grants) > GRANTS_MAX:
        raise Problem("INVALID_ARGUMENT", f"a path has {GRANTS_MAX} ends", field="grants", outcome=Outcome.NONE)
    for index, grant in enumerate(grants):
        try:
            unverified(grant, EndpointGrant)
        except Problem as problem:
            why = f"is no endpoint grant: {problem.detail}"
            raise Problem("INVALID_ARGUMENT", why, field=f"grants[{index}]", outcome=Outcome.NONE) from problem


def granted_to(grants: Sequence[str], operator: str, *ends: str) -> tuple[str, ...]:
    """The grants that are for these interfaces of an operator, in their order."""
    said = [(grant, unverified(grant, EndpointGrant)) for grant in grants]
    return tuple(grant for end in ends for grant, claims in said if (claims.aud, claims.uni) == (operator, end))

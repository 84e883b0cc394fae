"""States of a segment at its operator and of a path at its broker: one table serves both.

Expiry is a state, never a flag. What is ASKED was asked for and is not answered yet, because somebody needs minutes for
it: it holds nothing. A segment is UP before the broker's `confirm` and ACTIVE, that is billable, only
after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from schemas.problem import Problem


class State(StrEnum):
    """Where a segment or path stands."""

    ASKED = "ASKED"
    QUOTED = "QUOTED"
    HELD = "HELD"
    EXPIRED = "EXPIRED"
    DECLINED = "DECLINED"
    COMMITTED = "COMMITTED"
    UP = "UP"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    REROUTING = "REROUTING"
    COMPENSATING = "COMPENSATING"
    FAILED = "FAILED"
    RELEASING = "RELEASING"
    RELEASED = "RELEASED"


S = State
TRANSITIONS: Final[Mapping[State, frozenset[State]]] = MappingProxyType(
    {
        S.ASKED: frozenset({S.QUOTED, S.HELD, S.EXPIRED, S.DECLINED}),
        S.QUOTED: frozenset({S.COMMITTED, S.EXPIRED, S.DECLINED}),
        S.HELD: frozenset({S.COMMITTED, S.EXPIRED, S.DECLINED}),
        S.COMMITTED: frozenset({S.UP, S.COMPENSATING, S.RELEASING}),
        S.UP: frozenset({S.ACTIVE, S.COMPENSATING, S.RELEASING}),
        S.ACTIVE: frozenset({S.DEGRADED, S.REROUTING, S.RELEASING}),
        S.DEGRADED: frozenset({S.ACTIVE, S.REROUTING, S.RELEASING}),
        S.REROUTING: frozenset({S.ACTIVE, S.DEGRADED, S.RELEASING}),
        S.COMPENSATING: frozenset({S.FAILED}),
        S.RELEASING: frozenset({S.RELEASED}),
        S.EXPIRED: frozenset(),
        S.DECLINED: frozenset(),
        S.FAILED: frozenset(),
        S.RELEASED: frozenset(),
    }
)
TERMINAL: Final = frozenset(state for state, after in TRANSITIONS.items() if not after)
IN_FORCE: Final = frozenset({S.UP, S.ACTIVE, S.DEGRADED, S.REROUTING})
BILLABLE: Final = frozenset({S.ACTIVE, S.DEGRADED, S.REROUTING})
RELEASE_LEADS_TO: Final[Mapping[State, State]] = MappingProxyType(
    {S.ASKED: S.DECLINED, S.HELD: S.DECLINED, S.QUOTED: S.DECLINED}
    | dict.fromkeys((S.COMMITTED, S.UP, S.ACTIVE, S.DEGRADED, S.REROUTING), S.RELEASING)
)


def move(present: State, to: State) -> State:
    """`to`, if the table allows it from `present`; `INCOMPATIBLE_STATE` otherwise."""
    if to not in TRANSITIONS[present]:
        allowed = ", ".join(sorted(TRANSITIONS[present])) or "nothing, it is final"
        raise Problem("INCOMPATIBLE_STATE", f"{present} cannot become {to}; it can become {allowed}")
    return to

"""Heartbeats: a path whose holder is silent for as long as its intent says (`idle_release_s`) is released.

An agent that died cannot release what it leased. The first period begins when the path becomes ACTIVE, and a restart
of the broker begins another, because nobody could be heard meanwhile; so does a while in which it was stopped. Beats
close together are not written down each: one within an eighth of the period after the last that was written changes
nothing, so a path is released that much later, and never sooner.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.orders.saga.state import OrderState
from schemas.lease import BILLABLE

PART: Final = 8  # of a period: within it a second beat is not written down


def heard(state: OrderState, *, anew: bool = False) -> OrderState:
    """The holder gave a sign of life; `anew` begins a whole period, however short ago the last one was."""
    idle_s = state.terms.idle_release_s
    if idle_s is None or (not anew and state.now_s - state.heard_s < idle_s // PART):
        return state
    return structs.replace(state, heard_s=state.now_s)


def idle_at_s(state: OrderState) -> int | None:
    """Unix second at which the path is released if its holder stays silent; None where nothing of the kind is agreed,
    and while the path is not in force."""
    idle_s = state.terms.idle_release_s
    if idle_s is None or state.state not in BILLABLE:
        return None
    return state.heard_s + idle_s + idle_s // PART


def silent(state: OrderState) -> bool:
    """Whether the holder was silent for too long."""
    at_s = idle_at_s(state)
    return at_s is not None and state.now_s >= at_s

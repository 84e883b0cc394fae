"""One order in place of another: the new one is in force before the old one ends, and the old one goes on if it fails.

The new order (`Terms.replaces`) tells the old one where it stands, again and again until that is heeded, whatever
crashes in between. It confirms nothing before the old one has agreed, so two orders never come in place of one. The old
one is REROUTING until it hears that the other is in force, and then ends, or that it failed, and then is ACTIVE as
before. What has failed may not ask again: a word that comes late changes nothing.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.orders.saga.events import Barred, GoesOn, Heard, Replaced, Rerouting, Untold
from federation.broker.orders.saga.pace import again, fresh
from federation.broker.orders.saga.state import Fault, Handing, OrderState, Phase, noted
from schemas.lease import BILLABLE, State, move
from schemas.problem import Outcome, Problem

FAILED_MAX: Final = 8
UNHEEDED: Final = Fault("UNAVAILABLE", "whether the order to be replaced agrees could not be learned in time")
LAST: Final = frozenset({Handing.RELEASE, Handing.RETURN})


# --- the new order -------------------------------------------------------------------------------------------------


def wanted(state: OrderState) -> Handing | None:
    """What the order that this one replaces has to know now; None where there is none."""
    if state.terms.replaces is None:
        return None
    if state.state in BILLABLE or state.was_active:
        return Handing.RELEASE
    return Handing.REROUTE if state.state in {State.COMMITTED, State.UP} else Handing.RETURN


def owed(state: OrderState) -> bool:
    """Whether the order to be replaced has still to be told."""
    return wanted(state) not in {None, state.handed}


def answered(state: OrderState, event: Heard) -> OrderState:
    """The state with what came of telling. An order that is over heeds nothing more, which is as good."""
    if event.act.turn != state.handing.turn or state.handed in LAST:
        return state
    match event:
        case Untold():
            return structs.replace(state, handing=again(state.handing, f"{state.terms.id}/handing", state.at_us))
        case Barred(fault=fault) if event.act.what is Handing.REROUTE:
            return structs.replace(state, handing=fresh(state.handing), barred=fault)
    return structs.replace(state, handing=fresh(state.handing), handed=event.act.what)


# --- the old order -------------------------------------------------------------------------------------------------


def heeding(state: OrderState, what: Handing, by: str, at_us: int) -> Rerouting | Replaced | GoesOn:
    """What the old order makes of a word of the one that replaces it. Raises INCOMPATIBLE_STATE."""
    if what is Handing.RELEASE:
        return Replaced(at_us, by)
    if what is Handing.RETURN:
        return GoesOn(at_us, by)
    mine = state.state is State.REROUTING and state.replaced_by == by
    changing = state.extension is not None and state.extension.phase is not Phase.DROPPED
    if not mine and (state.state is not State.ACTIVE or changing or by in state.failed_by):
        why = f"order {state.terms.id} is {state.state}, or changing, and cannot be replaced now"
        raise Problem("INCOMPATIBLE_STATE", why, outcome=Outcome.NONE)
    return Rerouting(at_us, by)


def heeded(state: OrderState, event: Rerouting | Replaced | GoesOn) -> OrderState:
    """The old order, having heard."""
    mine = state.state is State.REROUTING and state.replaced_by == event.by
    match event:
        case Rerouting() if state.state is State.ACTIVE and event.by not in state.failed_by:
            rerouting = structs.replace(state, state=move(state.state, State.REROUTING), replaced_by=event.by)
            return noted(rerouting, f"order {event.by} is on its way in its place")
        case Replaced() if mine:
            return structs.replace(state, release_asked=True)
        case GoesOn():
            failed = (*(name for name in state.failed_by if name != event.by), event.by)[-FAILED_MAX:]
            state = structs.replace(state, failed_by=failed)
            if mine:
                back = structs.replace(state, state=move(state.state, State.ACTIVE), replaced_by=None)
                return noted(back, f"order {event.by} failed, and this one goes on")
    return state

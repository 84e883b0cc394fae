"""First step of a decision: an answer becomes a fact about one segment.

Facts only grow. A lease moves forward through its states, so late, repeated and reordered receipts change nothing
that is known better; an answer that counts a try counts only in the turn it belongs to.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from federation.broker.orders.saga import extension, handing, idle
from federation.broker.orders.saga.agree import differs
from federation.broker.orders.saga.effects import Act, AskOutcome, DeclineHold, SendConfirm, SendOrder, SendRelease
from federation.broker.orders.saga.events import (
    Answer,
    Barred,
    Declined,
    Event,
    ExtendAsked,
    GoesOn,
    Hinted,
    HolderHeard,
    Missing,
    Receipted,
    Refused,
    ReleaseAsked,
    Replaced,
    Rerouting,
    Restarted,
    Tick,
    Told,
    Unanswered,
    Untold,
)
from federation.broker.orders.saga.pace import again, fresh, in_doubt
from federation.broker.orders.saga.state import Leg, OrderState, Pace
from schemas.lease import BILLABLE, RELEASE_LEADS_TO, TERMINAL, TRANSITIONS, State

# How far a lease has come; a receipt of an earlier state is old news.
RANK: Final = {
    State.HELD: 0,
    State.COMMITTED: 1,
    State.UP: 2,
    State.ACTIVE: 3,
    State.DEGRADED: 3,
    State.REROUTING: 3,
    State.RELEASING: 4,
    State.COMPENSATING: 4,
} | dict.fromkeys(TERMINAL, 5)
assert TRANSITIONS.keys() - {State.ASKED, State.QUOTED} == RANK.keys()


def fold(state: OrderState, event: Event) -> OrderState:
    """The state with what `event` says; no conclusion is drawn for the path yet. Of an order that is over nothing is
    learnt any more: its bill is given."""
    state = structs.replace(state, at_us=max(state.at_us, event.at_us))
    if state.state in TERMINAL:
        return state
    match event:
        case Restarted():
            if handing.owed(state):
                state = structs.replace(state, handing=in_doubt(state.handing))
            return idle.heard(extension.restarted(_restarted(state)), anew=True)
        case Tick(stalled=True):
            return idle.heard(state, anew=True)
        case HolderHeard():
            return idle.heard(state)
        case ReleaseAsked():
            return structs.replace(state, release_asked=True)
        case ExtendAsked(extension=begun):
            return structs.replace(idle.heard(state), extension=begun, extensions=begun.number)
        case Rerouting() | Replaced() | GoesOn():
            return handing.heeded(state, event)
        case Told() | Barred() | Untold():
            return handing.answered(state, event)
        case Hinted(leg=index):
            return _hinted(state, index)
        case Receipted() | Missing() | Declined() | Refused() | Unanswered():
            return _of_extension(state, event) if event.act.change else _answered(state, event.act, event)
    return state


def with_leg(state: OrderState, index: int, leg: Leg) -> OrderState:
    """The state with one segment's facts replaced."""
    return with_legs(state, [*state.legs[:index], leg, *state.legs[index + 1 :]])


def with_legs(state: OrderState, legs: list[Leg]) -> OrderState:
    """The state with every segment's facts replaced."""
    return structs.replace(state, legs=tuple(legs))


def later(state: OrderState, pace: Pace, index: int) -> Pace:
    """The next turn of a segment's pace, after no progress."""
    return again(pace, f"{state.terms.id}/{index}", state.at_us)


def _restarted(state: OrderState) -> OrderState:
    """Whatever was in flight is in doubt: ask before anything is sent again."""
    if state.state in BILLABLE:
        return state
    return with_legs(state, [structs.replace(leg, pace=in_doubt(leg.pace), missing=False) for leg in state.legs])


def _hinted(state: OrderState, index: int) -> OrderState:
    leg = state.legs[index]
    wanted = state.state in RELEASE_LEADS_TO and leg.product is not None and not leg.check
    return with_leg(state, index, structs.replace(leg, check=True, pace=fresh(leg.pace))) if wanted else state


def _of_extension(state: OrderState, event: Answer) -> OrderState:
    """An answer about an extension may also tell that the lease is over."""
    if isinstance(event, Receipted) and event.receipt.state in TERMINAL:
        leg = state.legs[event.act.leg]
        state = with_leg(state, event.act.leg, _learnt(state, event.act.leg, leg, event))
    return extension.fold(state, event)


def _answered(state: OrderState, act: Act, event: Answer) -> OrderState:
    leg = state.legs[act.leg]
    if isinstance(event, Receipted):
        return with_leg(state, act.leg, _learnt(state, act.leg, leg, event))
    if act.turn != leg.pace.turn:
        return state
    slower = structs.replace(leg, pace=later(state, leg.pace, act.leg), missing=False)
    at_once = structs.replace(leg, pace=fresh(leg.pace), missing=False)
    match event:
        case Missing():
            return with_leg(state, act.leg, _missing(act, leg, slower))
        case Declined():
            let_go = structs.replace(at_once, pace=structs.replace(at_once.pace, tries=1), let_go=True)
            return with_leg(state, act.leg, let_go)
        case Refused():
            return with_leg(state, act.leg, _refused(act, leg, slower, event))
        case Unanswered() if isinstance(act, SendRelease):
            return with_leg(state, act.leg, _in_vain(leg, slower, answered=event.fault.code == "DOCUMENT_INVALID"))
    return with_leg(state, act.leg, slower)


def _missing(act: Act, leg: Leg, slower: Leg) -> Leg:
    if isinstance(act, AskOutcome):
        return _not_found(leg)
    if leg.check and leg.release is not None:
        # It refused the release, and its inventory knows no such lease: there is nothing left to release.
        return structs.replace(slower, state=State.RELEASED, check=False)
    return structs.replace(slower, check=False)


def _not_found(leg: Leg) -> Leg:
    return structs.replace(leg, pace=structs.replace(leg.pace, turn=leg.pace.turn + 1), missing=True)


def _refused(act: Act, leg: Leg, slower: Leg, event: Refused) -> Leg:
    match act:
        case SendOrder() if leg.state is State.HELD and event.fault.code != "QUOTE_USED":
            return structs.replace(leg, pace=in_doubt(leg.pace), fault=event.fault)
        case AskOutcome() if leg.state is State.HELD:
            # It took the order and could not keep it, which is as good as not having taken it.
            return structs.replace(_not_found(leg), fault=event.fault)
        case DeclineHold() if leg.fault:
            return structs.replace(slower, let_go=True)
        case SendConfirm() if leg.fault is None:
            return structs.replace(slower, fault=event.fault)
        case SendRelease():
            return _in_vain(leg, slower, answered=True)
    return slower


def _in_vain(leg: Leg, slower: Leg, *, answered: bool) -> Leg:
    """A release without a receipt for it: the inventory will tell. Of a lease that is over only a void was asked, and
    an operator that answered has heard it, whatever it makes of it."""
    if leg.state in TERMINAL:
        return structs.replace(slower, voided=answered)
    return structs.replace(slower, check=True)


def _learnt(state: OrderState, index: int, leg: Leg, event: Receipted) -> Leg:
    receipt, quoted = event.receipt, state.terms.parts[index].pledge.quoted
    if RANK[receipt.state] < RANK[leg.state]:
        return _polled(state, index, leg, event)
    facts = _facts(leg, event)
    fault = leg.fault
    if receipt.state not in TERMINAL and not state.was_active:
        fault = fault or differs(quoted, receipt.segment, state.end_s)
    if RANK[receipt.state] == RANK[leg.state]:
        return _polled(state, index, structs.replace(facts, fault=fault), event)
    return structs.replace(facts, pace=fresh(leg.pace), fault=fault)


def _facts(leg: Leg, event: Receipted) -> Leg:
    receipt = event.receipt
    over = receipt.state in TERMINAL
    return structs.replace(
        leg,
        state=receipt.state,
        product=receipt.product,
        in_force=receipt.segment,
        order_h=leg.order_h or receipt.order_h,
        receipt_h=event.receipt_h,
        bill=receipt.bill if over else leg.bill,
        missing=False,
        check=receipt.state is State.RELEASING,
    )


def _polled(state: OrderState, index: int, leg: Leg, event: Receipted) -> Leg:
    """An answer without news counts as a try, when it belongs to this turn."""
    if event.act.turn != leg.pace.turn:
        return leg
    return structs.replace(
        leg,
        pace=later(state, leg.pace, index),
        check=event.receipt.state is State.RELEASING,
        voided=leg.voided or (leg.state in TERMINAL and isinstance(event.act, SendRelease)),
    )

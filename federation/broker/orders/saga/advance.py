"""Second step of a decision: from facts about segments to where the path stands.

One function per state of the path; each returns the state unchanged when nothing follows, and a changed one otherwise,
until no rule applies any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import structs

from federation.broker.orders.saga import extension, handing, idle
from federation.broker.orders.saga.agree import disagreement
from federation.broker.orders.saga.bill import disputes, owed, path_bill
from federation.broker.orders.saga.fold import RANK, with_leg, with_legs
from federation.broker.orders.saga.pace import (
    END_GRACE_S,
    FENCE_S,
    GIVE_UP_S,
    MARGIN_S,
    ORDER_LIFE_S,
    RESIGN_AFTER_S,
    RETRIES_OFTEN_MAX,
    SECOND_US,
    SILENT_S,
    fresh,
    in_doubt,
)
from federation.broker.orders.saga.state import Fault, Leg, OrderState, Part, Sent, noted, owing
from schemas.lease import BILLABLE, TERMINAL, State, move
from schemas.token import SKEW_S

LAPSED: Final = Fault("OPERATOR_REFUSED", "the operator took the segment down")


def advance(state: OrderState) -> OrderState:
    """The state with everything that follows from its facts."""
    while (rule := RULES.get(state.state)) is not None:
        after = rule(state)
        if after is state:
            break
        state = after
    return state


def moved(state: OrderState, to: State, why: str = "") -> OrderState:
    """The path in another state, and in its history."""
    return noted(structs.replace(state, state=move(state.state, to)), why)


def committed(state: OrderState) -> OrderState:
    """Every order is out. All UP and agreed: confirm. Anything refused, lost or late: undo."""
    if state.release_asked:
        return wind_up(state, State.RELEASING, "released by the buyer")
    if culprit := _fault(state) or disagreement(state) or _late(state):
        return undo(state, *culprit)
    if barred := _barred(state):
        return wind_up(structs.replace(state, fault=barred), State.COMPENSATING, barred.detail)
    if all(leg.state is State.UP for leg in state.legs) and not handing.owed(state):
        sent = [
            structs.replace(
                leg, confirm=Sent(iat=state.now_s, order_h=leg.order_h, prev_h=leg.receipt_h), pace=fresh(leg.pace)
            )
            for leg in state.legs
        ]
        return moved(with_legs(state, sent), State.UP)
    return state


def up(state: OrderState) -> OrderState:
    """Every confirm is out. All confirmed: ACTIVE. One lapsed, or unknown for too long: void the rest."""
    if all(leg.state in BILLABLE for leg in state.legs) and not _fault(state):
        return idle.heard(structs.replace(moved(state, State.ACTIVE), was_active=True), anew=True)
    if culprit := _fault(state):
        return undo(state, *culprit)
    unconfirmed = next(index for index, leg in enumerate(state.legs) if leg.state not in BILLABLE)
    if state.release_asked:
        void = state.terms.parts[unconfirmed].operator
        return wind_up(structs.replace(state, void=void), State.RELEASING, "released by the buyer")
    if state.now_s >= give_up_s(state):
        return undo(state, unconfirmed, Fault("OPERATOR_UNREACHABLE", "whether it is confirmed could not be learned"))
    return state


def active(state: OrderState) -> OrderState:
    """In force everywhere, until the buyer, the end of the window, or an operator ends it."""
    if state.release_asked:
        why = "released by the buyer" if state.replaced_by is None else f"replaced by order {state.replaced_by}"
        return wind_up(state, State.RELEASING, why)
    for part, leg in zip(state.terms.parts, state.legs, strict=True):
        if leg.state in TERMINAL and state.now_s < state.end_s:
            return wind_up(state, State.RELEASING, f"{part.name} ended its lease")
    if idle.silent(state):
        return wind_up(state, State.RELEASING, f"its holder was silent for {state.terms.idle_release_s} s")
    after = extension.advance(state)
    if after is state and state.now_s >= state.end_s and not extension.undecided(state):
        return wind_up(structs.replace(state, ended=True), State.RELEASING, "the window is over")
    return after


def releasing(state: OrderState) -> OrderState:
    """RELEASED once every segment is settled; then the bill."""
    if not _settled(state):
        return _prepared(state)
    claimed = owed(state)
    for why in disputes(state, claimed):
        state = noted(state, why)
    return structs.replace(moved(state, State.RELEASED), bill=path_bill(state, claimed))


def compensating(state: OrderState) -> OrderState:
    """FAILED once every segment is settled; nothing is billed."""
    if not _settled(state):
        return _prepared(state)
    return structs.replace(moved(state, State.FAILED), bill=path_bill(state, owed(state)))


RULES: Final[Mapping[State, Callable[[OrderState], OrderState]]] = MappingProxyType(
    {
        State.COMMITTED: committed,
        State.UP: up,
        State.ACTIVE: active,
        State.REROUTING: active,
        State.RELEASING: releasing,
        State.COMPENSATING: compensating,
    }
)


def undo(state: OrderState, culprit: int, fault: Fault) -> OrderState:
    """Undo the path; every release names the operator whose order or confirm is missing."""
    part = state.terms.parts[culprit]
    why = f"{part.name}: {fault.detail}"
    state = structs.replace(state, void=part.operator, fault=Fault(fault.code, why))
    return wind_up(state, State.COMPENSATING, why)


def wind_up(state: OrderState, to: State, why: str) -> OrderState:
    """Stop what was going on, but keep waiting for the answers to orders that are out."""
    state = extension.dropped(state, "the order ends")
    legs = [structs.replace(leg, pace=fresh(leg.pace)) if RANK[leg.state] else leg for leg in state.legs]
    return moved(with_legs(state, legs), to, why)


def order_by_s(state: OrderState) -> int:
    """Unix second at which orders without an answer are given up."""
    return state.terms.placed_s + ORDER_LIFE_S - MARGIN_S


def confirm_from_by_s(state: OrderState) -> int:
    """Unix second at which it is too late to begin confirming."""
    return state.confirm_by - MARGIN_S


def give_up_s(state: OrderState) -> int:
    """Unix second at which a confirm whose outcome is still unknown is given up: in time to void those that are
    confirmed before their window ends and they bill by themselves."""
    return min(state.confirm_by + GIVE_UP_S, max(state.confirm_by, state.end_s - SKEW_S - MARGIN_S))


def _fault(state: OrderState) -> tuple[int, Fault] | None:
    for index, leg in enumerate(state.legs):
        if leg.fault:
            return index, leg.fault
        if leg.state in TERMINAL:
            return index, LAPSED
    return None


def _late(state: OrderState) -> tuple[int, Fault] | None:
    for index, leg in enumerate(state.legs):
        if leg.state is State.HELD and state.now_s >= min(order_by_s(state), confirm_from_by_s(state)):
            return index, Fault("OPERATOR_UNREACHABLE", "the order was not answered in time")
        if leg.state is not State.UP and state.now_s >= confirm_from_by_s(state):
            return index, Fault("OPERATOR_REFUSED", "the segment was not up in time")
    return None


def _barred(state: OrderState) -> Fault | None:
    """Why the order that this one is to replace stays as it is."""
    late = handing.owed(state) and state.now_s >= confirm_from_by_s(state)
    return state.barred or (handing.UNHEEDED if late else None)


def _settled(state: OrderState) -> bool:
    return not handing.owed(state) and all(leg.state in TERMINAL and not owing(state, leg) for leg in state.legs)


def _prepared(state: OrderState) -> OrderState:
    """The state with segments settled that never became leases or are not waited for any more, and a release written
    for the others."""
    if (after := _without_unheard(state)) is not state:
        return after
    pairs = zip(state.terms.parts, state.legs, strict=True)
    legs = tuple(_never_ordered(state, part, leg) or _released(state, leg) for part, leg in pairs)
    return state if legs == state.legs else structs.replace(state, legs=legs)


def _never_ordered(state: OrderState, part: Part, leg: Leg) -> Leg | None:
    """The segment settled, if it is certain that its order was not taken and never will be: the operator says so after
    it declined the quote, or after the order has expired. A refusal is no proof, a copy may still be on its way; nor is
    an answer from before, so the fence makes any question that is out an old one. An operator that never gave a receipt
    which verifies was never sent a confirm, so what it may have taken has lapsed there, whatever it says."""
    if leg.state is not State.HELD:
        return None
    if (leg.fenced or leg.let_go) and state.now_s >= lapsed_s(state):
        return structs.replace(leg, state=State.EXPIRED)
    if leg.missing and (leg.let_go or leg.fenced):
        return structs.replace(leg, state=State.DECLINED if leg.let_go else State.EXPIRED)
    if not leg.let_go and not leg.fenced and state.now_s >= fence_s(part, leg):
        return structs.replace(leg, fenced=True, missing=False, pace=in_doubt(leg.pace))
    return None


def fence_s(part: Part, leg: Leg) -> int:
    """Unix second from which on no operator takes the order of a segment, and none keeps its hold."""
    return max(leg.order.iat + FENCE_S, part.pledge.held_until + SKEW_S)


def lapsed_s(state: OrderState) -> int:
    """Unix second from which on no operator keeps a segment that was not confirmed."""
    return state.confirm_by + GIVE_UP_S


def _without_unheard(state: OrderState) -> OrderState:
    """With those segments settled whose operators are not waited for any more. Who has not said what it bills gets
    nothing by the statement; what it signed, and what was signed for it, it still has."""
    why = f"has not said for {SILENT_S // 86_400} days what it bills, and is not waited for"
    for index, (part, leg) in enumerate(zip(state.terms.parts, state.legs, strict=True)):
        if not _unheard(state, leg):
            continue
        if leg.state not in TERMINAL:
            state = noted(with_leg(state, index, structs.replace(leg, state=State.EXPIRED)), f"{part.name} {why}")
        elif owing(state, leg):
            state = with_leg(state, index, structs.replace(leg, voided=True))
    return state


def _unheard(state: OrderState, leg: Leg) -> bool:
    """Whether its lease has long been over, and it was asked often in vain, since a restart too: the last time when
    that was so already."""
    ends = max((state.end_s, *(pledge.quoted.window.end_s for pledge in leg.longer)))
    return leg.pace.tries >= RETRIES_OFTEN_MAX and leg.pace.not_before_us > (ends + SILENT_S) * SECOND_US


def _released(state: OrderState, leg: Leg) -> Leg:
    if not release_wanted(state, leg):
        return leg
    present = leg.release
    if present is not None and (
        state.now_s < present.iat + RESIGN_AFTER_S or state.at_us < leg.pace.not_before_us or leg.check
    ):
        return leg
    void = state.void or (leg.over if state.ended else None)
    sent = Sent(iat=state.now_s, n=present.n + 1 if present else 0, prev_h=leg.receipt_h, void=void)
    return structs.replace(leg, release=sent, state=leg.state if leg.state in TERMINAL else State.RELEASING)


def release_wanted(state: OrderState, leg: Leg) -> bool:
    """Whether a lease is to be released by a document. At the end of the window operators do it by themselves, unless
    they are late, or hold to an end that the path does not have."""
    if not RANK[leg.state] or leg.state in TERMINAL:
        return owing(state, leg)
    late = state.now_s >= state.end_s + END_GRACE_S
    return not state.ended or late or leg.over is not None

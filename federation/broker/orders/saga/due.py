"""Third step of a decision: what should be going on now, from the state alone.

At most one act per segment at a time. What may not start yet becomes part of one `WaitUntil`.
"""

from __future__ import annotations

from collections.abc import Iterator

from federation.broker.orders.saga import extension, handing, idle
from federation.broker.orders.saga.advance import (
    confirm_from_by_s,
    fence_s,
    give_up_s,
    lapsed_s,
    order_by_s,
    release_wanted,
)
from federation.broker.orders.saga.effects import (
    NO_LEG,
    Act,
    AskLease,
    AskOutcome,
    DeclineHold,
    Effect,
    SendBack,
    SendConfirm,
    SendOrder,
    SendRelease,
    TellOrder,
    WaitUntil,
)
from federation.broker.orders.saga.pace import END_GRACE_S, GIVE_UP_S, MARGIN_S, SECOND_US
from federation.broker.orders.saga.state import Extension, Leg, OrderState, Phase, Standing, Step, owing
from schemas.lease import BILLABLE, TERMINAL, State

Planned = tuple[Act, int]  # from which Unix microsecond on


def due(state: OrderState) -> tuple[Effect, ...]:
    """Every effect wanted now, and the time at which to look again."""
    if state.state in TERMINAL:
        return ()
    planned = [*_legs(state), *_steps(state), *_telling(state)]
    now = [act for act, from_us in planned if from_us <= state.at_us]
    wakes = [from_us for _, from_us in planned if from_us > state.at_us]
    wakes += [at_s * SECOND_US for at_s in _deadlines(state) if at_s * SECOND_US > state.at_us]
    return (*now, WaitUntil(min(wakes))) if wakes else tuple(now)


def _legs(state: OrderState) -> Iterator[Planned]:
    for index, leg in enumerate(state.legs):
        act, from_us = _leg(state, index, leg)
        if act is not None:
            yield act, max(from_us, leg.pace.not_before_us)


def _leg(state: OrderState, index: int, leg: Leg) -> tuple[Act | None, int]:
    turn = leg.pace.turn
    match state.state:
        case State.COMMITTED if leg.state is State.HELD:
            sending = leg.missing or leg.pace.tries == 0
            return (SendOrder(index, turn) if sending else AskOutcome(index, turn)), 0
        case State.COMMITTED if leg.state is State.COMMITTED:
            return AskLease(index, turn), 0 if leg.check else state.terms.start_s * SECOND_US
        case State.UP if leg.state is State.UP:
            in_time = state.now_s < state.confirm_by
            return (SendConfirm(index, turn) if in_time else AskLease(index, turn)), 0
        case State.RELEASING | State.COMPENSATING:
            return _winding_up(state, index, leg), 0
    return (AskLease(index, turn) if leg.check else None), 0


def _winding_up(state: OrderState, index: int, leg: Leg) -> Act | None:
    turn = leg.pace.turn
    if leg.state in TERMINAL:
        return SendRelease(index, turn) if owing(state, leg) else None
    if leg.state is not State.HELD:
        releasing = release_wanted(state, leg) and not leg.check
        return SendRelease(index, turn) if releasing else AskLease(index, turn)
    if (leg.fault or leg.missing) and not leg.let_go and not leg.fenced:
        return DeclineHold(index, turn)
    # The first order is still on its way, and its answer will tell.
    return AskOutcome(index, turn) if leg.pace.tries else None


def _steps(state: OrderState) -> Iterator[Planned]:
    longer = state.extension
    for index, step in enumerate(longer.steps if longer else ()):
        assert longer is not None, "a step belongs to an extension"
        if act := _step(state, longer, index, step):
            yield act, step.pace.not_before_us


def _step(state: OrderState, longer: Extension, index: int, step: Step) -> Act | None:
    turn, number = step.pace.turn, longer.number
    if longer.phase is Phase.ORDERING and step.standing is Standing.ASKED:
        sending = step.missing or step.pace.tries == 0
        return SendOrder(index, turn, number) if sending else AskOutcome(index, turn, number)
    if longer.phase is Phase.CONFIRMING and step.standing is Standing.PENDING:
        lapsed = any(other.standing is Standing.LAPSED for other in longer.steps)
        in_time = state.now_s < longer.confirm_by and not lapsed
        return SendConfirm(index, turn, number) if in_time else AskLease(index, turn, number)
    if longer.phase is Phase.RETURNING and step.standing is Standing.EXTENDED:
        return AskLease(index, turn, number) if step.check else SendBack(index, turn, number)
    if longer.phase is Phase.DROPPED and extension.still_held(state, longer, index):
        return DeclineHold(index, turn, number)
    return None


def _telling(state: OrderState) -> Iterator[Planned]:
    if (what := handing.wanted(state)) is not None and handing.owed(state):
        assert state.terms.replaces is not None, "only an order that replaces another has anything to tell"
        act = TellOrder(NO_LEG, state.handing.turn, order=state.terms.replaces, what=what)
        yield act, state.handing.not_before_us


def _deadlines(state: OrderState) -> Iterator[int]:
    """Unix seconds at which a conclusion changes without any answer."""
    match state.state:
        case State.COMMITTED:
            yield from (order_by_s(state), confirm_from_by_s(state))
        case State.UP:
            yield from (state.confirm_by, give_up_s(state))
        case state_ if state_ in BILLABLE:
            yield from (state.end_s, state.end_s + GIVE_UP_S)
            if (idle_at_s := idle.idle_at_s(state)) is not None:
                yield idle_at_s
            if state.extension:
                yield from (state.extension.confirm_by - MARGIN_S, state.extension.confirm_by)
                yield from (extension.passed_s(state.extension), extension.final_s(state.extension))
        case _:
            yield state.end_s + END_GRACE_S
            pairs = zip(state.terms.parts, state.legs, strict=True)
            for part, leg in pairs:
                if leg.state is State.HELD:
                    yield from (fence_s(part, leg), lapsed_s(state))

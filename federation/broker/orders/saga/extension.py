"""A longer window, as one: a modify order on every segment, all pending, all confirmed; or none.

What is not confirmed lapses at its operator by itself and free of charge, so an extension given up needs nothing but
its holds let go. Where some confirms were in time and one was not, the path keeps its end, and the segments that last
longer are released there, naming the operator whose confirm is missing (`Leg.over`).
"""

from __future__ import annotations

from msgspec import structs

from federation.broker.orders.saga.effects import Act, AskOutcome, DeclineHold, SendConfirm, SendOrder
from federation.broker.orders.saga.events import Answer, Declined, Missing, Receipted, Refused
from federation.broker.orders.saga.pace import GIVE_UP_S, MARGIN_S, SECOND_US, again, fresh, in_doubt
from federation.broker.orders.saga.state import (
    Extension,
    Fault,
    Leg,
    OrderState,
    Pace,
    Phase,
    Pledge,
    Sent,
    Standing,
    Step,
    noted,
)
from schemas.order import CONFIRM_WITHIN_S
from schemas.price import Money
from schemas.segment import moment
from schemas.token import SKEW_S

UNSETTLED = frozenset({Standing.ASKED, Standing.REFUSED})


def begun(
    state: OrderState,
    at_us: int,
    *,
    quote: str,
    path_root: str,
    until_s: int,
    total: Money,
    pledges: tuple[Pledge, ...],
) -> Extension:
    """An extension whose orders are to be sent now. It is to be confirmed before the present window ends."""
    now_s = at_us // SECOND_US
    return Extension(
        number=state.extensions + 1,
        quote=quote,
        path_root=path_root,
        until_s=until_s,
        confirm_by=min(now_s + CONFIRM_WITHIN_S, state.end_s),
        total=total,
        pledges=pledges,
        steps=tuple(Step(order=Sent(iat=now_s)) for _ in pledges),
    )


# --- facts -------------------------------------------------------------------------------------------------


def restarted(state: OrderState) -> OrderState:
    """Whatever was in flight is in doubt."""
    if state.extension is None:
        return state
    steps = [structs.replace(step, pace=in_doubt(step.pace), missing=False) for step in state.extension.steps]
    return _with_steps(state, steps)


def fold(state: OrderState, event: Answer) -> OrderState:
    """The state with an operator's answer about an extension; one about an extension that is over changes nothing."""
    extension, act = state.extension, event.act
    if extension is None or act.change != extension.number:
        return state
    step = extension.steps[act.leg]
    if isinstance(event, Receipted):
        return _with_step(state, act.leg, _learnt(state, extension, step, event))
    if act.turn != step.pace.turn:
        return state
    slower = structs.replace(step, pace=_later(state, step, act.leg), missing=False)
    return _with_step(state, act.leg, _answered(act, step, slower, event))


def _answered(act: Act, step: Step, slower: Step, event: Answer) -> Step:
    match act, event:
        case AskOutcome(), Missing():
            return structs.replace(step, pace=structs.replace(step.pace, turn=step.pace.turn + 1), missing=True)
        case DeclineHold(), Declined() | Refused():
            return structs.replace(slower, let_go=True)
        case ((SendOrder() | AskOutcome()), Refused(fault=fault)) if fault.code != "QUOTE_USED":
            return structs.replace(step, pace=fresh(step.pace), standing=Standing.REFUSED, fault=fault)
        case SendConfirm(), Refused(fault=fault):
            return structs.replace(step, pace=fresh(step.pace), standing=Standing.LAPSED, fault=fault)
    return slower


def _learnt(state: OrderState, extension: Extension, step: Step, event: Receipted) -> Step:
    until_s, index = event.receipt.segment.window.end_s, event.act.leg
    if step.standing in {Standing.EXTENDED, Standing.LAPSED, Standing.REFUSED}:
        return step
    if until_s >= extension.until_s:
        known = structs.replace(step, standing=Standing.EXTENDED, receipt_h=event.receipt_h, pace=fresh(step.pace))
        return structs.replace(known, in_force=event.receipt.segment)
    if isinstance(event.act, SendOrder | AskOutcome) and step.standing is Standing.ASKED:
        known = structs.replace(step, standing=Standing.PENDING, order_h=event.receipt.order_h, missing=False)
        return structs.replace(known, pace=fresh(step.pace), receipt_h=event.receipt_h)
    if state.now_s > extension.confirm_by + SKEW_S:
        # No operator accepts a confirm any more, and this one's lease still ends where it did.
        why = Fault("OPERATOR_REFUSED", "the confirm of the extension was not in time")
        return structs.replace(step, standing=Standing.LAPSED, pace=fresh(step.pace), fault=why)
    return structs.replace(step, pace=_later(state, step, index)) if event.act.turn == step.pace.turn else step


# --- conclusions -------------------------------------------------------------------------------------------


def advance(state: OrderState) -> OrderState:
    """The state with the next conclusion about its extension; the same state when there is none."""
    extension = state.extension
    if extension is None:
        return state
    if extension.phase is Phase.ORDERING:
        return _ordering(state, extension)
    if extension.phase is Phase.CONFIRMING:
        return _confirming(state, extension)
    holding = any(still_held(state, extension, index) for index in range(len(extension.steps)))
    return state if holding else structs.replace(state, extension=None)


def _ordering(state: OrderState, extension: Extension) -> OrderState:
    for index, step in enumerate(extension.steps):
        if step.standing is Standing.REFUSED:
            return dropped(state, f"{_name(state, index)}: {step.fault.detail if step.fault else 'refused'}")
    waiting = [index for index, step in enumerate(extension.steps) if step.standing is Standing.ASKED]
    if waiting and state.now_s >= extension.confirm_by - MARGIN_S:
        return dropped(state, f"{_name(state, waiting[0])} did not answer the order in time")
    return state if waiting else _confirm(state, extension)


def _confirm(state: OrderState, extension: Extension) -> OrderState:
    steps = [
        structs.replace(
            step, confirm=Sent(iat=state.now_s, order_h=step.order_h, prev_h=step.receipt_h), pace=fresh(step.pace)
        )
        for step in extension.steps
    ]
    return _with_steps(structs.replace(state, extension=structs.replace(extension, phase=Phase.CONFIRMING)), steps)


def _confirming(state: OrderState, extension: Extension) -> OrderState:
    standings = [step.standing for step in extension.steps]
    if Standing.PENDING in standings:
        return state
    if Standing.LAPSED not in standings:
        return _extended(state, extension)
    lapsed = standings.index(Standing.LAPSED)
    over = state.terms.parts[lapsed].operator
    legs = [
        _longer(leg, step, pledge, over) if step.standing is Standing.EXTENDED else leg
        for leg, step, pledge in zip(state.legs, extension.steps, extension.pledges, strict=True)
    ]
    fault = extension.steps[lapsed].fault
    why = f"{_name(state, lapsed)}: {fault.detail if fault else 'the confirm lapsed'}"
    return dropped(structs.replace(state, legs=tuple(legs)), why)


def _extended(state: OrderState, extension: Extension) -> OrderState:
    triples = zip(state.legs, extension.steps, extension.pledges, strict=True)
    legs = tuple(_longer(leg, step, pledge, None) for leg, step, pledge in triples)
    total = Money(state.total.currency, state.total.micro + extension.total.micro)
    end_s = extension.until_s
    state = structs.replace(state, legs=legs, end_s=end_s, total=total, extension=None, fault=None)
    return noted(state, f"extended until {moment(end_s):%Y-%m-%dT%H:%M:%SZ}")


def _longer(leg: Leg, step: Step, pledge: Pledge, over: str | None) -> Leg:
    """A segment whose operator confirmed the extension."""
    sold = (*leg.longer, pledge)
    return structs.replace(leg, receipt_h=step.receipt_h, in_force=step.in_force, over=over, longer=sold)


def dropped(state: OrderState, why: str) -> OrderState:
    """The state with its extension given up: nobody is confirmed any more, holds are let go."""
    extension = state.extension
    if extension is None or extension.phase is Phase.DROPPED:
        return state
    steps = tuple(structs.replace(step, pace=fresh(step.pace)) for step in extension.steps)
    over = structs.replace(extension, phase=Phase.DROPPED, steps=steps)
    fault = Fault("OPERATOR_REFUSED", f"not extended: {why}")
    return noted(structs.replace(state, extension=over, fault=fault), fault.detail)


def still_held(state: OrderState, extension: Extension, index: int) -> bool:
    """Whether a hold of an extension may still be there without an order."""
    step = extension.steps[index]
    return step.standing in UNSETTLED and not step.let_go and state.now_s < extension.pledges[index].held_until


def undecided(state: OrderState) -> bool:
    """Whether the path's end has to wait, because operators may have been told of a later one."""
    extension = state.extension
    confirming = extension is not None and extension.phase is Phase.CONFIRMING
    return confirming and state.now_s < state.end_s + GIVE_UP_S


# --- parts --------------------------------------------------------------------------------------------------


def _later(state: OrderState, step: Step, index: int) -> Pace:
    return again(step.pace, f"{state.terms.id}/{index}/extension", state.at_us)


def _name(state: OrderState, index: int) -> str:
    return state.terms.parts[index].name


def _with_step(state: OrderState, index: int, step: Step) -> OrderState:
    assert state.extension is not None, "a step belongs to an extension"
    steps = state.extension.steps
    return _with_steps(state, [*steps[:index], step, *steps[index + 1 :]])


def _with_steps(state: OrderState, steps: list[Step]) -> OrderState:
    assert state.extension is not None, "steps belong to an extension"
    return structs.replace(state, extension=structs.replace(state.extension, steps=tuple(steps)))

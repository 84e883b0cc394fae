"""A longer window, or another bandwidth, as one: a modify order on every segment, all pending, all confirmed; or none.

What is not confirmed lapses at its operator by itself and free of charge, so an extension given up needs nothing but
its holds let go. Where some confirms were in time and one was not, the path keeps its end, and the segments that last
longer are released there, naming the operator whose confirm is missing (`Leg.over`). Another bandwidth is taken back
instead (`SendBack`) where it was confirmed: operators keep what the lease had before for as long as that may come.
"""

from __future__ import annotations

from msgspec import structs

from federation.broker.orders.saga.bill import unused
from federation.broker.orders.saga.effects import Act, AskOutcome, DeclineHold, SendBack, SendConfirm, SendOrder
from federation.broker.orders.saga.events import Answer, Declined, Missing, Receipted, Refused
from federation.broker.orders.saga.pace import GIVE_UP_S, MARGIN_S, RESIGN_AFTER_S, SECOND_US, again, fresh, in_doubt
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
from schemas.order import CONFIRM_WITHIN_S, VOID_WITHIN_S
from schemas.price import Money
from schemas.segment import Segment, moment
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
    bandwidth_bps: int | None = None,
) -> Extension:
    """An extension whose orders are to be sent now. It is to be confirmed before the present window ends."""
    now_s = at_us // SECOND_US
    confirm_by = min(now_s + CONFIRM_WITHIN_S, state.end_s)
    return Extension(
        number=state.extensions + 1,
        quote=quote,
        path_root=path_root,
        until_s=until_s,
        confirm_by=confirm_by,
        total=total,
        pledges=pledges,
        steps=tuple(Step(order=Sent(iat=now_s)) for _ in pledges),
        bandwidth_bps=bandwidth_bps,
        freed=None if bandwidth_bps is None else unused(state, confirm_by + SKEW_S),
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
        case SendBack(), _:
            return structs.replace(slower, check=True)
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
    index = event.act.leg
    if extension.phase is Phase.RETURNING and step.standing is Standing.EXTENDED:
        return _returned(state, extension, step, event)
    if step.standing not in {Standing.ASKED, Standing.PENDING}:
        return step
    if _in_force(state, extension, index, event.receipt.segment):
        known = structs.replace(step, standing=Standing.EXTENDED, receipt_h=event.receipt_h, pace=fresh(step.pace))
        return structs.replace(known, in_force=event.receipt.segment, at_s=_since_s(state, step, event))
    if isinstance(event.act, SendOrder | AskOutcome) and step.standing is Standing.ASKED:
        known = structs.replace(step, standing=Standing.PENDING, order_h=event.receipt.order_h, missing=False)
        return structs.replace(known, pace=fresh(step.pace), receipt_h=event.receipt_h)
    if step.fenced and event.act.turn == step.pace.turn:
        # No operator accepts a confirm any more, and this one's lease still ends where it did.
        why = Fault("OPERATOR_REFUSED", "the confirm of the extension was not in time")
        return structs.replace(step, standing=Standing.LAPSED, pace=fresh(step.pace), fault=why)
    return structs.replace(step, pace=_later(state, step, index)) if event.act.turn == step.pace.turn else step


def _in_force(state: OrderState, extension: Extension, index: int, segment: Segment) -> bool:
    """Whether a lease is as the extension is to make it, and where it was: a receipt that names other labels than the
    lease has confirms nothing."""
    before = state.legs[index].in_force
    same = segment.bandwidth_bps == extension.pledges[index].quoted.bandwidth_bps
    moved = before is not None and (before.a, before.z) != (segment.a, segment.z)
    return same and not moved and segment.window.end_s >= extension.until_s


def _since_s(state: OrderState, step: Step, event: Receipted) -> int:
    """Since when it counts: by the receipt, but not before our confirm nor after now, as far as clocks differ."""
    earliest = (step.confirm.iat if step.confirm else state.now_s) - SKEW_S
    return max(earliest, min(event.receipt.iat, state.now_s + SKEW_S))


def _returned(state: OrderState, extension: Extension, step: Step, event: Receipted) -> Step:
    """Of a receipt while another bandwidth is taken back. One that was asked for before says nothing."""
    if not isinstance(event.act, SendBack) and event.act.turn != step.pace.turn:
        return step
    known = structs.replace(step, receipt_h=event.receipt_h, in_force=event.receipt.segment)
    if not _in_force(state, extension, event.act.leg, event.receipt.segment):
        return structs.replace(known, standing=Standing.RETURNED, pace=fresh(step.pace))
    return structs.replace(step, pace=_later(state, step, event.act.leg), check=False)


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
    if extension.phase is Phase.RETURNING:
        return _returning(state, extension)
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


def passed_s(extension: Extension) -> int:
    """Unix second from which no operator takes a confirm any more, whatever its clock."""
    return extension.confirm_by + SKEW_S + 1


def _fenced(state: OrderState, extension: Extension, step: Step) -> Step:
    """Once no confirm is taken any more, what is pending is asked for anew: an answer to a question from before then
    would not tell of a confirm that came after it."""
    if step.fenced or step.standing is not Standing.PENDING or state.now_s < passed_s(extension):
        return step
    return structs.replace(step, fenced=True, pace=in_doubt(step.pace))


def _confirming(state: OrderState, extension: Extension) -> OrderState:
    steps = [_fenced(state, extension, step) for step in extension.steps]
    if tuple(steps) != extension.steps:
        return _with_steps(state, steps)
    standings = [step.standing for step in extension.steps]
    if Standing.PENDING in standings:
        return state
    if Standing.LAPSED not in standings:
        return _extended(state, extension)
    if extension.bandwidth_bps is not None:
        anew = [structs.replace(step, pace=fresh(step.pace), check=False) for step in extension.steps]
        return _with_steps(structs.replace(state, extension=structs.replace(extension, phase=Phase.RETURNING)), anew)
    lapsed = standings.index(Standing.LAPSED)
    over = state.terms.parts[lapsed].operator
    legs = [
        _longer(leg, step, pledge, over) if step.standing is Standing.EXTENDED else leg
        for leg, step, pledge in zip(state.legs, extension.steps, extension.pledges, strict=True)
    ]
    return dropped(structs.replace(state, legs=tuple(legs)), _lapse(state, extension))


def _lapse(state: OrderState, extension: Extension) -> str:
    """Whose confirm is missing, and why."""
    lapsed = next(index for index, step in enumerate(extension.steps) if step.standing is Standing.LAPSED)
    fault = extension.steps[lapsed].fault
    return f"{_name(state, lapsed)}: {fault.detail if fault else 'the confirm lapsed'}"


def lapsed_at(state: OrderState) -> str | None:
    """The operator whose confirm of the change under way is missing."""
    steps = state.extension.steps if state.extension else ()
    lapsed = [index for index, step in enumerate(steps) if step.standing is Standing.LAPSED]
    return state.terms.parts[lapsed[0]].operator if lapsed else None


def _returning(state: OrderState, extension: Extension) -> OrderState:
    """Every operator that confirmed is told that another did not; it is heard until the change is final there."""
    steps = [_taking_back(state, extension, step) for step in extension.steps]
    if tuple(steps) != extension.steps:
        return _with_steps(state, steps)
    if any(step.standing is Standing.EXTENDED for step in steps):
        return state
    for index, step in enumerate(steps):
        if step.standing is Standing.KEPT:
            state = noted(
                state, f"{_name(state, index)} could not be told, and keeps the other bandwidth at its own cost"
            )
    pairs = zip(state.legs, steps, strict=True)
    legs = [
        structs.replace(leg, receipt_h=step.receipt_h, in_force=step.in_force or leg.in_force) for leg, step in pairs
    ]
    return dropped(structs.replace(state, legs=tuple(legs)), _lapse(state, extension))


def _taking_back(state: OrderState, extension: Extension, step: Step) -> Step:
    if step.standing is not Standing.EXTENDED:
        return step
    if state.now_s >= final_s(extension):
        return structs.replace(step, standing=Standing.KEPT)
    present = step.back
    if present is not None and (state.now_s < present.iat + RESIGN_AFTER_S or step.check):
        return step
    back = Sent(
        iat=state.now_s,
        n=present.n + 1 if present else 0,
        order_h=step.order_h,
        prev_h=step.receipt_h,
        void=lapsed_at(state),
    )
    return structs.replace(step, back=back)


def final_s(extension: Extension) -> int:
    """Unix second from which no operator takes a change of bandwidth back any more, whatever its clock."""
    return extension.confirm_by + VOID_WITHIN_S + SKEW_S


def _extended(state: OrderState, extension: Extension) -> OrderState:
    triples = zip(state.legs, extension.steps, extension.pledges, strict=True)
    since = extension.bandwidth_bps is not None
    legs = tuple(
        _longer(leg, step, structs.replace(pledge, from_s=step.at_s if since else None), None)
        for leg, step, pledge in triples
    )
    freed = extension.freed.micro if extension.freed else 0
    total = Money(state.total.currency, max(0, state.total.micro - freed) + extension.total.micro)
    end_s, bps = extension.until_s, extension.bandwidth_bps
    state = structs.replace(state, legs=legs, end_s=end_s, total=total, extension=None, fault=None)
    if bps is None:
        return noted(state, f"extended until {moment(end_s):%Y-%m-%dT%H:%M:%SZ}")
    return noted(structs.replace(state, resized_bps=bps), f"resized to {bps} bit/s")


def _longer(leg: Leg, step: Step, pledge: Pledge, over: str | None) -> Leg:
    """A segment whose operator confirmed the extension."""
    return structs.replace(
        leg, receipt_h=step.receipt_h, in_force=step.in_force, over=over, longer=(*leg.longer, pledge)
    )


def dropped(state: OrderState, why: str) -> OrderState:
    """The state with its extension given up: nobody is confirmed any more, holds are let go."""
    extension = state.extension
    if extension is None or extension.phase is Phase.DROPPED:
        return state
    steps = tuple(structs.replace(step, pace=fresh(step.pace)) for step in extension.steps)
    over = structs.replace(extension, phase=Phase.DROPPED, steps=steps)
    what = "extended" if extension.bandwidth_bps is None else "resized"
    fault = Fault("OPERATOR_REFUSED", f"not {what}: {why}")
    return noted(structs.replace(state, extension=over, fault=fault), fault.detail)


def still_held(state: OrderState, extension: Extension, index: int) -> bool:
    """Whether a hold of an extension may still be there without an order."""
    step = extension.steps[index]
    return step.standing in UNSETTLED and not step.let_go and state.now_s < extension.pledges[index].held_until


def undecided(state: OrderState) -> bool:
    """Whether the path's end has to wait, because operators may have been told of a later one."""
    extension = state.extension
    longer = extension is not None and extension.bandwidth_bps is None
    confirming = extension is not None and longer and extension.phase is Phase.CONFIRMING
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

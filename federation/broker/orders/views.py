"""An order as its buyer sees it (pure)."""

from __future__ import annotations

from msgspec import structs

from federation.broker.orders.saga.fold import RANK
from federation.broker.orders.saga.idle import idle_at_s
from federation.broker.orders.saga.state import Leg, OrderState, Part, Phase
from schemas.answer import EndView, LeaseView, OrderView
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.problem import Outcome
from schemas.segment import End, moment, window

OUTCOMES = {State.FAILED: Outcome.UNDONE, State.COMPENSATING: Outcome.PENDING}


def order_view(state: OrderState) -> OrderView:
    """The order with every segment; `outcome` says what an order that failed left behind."""
    idle_at = idle_at_s(state)
    return OrderView(
        id=state.terms.id,
        state=state.state,
        quote=state.terms.quote,
        window=window(state.terms.start_s, state.end_s),
        bandwidth_bps=state.bandwidth_bps,
        total=state.total,
        segments=tuple(lease_view(part, leg) for part, leg in zip(state.terms.parts, state.legs, strict=True)),
        history=state.history,
        outcome=OUTCOMES.get(state.state),
        why=state.fault.detail if state.fault else None,
        bill=state.bill,
        idle_release_s=state.terms.idle_release_s,
        idle_release_at=None if idle_at is None else moment(idle_at),
        replaces=state.terms.replaces,
        replaced_by=state.replaced_by,
    )


def lease_view(part: Part, leg: Leg) -> LeaseView:
    """One operator's part, with the labels in force, or those held before there were any."""
    segment = leg.in_force or part.pledge.quoted
    return LeaseView(
        operator=part.operator,
        operator_name=part.name,
        product=leg.product,
        state=leg.state,
        a=_end(part.a, segment.a),
        z=_end(part.z, segment.z),
        receipt_h=leg.receipt_h,
        bill=leg.bill,
    )


def stands_still(state: OrderState) -> bool:
    """Whether nothing is on its way: ended, in force and not being changed or replaced, or waiting for its start."""
    if state.state in TERMINAL:
        return True
    if state.state is State.REROUTING:
        return False
    if state.state in BILLABLE:
        return state.extension is None or state.extension.phase is Phase.DROPPED
    waiting = state.state is State.COMMITTED and state.now_s < state.terms.start_s
    return waiting and all(RANK[leg.state] for leg in state.legs)


def _end(view: EndView, end: End) -> EndView:
    return structs.replace(view, label=end.label)

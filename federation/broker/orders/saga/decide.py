"""The decision: a state and an event in, the next state and what should be going on now out."""

from __future__ import annotations

from federation.broker.orders.saga.advance import advance
from federation.broker.orders.saga.due import due
from federation.broker.orders.saga.effects import Effect
from federation.broker.orders.saga.events import Event, Restarted
from federation.broker.orders.saga.fold import fold
from federation.broker.orders.saga.pace import SECOND_US
from federation.broker.orders.saga.state import Leg, OrderState, Sent, Terms
from schemas.answer import Change
from schemas.lease import State
from schemas.segment import moment


def decide(state: OrderState, event: Event) -> tuple[OrderState, tuple[Effect, ...]]:
    """The next state, to be journaled first, and every effect that should be going on from then on.

    An effect that is returned again is the same one, not another: start only what is not running.
    """
    after = concluded(state, event)
    return after, due(after)


def concluded(state: OrderState, event: Event) -> OrderState:
    """The next state alone: of several events in a row only what is due after the last one is done."""
    return advance(fold(state, event))


def begin(terms: Terms, end_s: int, at_us: int) -> tuple[OrderState, tuple[Effect, ...]]:
    """A new order on accepted terms, and its first effects. `end_s` is the end of the window."""
    assert terms.parts, "a path has at least one segment"
    now_s = at_us // SECOND_US
    state = OrderState(
        terms=terms,
        state=State.COMMITTED,
        at_us=at_us,
        end_s=end_s,
        total=terms.total,
        confirm_by=max(now_s, terms.start_s) + terms.confirm_within_s,
        legs=tuple(Leg(order=Sent(iat=now_s)) for _ in terms.parts),
        history=(Change(state=State.COMMITTED, at=moment(now_s)),),
    )
    return state, due(state)


def resume(state: OrderState, at_us: int) -> tuple[OrderState, tuple[Effect, ...]]:
    """Take a journaled order up again after a restart."""
    return decide(state, Restarted(at_us))

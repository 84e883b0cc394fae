"""Every interleaving of the pure core with tiny operators: answers, losses, late arrivals, a crash, a release, time.

An operator is a tuple, so that states can be compared; what differs only in counters counts as the same. Time moves
only to where the saga waits for it, or stands still.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from federation.broker.orders.saga.decide import begin, decide
from federation.broker.orders.saga.effects import (
    Act,
    AskLease,
    AskOutcome,
    DeclineHold,
    SendConfirm,
    SendOrder,
    SendRelease,
    WaitUntil,
)
from federation.broker.orders.saga.events import (
    Declined,
    Event,
    Missing,
    Receipted,
    Refused,
    ReleaseAsked,
    Restarted,
    Tick,
    Unanswered,
)
from federation.broker.orders.saga.pace import FENCE_S, MARGIN_S, ORDER_LIFE_S, RESIGN_AFTER_S
from federation.broker.orders.saga.state import Fault, OrderState, Part, Pledge, Terms
from schemas.answer import EndView
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.order import Bill, Receipt
from schemas.price import Line, Money, RateTable
from schemas.segment import End, Segment, window

NOW = 1_795_000_000
LOST = Fault("OPERATOR_UNREACHABLE", "no answer")
NO = Fault("OPERATOR_REFUSED", "no")
HOLD_S, LASTS_S = 30, 2000


class Op(NamedTuple):
    """One operator: its quote, its lease, whether it was ever ACTIVE, whether it is void."""

    quote: State = State.HELD
    lease: State | None = None
    used: bool = False
    void: bool = False


class Node(NamedTuple):
    """Where everything stands. `stray` are acts whose sender no longer waits, still on their way."""

    state: OrderState
    ops: tuple[Op, ...]
    flying: tuple[Act, ...]
    wake_us: int | None
    stray: tuple[tuple[str, int, int], ...] = ()
    faults: int = 1
    crashes: int = 1
    releases: int = 1
    trail: tuple[str, ...] = ()


def start(*, operators: int = 2, start_in_s: int = 0, faults: int = 1, crashes: int = 1, releases: int = 1) -> Node:
    """An order just placed."""
    terms = Terms(
        id="o" * 22, buyer="b", issuer="https://broker.example", quote="q", path_root="r" * 43,
        start_s=NOW + start_in_s, bandwidth_bps=10**9, placed_s=NOW, total=Money("EUR", 2),
        parts=tuple(_part(index, start_in_s) for index in range(operators)), rates=RateTable("2026-11-02", {}),
    )  # fmt: skip
    state, effects = begin(terms, NOW + start_in_s + LASTS_S, NOW * 1_000_000)
    node = Node(state, (Op(),) * operators, (), None, faults=faults, crashes=crashes, releases=releases)
    return _with_effects(node, effects)


def _part(index: int, start_in_s: int) -> Part:
    name = f"op{index}"
    span = window(NOW + start_in_s, NOW + start_in_s + LASTS_S)
    quoted = Segment(a=End("a", 100 + index), z=End("z", 101 + index), bandwidth_bps=10**9, window=span)
    pledge = Pledge(
        quote_id=f"q{index}", quote_h="h" * 43, quoted=quoted, amount=Money("EUR", 1), held_until=NOW + HOLD_S
    )
    end = EndView(interface="i", city="c", country="NL")
    return Part(operator=f"https://{name}.example", name=name, sub="s", a=end, z=end, pledge=pledge)


def following(node: Node) -> Iterator[Node]:
    """Everything that may happen next."""
    for act in node.flying:
        yield from _answers(node, act)
    for index, (kind, leg, sent_s) in enumerate(node.stray):
        op, _ = _applied(node, kind, leg, sent_s)
        left = (*node.stray[:index], *node.stray[index + 1 :])
        yield _with_op(node, leg, op)._replace(stray=left, trail=(*node.trail, f"late {kind} {leg}"))
    if node.wake_us is not None:
        yield _told(_timed(node, node.wake_us), Tick(node.wake_us), "time")
    if node.crashes:
        strays = tuple(_stray(node, act) for act in node.flying)
        crashed = node._replace(flying=(), stray=node.stray + strays, crashes=node.crashes - 1)
        yield _told(crashed, Restarted(node.state.at_us), "crash")
    if node.releases and node.state.state not in TERMINAL:
        yield _told(node._replace(releases=node.releases - 1), ReleaseAsked(node.state.at_us), "release")


def _answers(node: Node, act: Act) -> Iterator[Node]:
    rest, name = (
        node._replace(flying=tuple(one for one in node.flying if one != act)),
        f"{type(act).__name__} {act.leg}",
    )
    at_us, kind = node.state.at_us, type(act).__name__
    op, event = _applied(node, kind, act.leg, _sent_s(node, act), act)
    answered = _with_op(rest, act.leg, op)
    yield _told(answered, event, name)
    if not node.faults:
        return
    lost = Unanswered(at_us, act, LOST)
    rest, answered = rest._replace(faults=rest.faults - 1), answered._replace(faults=answered.faults - 1)
    yield _told(rest, lost, f"{name} lost")
    yield _told(answered, lost, f"{name} answer lost")
    yield _told(rest._replace(stray=(*rest.stray, _stray(node, act))), lost, f"{name} delayed")
    if isinstance(act, SendOrder | SendConfirm):
        yield _told(rest, Refused(at_us, act, NO), f"{name} refused")


def _stray(node: Node, act: Act) -> tuple[str, int, int]:
    return type(act).__name__, act.leg, _sent_s(node, act)


def _sent_s(node: Node, act: Act) -> int:
    """The iat of the document that an act sends: it expires a minute later."""
    leg = node.state.legs[act.leg]
    release_s = leg.release.iat if leg.release else 0
    confirm_s = leg.confirm.iat if leg.confirm else 0
    return {SendOrder: leg.order.iat, SendConfirm: confirm_s, SendRelease: release_s}.get(type(act), 0)


def _applied(node: Node, kind: str, leg: int, sent_s: int, act: Act | None = None) -> tuple[Op, Event]:
    """What an operator makes of a request now, and what it answers to whoever still waits."""
    op, at_us, now_s = node.ops[leg], node.state.at_us, node.state.now_s
    act = act or AskLease(leg, -1)
    expired = kind in {"SendOrder", "SendConfirm", "SendRelease"} and now_s >= sent_s + ORDER_LIFE_S
    no = Refused(at_us, act, NO)
    match kind:
        case "SendOrder" if op.lease is None:
            if expired or op.quote is not State.HELD:
                return op, no
            op = _timed_op(op._replace(quote=State.COMMITTED, lease=State.COMMITTED), node, now_s)
        case "SendConfirm":
            if op.lease not in {State.UP, State.ACTIVE} or (op.lease is State.UP and expired):
                return op, no
            op = op._replace(lease=State.ACTIVE, used=True)
        case "SendRelease":
            if expired:
                return op, no
            void = node.state.legs[leg].release is not None and node.state.void is not None
            op = op._replace(lease=State.RELEASED, void=op.void or void)
        case "DeclineHold":
            return (op._replace(quote=State.DECLINED) if op.quote is State.HELD else op), Declined(at_us, act)
    return op, Missing(at_us, act) if op.lease is None else Receipted(at_us, act, _receipt(node, leg, op), "x" * 43)


def _receipt(node: Node, leg: int, op: Op) -> Receipt:
    assert op.lease is not None
    part, micro = node.state.terms.parts[leg], billed(op)
    bill = Bill(start=None, end=None, lines=(Line("port", micro),), total=Money("EUR", micro))
    return Receipt(
        iss=part.operator, sub="s", aud="https://broker.example", iat=NOW, exp=NOW + 1, jti="j" * 22, order_h="d" * 43,
        quote_h=None, prev_h=None, product=f"p{leg}", state=op.lease, segment=part.pledge.quoted,
        bill=bill if op.lease in TERMINAL else None,
    )  # fmt: skip


def billed(op: Op) -> int:
    """What an operator bills."""
    return 1 if op.lease is State.RELEASED and op.used and not op.void else 0


def _timed(node: Node, at_us: int) -> Node:
    now_s = at_us // 1_000_000
    return node._replace(ops=tuple(_timed_op(op, node, now_s) for op in node.ops))


def _timed_op(op: Op, node: Node, now_s: int) -> Op:
    """An operator at a later time: up at the start, down at confirm_by or at the end."""
    state = node.state
    if op.quote is State.HELD and now_s >= NOW + HOLD_S:
        op = op._replace(quote=State.EXPIRED)
    if op.lease is State.COMMITTED and now_s >= state.terms.start_s:
        op = op._replace(lease=State.UP)
    lapsed = op.lease in {State.UP, State.COMMITTED} and now_s >= state.confirm_by
    over = op.lease in BILLABLE and now_s >= state.end_s
    return op._replace(lease=State.RELEASED) if lapsed or over else op


def _told(node: Node, event: Event, what: str) -> Node:
    state, effects = decide(node.state, event)
    return _with_effects(node._replace(state=state, trail=(*node.trail, what)), effects)


def _with_effects(node: Node, effects: tuple[object, ...]) -> Node:
    """The acts that are wanted and not under way take off."""
    acts = tuple(
        e for e in effects if isinstance(e, SendOrder | AskOutcome | DeclineHold | SendConfirm | AskLease | SendRelease)
    )
    wakes = [e.at_us for e in effects if isinstance(e, WaitUntil)]
    new = tuple(act for act in acts if act not in node.flying)
    return node._replace(flying=node.flying + new, wake_us=wakes[0] if wakes else None)


def _with_op(node: Node, leg: int, op: Op) -> Node:
    return node._replace(ops=(*node.ops[:leg], op, *node.ops[leg + 1 :]))


def alike(node: Node) -> object:
    """What two nodes have in common when nothing that may follow tells them apart."""
    state, now_s = node.state, node.state.now_s
    marks = [state.terms.placed_s + ORDER_LIFE_S - MARGIN_S, state.confirm_by - MARGIN_S, state.confirm_by]
    marks += [NOW + HOLD_S, NOW + FENCE_S, state.terms.start_s, state.end_s]
    legs = tuple(
        (
            leg.state, leg.missing, leg.let_go, leg.fenced, leg.check, leg.voided, leg.fault is not None,
            leg.pace.tries > 0, leg.pace.not_before_us > state.at_us, leg.confirm is not None,
            None if leg.release is None else now_s - leg.release.iat >= RESIGN_AFTER_S,
            leg.bill is not None and leg.bill.total.micro,
        )
        for leg in state.legs
    )  # fmt: skip
    flying = frozenset((type(act), act.leg, act.turn == state.legs[act.leg].pace.turn) for act in node.flying)
    stray = tuple(sorted((kind, leg, now_s - sent_s >= ORDER_LIFE_S) for kind, leg, sent_s in node.stray))
    flags = (state.state, state.release_asked, state.was_active, state.ended, state.void)
    budget = (node.faults, node.crashes, node.releases, node.wake_us is None)
    return flags, tuple(now_s >= mark for mark in marks), legs, node.ops, flying, stray, budget

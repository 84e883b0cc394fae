"""What must hold once everything is quiet. Each promise yields what breaks it, in words."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from federation.broker.orders.saga.state import OrderState
from schemas.lease import BILLABLE, TERMINAL, State
from schemas.price import ceil_div
from schemas.token import SKEW_S
from tests.support.world.operator import WorldOperator

Operators = Sequence[WorldOperator]


def broken(states: Sequence[OrderState], operators: Operators) -> list[str]:
    """Every promise that does not hold."""
    promises = (settled, all_or_nothing, one_bandwidth, one_in_place, no_orphan, once, honest_bills, labels_agree)
    return [f"{promise.__name__}: {what}" for promise in promises for what in promise(states, operators)]


def settled(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """Every order stands still; nobody had to help."""
    for state in states:
        waiting = state.state is State.COMMITTED and state.now_s < state.terms.start_s
        if state.state not in TERMINAL | BILLABLE and not waiting:
            yield f"order {state.terms.id} is {state.state}, legs {[str(leg.state) for leg in state.legs]}"
        if state.state in TERMINAL and any(leg.state not in TERMINAL for leg in state.legs):
            yield f"order {state.terms.id} is over, legs {[str(leg.state) for leg in state.legs]}"


def all_or_nothing(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """A path is ACTIVE on every operator, until the same end, or on none."""
    for state in states:
        if abs(state.end_s - operators[0].true_now()) < SKEW_S:
            continue  # every clock has an end of its own
        leases = [_lease(operators, part.operator, leg.product) for part, leg in _pairs(state)]
        at_operators = [lease.state if lease else None for lease in leases]
        active = [found in BILLABLE for found in at_operators]
        if any(active) != all(active) or all(active) != (state.state in BILLABLE):
            yield f"order {state.terms.id} is {state.state}, its operators say {at_operators}"
        ends = {lease.end_s for leg, lease in zip(state.legs, leases, strict=True) if lease and leg.over is None}
        if all(active) and ends - {state.end_s}:
            yield f"order {state.terms.id} ends at {state.end_s}, its operators say {ends}"


def one_bandwidth(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """A path in force has one bandwidth, at every operator."""
    for state in states:
        if state.state not in BILLABLE or state.extension is not None:
            continue
        leases = [_lease(operators, part.operator, leg.product) for part, leg in _pairs(state)]
        found = {lease.segment.bandwidth_bps for lease in leases if lease and lease.state in BILLABLE}
        if found - {state.bandwidth_bps}:
            yield f"order {state.terms.id} has {state.bandwidth_bps} bit/s, its operators say {found}"


def one_in_place(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """Of an order and the one that replaces it one is in force, and neither waits for the other."""
    known = {state.terms.id: state for state in states}
    for state in states:
        before = known.get(state.terms.replaces or "")
        if state.state is State.REROUTING:
            yield f"order {state.terms.id} still waits for {state.replaced_by}"
        if before is not None and {state.state, before.state} <= BILLABLE:
            yield f"orders {before.terms.id} and {state.terms.id} are both in force"
        if before is not None and state.was_active and before.replaced_by != state.terms.id:
            yield f"order {before.terms.id} does not say what replaced it"


def no_orphan(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """Nothing is held or leased that no live order owns."""
    owned = {
        (part.operator, leg.product) for state in states if state.state not in TERMINAL for part, leg in _pairs(state)
    }
    for operator in operators:
        for lease in operator.live():
            if (operator.entity, lease.id) not in owned:
                yield f"{operator.name} keeps {lease.id} in {lease.state}, and no live order owns it"
        for quote in operator.held():
            yield f"{operator.name} still holds {quote.id}"


def once(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """One document per `jti`; one lease per quote; one order per lease."""
    for operator in operators:
        yield from operator.complaints
    owners: dict[tuple[str, str], str] = {}
    for state in states:
        for part, leg in _pairs(state):
            if leg.product and owners.setdefault((part.operator, leg.product), state.terms.id) != state.terms.id:
                yield f"{leg.product} belongs to two orders"


def honest_bills(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """Nobody pays for a path that never was ACTIVE; otherwise the bill is the sum of the segments, converted."""
    for state in states:
        if state.state not in TERMINAL:
            continue
        if state.bill is None:
            yield f"order {state.terms.id} is over and has no bill"
            continue
        owed = 0
        for part, leg in _pairs(state):
            lease = _lease(operators, part.operator, leg.product)
            micro = lease.bill.total.micro if lease and lease.bill else 0
            if micro and not state.was_active:
                yield f"{part.name} bills {micro} for order {state.terms.id}, which never was ACTIVE"
            worth = state.terms.rates.worth_ppm
            owed += ceil_div(micro * worth[part.pledge.amount.currency], worth[state.total.currency])
        disputed = any(" bills " in entry.why for entry in state.history)
        if disputed and state.extensions and state.bill.total.micro < owed:
            continue  # a change that was not confirmed everywhere, while it was taken back
        if state.bill.total.micro != (owed if state.was_active else 0):
            yield f"order {state.terms.id} bills {state.bill.total.micro}, its segments come to {owed}"
        if state.bill.total.micro != sum(line.micro for line in state.bill.lines):
            yield f"the bill of order {state.terms.id} does not add up"
        if state.state is State.FAILED and state.bill.total.micro:
            yield f"order {state.terms.id} failed and costs something"


def labels_agree(states: Sequence[OrderState], operators: Operators) -> Iterator[str]:
    """No path is ACTIVE whose operators put different labels on one interconnect."""
    for state in states:
        ends = [_in_force(operators, part.operator, leg.product) for part, leg in _pairs(state)]
        if state.state not in BILLABLE or None in ends:
            continue
        for left, right in itertools.pairwise(ends):
            if left and right and left.z.label != right.a.label:
                yield f"order {state.terms.id} is ACTIVE with labels {left.z.label} and {right.a.label}"


def _pairs(state: OrderState):  # type: ignore[no-untyped-def]
    return zip(state.terms.parts, state.legs, strict=True)


def _operator(operators: Operators, entity: str) -> WorldOperator:
    return next(operator for operator in operators if operator.entity == entity)


def _lease(operators: Operators, entity: str, product: str | None):  # type: ignore[no-untyped-def]
    operator = _operator(operators, entity)
    operator.settle()
    return operator.leases.get(product or "")


def _in_force(operators: Operators, entity: str, product: str | None):  # type: ignore[no-untyped-def]
    operator = _operator(operators, entity)
    lease = operator.leases.get(product or "")
    return operator.mislabelled.get(lease.id, lease.segment) if lease else None

"""Statements in a simulated federation: whatever became of an order, what it came to follows from what was signed."""

from __future__ import annotations

from collections.abc import Iterator

from federation.broker.orders.saga.state import OrderState
from federation.broker.orders.saga.statement import statement_claims
from federation.evidence.verify.stated import check_statement
from schemas.lease import TERMINAL
from schemas.problem import Problem
from tests.simulation.world.operator import SimOperator


def stated_wrong(states: Iterator[OrderState], operators: dict[str, SimOperator]) -> Iterator[str]:
    """Why the statement of an order that is over does not add up; receipts are those that its operators keep."""
    for state in states:
        if state.state not in TERMINAL or state.bill is None:
            continue
        receipts = {}
        for part, leg in zip(state.terms.parts, state.legs, strict=True):
            found = operators[part.operator].store.rows["documents"].get(leg.receipt_h)
            if found is not None:
                receipts[leg.receipt_h] = found.token
        stated = statement_claims(state, receipts)
        try:
            check_statement(stated)
        except Problem as problem:
            yield f"the statement of order {state.terms.id}: {problem.detail}"
        if stated.total != state.bill.total:
            yield f"order {state.terms.id} is stated with {stated.total}, billed with {state.bill.total}"

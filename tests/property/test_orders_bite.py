"""The seeds bite: with each of these rules bent, a run of the world breaks a promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from federation.broker.orders import recovery
from federation.broker.orders.lane import Lane
from federation.broker.orders.saga import advance, agree, bill, claims, due, extension, fold, pace, state
from tests.support.world.bent import bend
from tests.support.world.run import Plan, play

SEEDS = 600


class Bent(NamedTuple):
    """A rule, what it says, what it is made to say, and the kind of run that should notice."""

    name: str
    edits: tuple[tuple[Callable[..., Any], str, str], ...]
    plan: Plan = Plan()


FAR = Plan(start_in_s=20_000)
WILD = Plan(fault=0.5, crash=0.1)
LONGER = Plan(start_in_s=0, release=0.0, fault=0.2)
BENT = (
    Bent("confirm when one segment is up", ((advance.committed, "if all(leg.state is State.UP", "if any(leg.state is State.UP"),)),
    Bent("active when one segment is confirmed", ((advance.up, "if all(leg.state in BILLABLE", "if any(leg.state in BILLABLE"),)),
    Bent("labels not compared", (
        (fold._learnt, "fault = fault or differs(quoted, receipt.segment, state.end_s)", "pass"),
        (agree._labelled, "left.label == right.label", "True"),
    )),
    Bent("undone without void", ((advance._released, "void = state.void or", "void = None and"),)),
    Bent("no void after the end", ((state.owing, "not leg.voided", "False"),), WILD),
    Bent("unknown taken for not ordered", ((advance._never_ordered, "or not leg.missing", ""),), FAR),
    Bent("not found taken for never", ((advance._never_ordered, "if leg.let_go:", "if True:"),), FAR),
    Bent("a new jti for every try", ((claims.order_claims, '"order", change)', '"order", change, state.legs[leg].pace.turn)'),)),
    Bent("one jti for every release", ((advance._released, "n=present.n + 1 if present else 0", "n=0"),)),
    Bent("releases never signed again", ((advance._released, "state.now_s < present.iat + RESIGN_AFTER_S", "True"),)),
    Bent("no recovery", ((recovery.recover, "for state in states:", "for state in ():"),)),
    Bent("nothing in doubt after a restart", ((fold._restarted, "if state.state in BILLABLE:", "if True:"),)),
    Bent("effects before the journal", ((
        Lane._journal,
        "await self._shell.store.save(state, claims, filed)",
        'self._shell.spawn(self._shell.store.save(state, claims, filed), "later")',
    ),)),
    Bent("old receipts believed", ((fold._learnt, "if RANK[receipt.state] < RANK[leg.state]:", "if False:"),)),
    Bent("late receipts ignored", (
        (fold._answered, "if isinstance(event, Receipted):", "if isinstance(event, Receipted) and not state.fault:"),
    )),
    Bent("no second try", ((pace.again, "not_before_us=at_us + wait_us", "not_before_us=at_us + 10**15"),)),
    Bent("extended when one segment is", (
        (extension._confirming, "if Standing.PENDING in standings:", "if Standing.EXTENDED in standings:\n        return _extended(state, extension)\n    if Standing.PENDING in standings:"),
    ), LONGER),
    Bent("extension confirmed before all are pending", (
        (extension._ordering, "return state if waiting else", "return"),
    ), LONGER),
    Bent("bill without conversion", ((bill.path_bill, "state.terms.rates.convert(bill.total, currency).micro", "bill.total.micro"),)),
    Bent("the end is not noticed", ((advance.active, "and state.now_s >= state.end_s and not", "and False and not"),)),
    Bent("holds and orders let go without asking", ((due._winding_up, "return AskOutcome(index, turn) if leg.pace.tries else None", "return None"),)),
)  # fmt: skip


@pytest.mark.parametrize("bent", BENT, ids=lambda bent: bent.name.replace(" ", "-"))
def test_a_bent_rule_is_found(bent: Bent, monkeypatch: pytest.MonkeyPatch) -> None:
    for function, straight, crooked in bent.edits:
        bend(monkeypatch, function, straight, crooked)
    found = next((seed for seed in range(SEEDS) if play(seed, bent.plan).broken), None)
    assert found is not None, f"{SEEDS} seeds did not notice: {bent.name}"
    print(f"{bent.name}: seed {found}: {play(found, bent.plan).broken[0]}")

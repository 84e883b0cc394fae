"""The seeds bite: with each of these rules bent, a run of the world breaks a promise, and says which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from federation.broker.orders import recovery
from federation.broker.orders.lane import Lane
from federation.broker.orders.saga import advance, agree, bill, claims, due, extension, fold, pace
from tests.support.world.bent import bend
from tests.support.world.run import Plan, play

SEEDS = 400
Edit = tuple[Callable[..., Any], str, str]


class Bent(NamedTuple):
    """A rule bent: where, what it says, what it is made to say; the kind of run that notices, and how."""

    name: str
    promise: str
    edits: tuple[Edit, ...]
    plan: Plan = Plan()


FAR = Plan(start_in_s=20_000, fault=0.35, crash=0.06)
ROUGH = Plan(start_in_s=0, fault=0.3, crash=0.02)
EARLY = Plan(start_in_s=0, lasts_s=10_000, release=1.0, fault=0.2)
LONGER = Plan(start_in_s=0, release=0.0, fault=0.2)

BENT = (
    Bent("confirm when one segment is up", "a broker stopped", (
        (advance.committed, "if all(leg.state is State.UP", "if any(leg.state is State.UP"),
    )),
    Bent("active when one segment is confirmed", "all_or_nothing", (
        (advance.up, "if all(leg.state in BILLABLE", "if any(leg.state in BILLABLE"),
    ), ROUGH),
    Bent("labels not compared", "labels_agree", (
        (fold._learnt, "fault = fault or differs(quoted, receipt.segment, state.end_s)", "pass"),
        (agree._labelled, "left.label == right.label", "True"),
    ), Plan(start_in_s=0, fault=0.0, crash=0.0, wishes=False)),
    Bent("undone without void", "honest_bills", (
        (advance._released, "void = state.void or", "void = None and"),
    ), ROUGH),
    Bent("unknown taken for not ordered", "no_orphan", (
        (advance._never_ordered, "if leg.missing and", "if leg.pace.tries or"),
    ), FAR),
    Bent("not found taken for never", "no_orphan", (
        (advance._never_ordered, "if leg.missing and (leg.let_go or leg.fenced):", "if leg.missing:"),
    ), FAR),
    Bent("a new jti for every try", "no_orphan", (
        (claims.order_claims, '"order", change)', '"order", change, state.legs[leg].pace.turn)'),
    ), FAR),
    Bent("one jti for every release", "once", (
        (advance._released, "n=present.n + 1 if present else 0", "n=0"),
    ), EARLY),
    Bent("releases never signed again", "settled", (
        (advance._released, "state.now_s < present.iat + RESIGN_AFTER_S", "True"),
    ), EARLY),
    Bent("no recovery", "settled", ((recovery.recover, "for state in states:", "for state in ():"),)),
    Bent("effects before the journal", "once", ((
        Lane._journal,
        "await self._shell.store.save(state, claims, filed)",
        'self._shell.spawn(self._shell.store.save(state, claims, filed), "later")',
    ),)),
    Bent("old receipts believed", "settled", (
        (fold._learnt, "if RANK[receipt.state] < RANK[leg.state]:", "if False:"),
    ), ROUGH),
    Bent("late receipts ignored", "settled", (
        (fold._answered, "if isinstance(event, Receipted):", "if isinstance(event, Receipted) and not state.fault:"),
    )),
    Bent("no second try", "settled", ((pace.again, "not_before_us=at_us + wait_us", "not_before_us=at_us + 10**15"),)),
    Bent("extended when one segment is", "all_or_nothing", (
        (extension._confirming, "if Standing.PENDING in standings:", "if Standing.EXTENDED not in standings:"),
        (extension._confirming, "if Standing.LAPSED not in standings:", "if True:"),
    ), LONGER),
    Bent("extension confirmed before all are pending", "all_or_nothing", (
        (extension._ordering, "return state if waiting else", "return"),
    ), LONGER),
    Bent("bill without its first segment", "honest_bills", (
        (bill.path_bill, "total=Money(currency, total(lines))", "total=Money(currency, total(lines[1:]))"),
    )),
    Bent("the end is not noticed", "all_or_nothing", (
        (advance.active, "and state.now_s >= state.end_s and not", "and False and not"),
    )),
    Bent("doubts left alone", "settled", (
        (due._winding_up, "return AskOutcome(index, turn) if leg.pace.tries else None", "return None"),
    )),
)  # fmt: skip


@pytest.mark.parametrize("bent", BENT, ids=lambda bent: bent.name.replace(" ", "-"))
def test_a_bent_rule_is_found(bent: Bent, monkeypatch: pytest.MonkeyPatch) -> None:
    for function, straight, crooked in bent.edits:
        bend(monkeypatch, function, straight, crooked)
    for seed in range(SEEDS):
        if broken := play(seed, bent.plan).broken:
            print(f"{bent.name}: seed {seed}: {broken[0]}")
            assert any(what.startswith((bent.promise, f"in the end {bent.promise}")) for what in broken)
            return
    pytest.fail(f"{SEEDS} seeds did not notice: {bent.name}")

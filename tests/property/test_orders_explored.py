"""All interleavings of a small exchange: two operators, a fault, a crash, a release, each at every moment."""

from __future__ import annotations

from collections import deque

import pytest

from federation.broker.orders.saga import advance, due, state
from schemas.lease import BILLABLE, TERMINAL, State
from tests.support.world.bent import bend
from tests.support.world.explorer import Node, alike, billed, following, start

LIVE = {State.COMMITTED, State.UP} | BILLABLE


def explored(first: Node) -> int:
    """Visit every node once; returns how many there are. Judges each of them."""
    seen = {alike(first)}
    todo = deque([first])
    while todo:
        node = todo.popleft()  # the shortest way to a fault is found first
        judge(node)
        for after in following(node):
            if (key := alike(after)) not in seen:
                seen.add(key)
                todo.append(after)
    return len(seen)


def judge(node: Node) -> None:
    """What holds everywhere, and what holds where nothing is on its way."""
    order, leases = node.state, [op.lease for op in node.ops]
    if order.state is State.ACTIVE:
        assert all(op.used for op in node.ops), node.trail
    if order.state not in TERMINAL:
        assert node.flying or node.wake_us or order.state in BILLABLE, ("stuck", node.trail)
        return
    assert not any(lease in LIVE for lease in leases), ("orphan", leases, node.trail)
    assert order.bill is not None
    owed = sum(billed(op) for op in node.ops)
    assert order.bill.total.micro == (owed if order.was_active else 0), node.trail
    assert order.was_active or owed == 0, ("billed and never active", node.trail)


EVERYDAY = [(0, 1, 0, 0), (0, 0, 0, 1), (5000, 1, 0, 0), (5000, 0, 1, 0), (5000, 0, 0, 1)]
LONG = [(0, 0, 1, 0), *((s, *case) for s in (0, 5000) for case in ((1, 1, 0), (1, 0, 1), (0, 1, 1), (2, 0, 0)))]
CASES = [*EVERYDAY, *(pytest.param(*case, marks=pytest.mark.long) for case in LONG)]


@pytest.mark.parametrize(("start_in_s", "faults", "crashes", "releases"), CASES)
def test_two_operators_exhaustively(start_in_s: int, faults: int, crashes: int, releases: int) -> None:
    count = explored(start(start_in_s=start_in_s, faults=faults, crashes=crashes, releases=releases))
    print(f"{count} states")
    assert count > 1000


BENT = {
    "an answer from before the fence": (
        advance._never_ordered,
        "(leg.let_go or leg.fenced)",
        "(leg.let_go or state.now_s >= fence_s(part, leg))",
        5000,
    ),
    "no void after the end": (state.owing, "not leg.voided", "False", 0),
    "active on half of the confirms": (advance.up, "if all(leg.state in BILLABLE", "if any(leg.state in BILLABLE", 0),
    "released once": (due._winding_up, "SendRelease(index, turn) if releasing", "None if leg.pace.tries", 0),
}


@pytest.mark.parametrize("name", BENT)
def test_a_bent_rule_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, straight, crooked, start_in_s = BENT[name]
    bend(monkeypatch, function, straight, crooked)
    with pytest.raises(AssertionError) as found:
        explored(start(start_in_s=start_in_s, faults=2, crashes=0, releases=0))
    print(f"{name}: {found.value}"[:300])

"""Hold, commit and compensate between several brokers, exhaustively: docs/MODEL_CHECK.md says what was explored."""

from __future__ import annotations

import os
from collections import deque
from typing import NamedTuple

import pytest

from tests.simulation.model import ACTIVE, Node, Rules, Size, broken, first, following, over

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"


class Explored(NamedTuple):
    """How many nodes there are, and how many brokers are served in those where all is over."""

    nodes: int
    served: frozenset[int]


def explored(size: Size, rules: Rules = Rules()) -> Explored:  # noqa: B008 - it never changes
    """Visit every node once, judge each, and see that from every one there is a way to an end."""
    start = first(size)
    before: dict[Node, list[Node]] = {start: []}
    ends, todo = [], deque([start])
    while todo:
        node = todo.popleft()
        assert (what := broken(node, size)) == "", (what, node)
        if over(node):
            ends.append(node)
        for after in following(node, size, rules):
            if after not in before:
                before[after] = []
                todo.append(after)
            before[after].append(node)
    _reached(before, ends)
    return Explored(len(before), frozenset(sum(b.phase == ACTIVE for b in node.brokers) for node in ends))


def _reached(before: dict[Node, list[Node]], ends: list[Node]) -> None:
    seen, todo = set(ends), list(ends)
    while todo:
        for node in before[todo.pop()]:
            if node not in seen:
                seen.add(node)
                todo.append(node)
    stuck = next((node for node in before if node not in seen), None)
    assert stuck is None, ("no way out", stuck)


EVERYDAY = [
    Size(brokers=2, labels=1, room=2),
    Size(brokers=2, labels=2, room=1),
    Size(brokers=2, labels=2, room=2),
    Size(brokers=2, labels=1, room=2, losses=1),
    Size(brokers=2, labels=1, room=2, copies=1),
    Size(brokers=2, labels=1, room=2, crashes=1),
]
FULL = [
    Size(brokers=2, labels=2, room=2, losses=1),
    Size(brokers=2, labels=2, room=2, copies=1),
]


def name(size: Size) -> str:
    return "-".join(f"{value}{field}" for field, value in size._asdict().items() if value)


@pytest.mark.parametrize("size", [*EVERYDAY, *(pytest.param(s, marks=pytest.mark.long) for s in FULL)], ids=name)
def test_every_interleaving_ends_well(size: Size) -> None:
    found = explored(size)
    print(f"{name(size)}: {found.nodes} nodes, served in the end: {sorted(found.served)}")
    assert max(found.served) == min(size.brokers, size.labels, size.room), "nobody is kept from what there is"


BENT = {
    "the ledger is not asked": (Rules(admits=False), Size(2, 1, 2)),
    "no swap of a hold": (Rules(swaps=False), Size(2, 2, 2)),
    "active on half of the confirms": (Rules(waits_for_all=False), Size(2, 1, 2)),
    "half of it undone": (Rules(undoes_all=False, lapses=False), Size(2, 1, 2)),
    "holds that never end": (Rules(expires=False), Size(2, 1, 2, losses=1, crashes=1)),
    "a document has two effects": (Rules(once=False), Size(2, 2, 2, copies=1)),
}


@pytest.mark.parametrize("bent", BENT)
def test_a_bent_rule_is_found(bent: str) -> None:
    rules, size = BENT[bent]
    with pytest.raises(AssertionError) as found:
        explored(size, rules)
    print(f"{bent}: {str(found.value)[:200]}")

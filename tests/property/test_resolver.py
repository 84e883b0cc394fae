"""The resolver under random answers: it never raises, never reads more than it may, and trusts nobody by accident."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.trust.resolve import FETCHES_MAX
from tests.support.seams import FixedClock
from tests.support.trust_tree import ANCHOR, AUDITOR, LEAF, MIDDLE, STATUS, Tree, resolved, superior

SECOND, EVIL = "https://second.example", "https://evil.example"
QUESTIONS = st.sampled_from(
    [
        ("configuration", LEAF),
        ("configuration", MIDDLE),
        ("configuration", ANCHOR),
        ("configuration", AUDITOR),
        ("statement", MIDDLE, LEAF),
        ("statement", ANCHOR, MIDDLE),
        ("statement", ANCHOR, AUDITOR),
        ("status", STATUS),
    ]
)


def world() -> Tree:
    tree = Tree(FixedClock())
    tree.add(ANCHOR)
    tree.add(MIDDLE, ANCHOR, metadata=superior(MIDDLE))
    tree.add(LEAF, MIDDLE)
    tree.add(EVIL, ANCHOR, metadata=superior(EVIL))
    tree.recognise()
    tree.attest(LEAF, index=3)
    return tree


TREE = world()
GENUINE = [*TREE.chain(LEAF, MIDDLE, ANCHOR), *TREE.chain(EVIL, ANCHOR), *TREE.chain(AUDITOR, ANCHOR)]
# Garbage, genuine statements in the wrong place, and genuine ones that are cut or joined.
ANSWERS = st.one_of(
    st.text(max_size=80),
    st.sampled_from(GENUINE),
    st.tuples(st.sampled_from(GENUINE), st.integers(0, 400)).map(lambda pair: pair[0][: pair[1]]),
    st.tuples(st.sampled_from(GENUINE), st.sampled_from(GENUINE)).map(
        lambda pair: ".".join([*pair[0].split(".")[:2], pair[1].split(".")[2]])
    ),
)


@settings(max_examples=150)
@given(st.dictionaries(QUESTIONS, ANSWERS, min_size=1, max_size=4), st.sets(st.sampled_from([LEAF, MIDDLE, AUDITOR])))
def test_no_answer_makes_it_raise_or_trust_another(answers: dict[tuple[str, ...], str], silent: set[str]) -> None:
    tree = Tree(FixedClock())
    tree.nodes, tree.issuers = TREE.nodes, TREE.issuers
    tree.replaced, tree.silent = answers, silent
    found = resolved(tree)
    assert sum(tree.asked.values()) <= 3 * FETCHES_MAX
    if found.member is None:
        assert found.why_not
    else:
        assert (found.member.entity, found.member.path) == (LEAF, (LEAF, MIDDLE, ANCHOR))
    assert all(mark.issuer == AUDITOR for mark in found.marks)


@given(
    st.lists(st.lists(st.sampled_from([f"https://n{n}.example" for n in range(8)]), max_size=8), min_size=8, max_size=8)
)
def test_no_graph_of_superiors_costs_more_than_the_caps(graph: list[list[str]]) -> None:
    tree = Tree(FixedClock())
    tree.add(ANCHOR)
    for number, names in enumerate(graph):
        entity = f"https://n{number}.example"
        tree.add(entity, *dict.fromkeys(names), metadata=superior(entity))
    tree.add(LEAF, *[f"https://n{number}.example" for number in range(4)])
    found = resolved(tree)
    assert found.member is None
    assert sum(tree.asked.values()) <= FETCHES_MAX

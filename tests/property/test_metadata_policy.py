"""Metadata policy under generated policies: merging is associative and idempotent, and only ever narrows."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from federation.trust.metadata_policy import applied, merged
from schemas.problem import Problem

WORDS = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
OPERATORS = st.fixed_dictionaries(
    {},
    optional={
        "value": st.one_of(WORDS, st.sampled_from([*"abcd", None, True, 1])),
        "add": WORDS,
        "default": st.one_of(WORDS, st.sampled_from("abcd")),
        "one_of": st.lists(st.sampled_from("abcd"), unique=True, min_size=1),
        "subset_of": WORDS,
        "superset_of": WORDS,
        "essential": st.booleans(),
    },
)
VALUES = st.one_of(WORDS, st.sampled_from([*"abcd", True, 1, 0]))


def policy(operators: Any) -> dict[str, Any]:
    return {"t": {"p": operators}}


def outcome(*policies: Any) -> Any:
    try:
        return merged(policies)
    except Problem:
        return None


@given(OPERATORS, OPERATORS, OPERATORS)
def test_merging_is_associative(a: Any, b: Any, c: Any) -> None:
    left, right = outcome(policy(a), policy(b)), outcome(policy(b), policy(c))
    wanted = outcome(policy(a), policy(b), policy(c))
    assert (None if left is None else outcome(left, policy(c))) == wanted
    if right is not None and wanted is not None:
        assert outcome(policy(a), right) == wanted


@given(OPERATORS)
def test_merging_a_policy_with_itself_changes_nothing(a: Any) -> None:
    once = outcome(policy(a))
    if once is not None:
        assert outcome(policy(a), policy(a)) == once
        assert outcome(once) == once


@given(OPERATORS, OPERATORS, VALUES)
def test_a_subordinate_never_makes_a_policy_more_permissive(a: Any, b: Any, value: Any) -> None:
    """What the merged policy lets through satisfies the checks of each policy alone."""
    both = outcome(policy(a), policy(b))
    if both is None:
        return
    try:
        result = applied(both, {"t": {"p": value}})["t"]
    except Problem:
        return
    for one in (a, b):
        checks = {name: one[name] for name in ("one_of", "superset_of", "essential") if name in one}
        assert applied(merged([policy(checks)]), {"t": result}) == {"t": result}
        if "subset_of" in one and "p" in result:
            assert set(result["p"]) <= set(one["subset_of"])


@given(OPERATORS, VALUES)
def test_applying_twice_is_applying_once(a: Any, value: Any) -> None:
    found = outcome(policy(a))
    if found is None:
        return
    try:
        once = applied(found, {"t": {"p": value}})
    except Problem:
        return
    assert applied(found, once) == once


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["value", "add", "default", "one_of", "subset_of", "essential"]), JSON), JSON)
def test_no_policy_raises_anything_else(operators: Any, value: Any) -> None:
    found = outcome(policy(operators))
    if found is not None:
        with contextlib.suppress(Problem):
            applied(found, {"t": {"p": value}})

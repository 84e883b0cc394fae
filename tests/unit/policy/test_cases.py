"""Cases of a policy: shipped policies keep theirs, and a case that is wrong says what it is about."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from federation.policy.cases import read_cases, read_facts, tried
from federation.policy.engine import load
from federation.policy.facts import Subject, facts_json
from schemas.policy.texts import NAMES, shipped, shipped_cases
from schemas.problem import Problem
from tests.support.policies import broker, segment

SELL = 'permit (principal is Broker, action == Action::"sell", resource) when { context.bandwidth_gbps <= 10 };'
FACTS = {"segment": json.loads(facts_json(segment())), "broker": json.loads(facts_json(broker()))}


def file(**case: Any) -> bytes:
    return json.dumps(
        {"facts": FACTS, "cases": [{"about": "it", "facts": "segment", "expect": "permit", **case}]}
    ).encode()


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_policy_keeps_its_cases(name: str) -> None:
    results = tried(load(name, shipped()[name]), read_cases(name, shipped_cases(name).encode()))
    assert [(one.case.about, one.verdict.reasons) for one in results if not one.ok] == []
    assert {one.case.expect.value for one in results} == {"permit", "deny"}


def test_the_policy_of_the_documentation_keeps_the_cases_beside_it() -> None:
    text = (Path(__file__).parents[3] / "docs" / "POLICIES.md").read_text(encoding="utf-8")
    cedar, cases = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("cedar", "json"))
    assert cedar
    assert cases
    results = tried(load("clinic-only", cedar[1]), read_cases("clinic-only.json", cases[1].encode()))
    assert [one.ok for one in results] == [True] * 3


def test_a_case_that_is_not_as_expected_does_not_hold() -> None:
    eu = load("eu-only", shipped()["eu-only"])
    crossing = {"change": {"countries": ["US"]}}
    for case, holds in (
        ({}, True),
        ({"expect": "deny"}, False),
        (crossing, False),
        ({**crossing, "expect": "deny"}, True),
        ({**crossing, "expect": "deny", "reason": "may cross US"}, True),
        ({**crossing, "expect": "deny", "reason": "legal domicile"}, False),
        ({"unknown": ["operations"], "expect": "deny", "reason": "run from"}, True),
        ({"context": {"now": 4_000_000_000}, "expect": "deny", "reason": "expired"}, True),
    ):
        (result,) = tried(eu, read_cases("f", file(**case)))
        assert result.ok is holds, case


def test_a_sale_is_tried_too() -> None:
    sale = {"broker": "broker", "context": {"buyer": "p", "bandwidth_gbps": 10}}
    (result,) = tried(load("own", SELL), read_cases("f", file(**sale)))
    assert result.ok
    sale["context"] = {"buyer": "p", "bandwidth_gbps": 11}
    (result,) = tried(load("own", SELL), read_cases("f", file(**sale)))
    assert not result.ok
    with pytest.raises(Problem, match="a sale is of a segment"):
        tried(load("own", SELL), read_cases("f", file(**{**sale, "broker": "segment"})))


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"facts": "none"}, "case 'it': names facts 'none'; the file has segment, broker"),
        ({"unknown": ["sae"]}, "case 'it': 'sae' is no fact; facts are part, entity"),
        ({"change": {"seal": "high"}}, r"case 'it': Expected `int \| null`, got `str` - at `\$.seal`"),
        ({"change": {"countries": []}}, "countries must not be empty"),
        ({"change": {"color": 1}}, "unknown field `color`"),
        ({"context": {"when": 1}}, "case 'it': context: .*unknown field `when`"),
    ],
)
def test_a_case_that_cannot_be_tried_is_named(case: dict[str, Any], why: str) -> None:
    with pytest.raises(Problem, match=why):
        tried(load("eu-only", shipped()["eu-only"]), read_cases("f", file(**case)))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"facts": {}, "cases": []}', file(expect="maybe"), b"[" * 100_000, b" " * 1_048_577]
)
def test_a_file_that_is_none_is_named(data: bytes) -> None:
    with pytest.raises(Problem, match=r"cases\.json"):
        read_cases("cases.json", data)


def test_facts_are_those_of_a_case_file_or_the_file_itself() -> None:
    assert read_facts("f", file()) == {"segment": segment(), "broker": broker()}
    assert read_facts("f", facts_json(segment())) == {"f": segment()}
    assert isinstance(read_facts("f", facts_json(broker()))["f"], Subject)
    for wrong in (b"", b"[]", b"{", b"[" * 100_000, b" " * 1_048_577, b'{"part": "carry"}'):
        with pytest.raises(Problem, match="f: "):
            read_facts("f", wrong)

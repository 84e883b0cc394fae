"""A broker that sells another path than its buyer asked for, at a price and under a policy that hold."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from federation.evidence.verify.verify import verify
from schemas.price import Money
from schemas.segment import moment
from tests.support.evidence.bundle import LOOKED, bundled
from tests.support.evidence.cast import OPERATORS, anchors, known, later
from tests.support.evidence.papers import Plan

BEGIN, END = moment(later(0)), moment(later(3600))


def failed(*, extended: bool = False, **asked: Any) -> dict[str, str]:
    """What fails where the intent asks for this besides."""
    plan = Plan(2, extended=extended, bends={"intent": lambda intent: structs.replace(intent, **asked)})
    report = verify(bundled(plan), anchors(), later(LOOKED), known())
    return {check.name: check.detail for check in report.checks if not check.ok}


@pytest.mark.parametrize(
    "asked",
    [
        {"hops": 2},
        {"route_classes": ("any", "eu")},
        {"mtu": 9000},
        {"start": BEGIN},
        {"start": BEGIN, "end": END, "duration_s": None},
        {"operators_denied": (OPERATORS[2], "op22")},
        {"operators_allowed": ("OP0", "op1.example", "op3")},
        {"operators_required": (OPERATORS[1],)},
        {"budget": Money("CHF", 400_000_000)},
    ],
    ids=str,
)
def test_what_was_asked_for_and_bought_holds(asked: dict[str, Any]) -> None:
    assert failed(**asked) == {}
    assert failed(extended=True, **asked) == {}


@pytest.mark.parametrize(
    ("asked", "check"),
    [
        ({"hops": 1}, "policy"),
        ({"route_classes": ("any",)}, "policy"),
        ({"mtu": 9001}, "policy"),
        ({"start": moment(later(60))}, "policy"),
        ({"end": moment(later(7200)), "duration_s": None}, "policy"),
        ({"operators_denied": ("OP1",)}, "policy"),
        ({"operators_denied": (OPERATORS[1],)}, "policy"),
        ({"operators_allowed": ("op0",)}, "policy"),
        ({"operators_required": ("op2.example",)}, "policy"),
        ({"budget": Money("CHF", 1_000)}, "amounts"),
    ],
    ids=str,
)
def test_what_was_asked_for_and_not_bought_is_refused(asked: dict[str, Any], check: str) -> None:
    assert set(failed(**asked)) == {check}

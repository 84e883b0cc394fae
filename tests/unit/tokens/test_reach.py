"""How far a mandate reaches at its broker: what is not attested is not allowed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from federation.tokens.reach import Stretch, beyond, check_deed, check_path
from schemas.authority import Authority, Deed
from schemas.jurisdiction import Attestation, ClassFacts
from schemas.problem import Problem
from tests.support.authority import AUTHORITY, OPERATOR
from tests.support.seams import NOW

FACTS = Attestation(
    classes={"eu": ClassFacts(countries=("NL", "DE"))}, assessed_regimes=("US-CLOUD-ACT", "X"), subject_to=("X",)
)
STRETCH = Stretch(OPERATOR, "eu", FACTS, frozenset({"mark:a"}))
NARROW: dict[str, Any] = {
    "locations": (OPERATOR,),
    "jurisdictions": ("NL", "DE", "AT"),
    "excluded_regimes": ("US-CLOUD-ACT",),
    "required_marks": ("mark:a",),
}


def narrow(**changes: Any) -> Authority:
    return structs.replace(AUTHORITY, **(NARROW | changes))


def denied(field: str, authority: Authority, *path: Stretch, bandwidth_bps: int = 10**10) -> None:
    with pytest.raises(Problem) as found:
        check_path(authority, bandwidth_bps, path or (STRETCH,), frozenset({"EU-health"}))
    assert (found.value.code, found.value.field) == ("POLICY_DENIED", f"mandate.{field}")


def test_what_lies_within_every_axis_is_allowed() -> None:
    check_path(narrow(), 10**10, (STRETCH,), frozenset())
    check_path(narrow(data_class="EU-health"), 10**11, (STRETCH,) * 6, frozenset({"EU-health"}))
    check_path(AUTHORITY, 10**10, (Stretch(OPERATOR, "any", None),), frozenset())


def test_each_axis_is_held() -> None:
    denied("max_bandwidth_bps", narrow(), bandwidth_bps=10**11 + 1)
    denied("max_hops", narrow(), *(STRETCH,) * 7)
    denied("data_class", narrow(data_class="public"))
    denied("locations", narrow(locations=("https://kpn.example",)))
    denied("locations", narrow(locations=()))
    denied("jurisdictions", narrow(jurisdictions=("NL",)))
    denied("excluded_regimes", narrow(excluded_regimes=("X",)))
    denied("excluded_regimes", narrow(excluded_regimes=("US-CLOUD-ACT", "never assessed")))
    denied("required_marks", narrow(required_marks=("mark:a", "mark:b")))
    denied("locations", narrow(), STRETCH, STRETCH._replace(operator="https://kpn.example"))


@pytest.mark.parametrize(
    ("stretch", "axes"),
    [
        (STRETCH._replace(facts=None), ["jurisdictions", "excluded_regimes"]),
        (STRETCH._replace(route_class="any"), ["jurisdictions"]),
        (STRETCH._replace(facts=structs.replace(FACTS, classes={"eu": ClassFacts(countries=())})), ["jurisdictions"]),
        (STRETCH._replace(facts=structs.replace(FACTS, assessed_regimes=None)), ["excluded_regimes"]),
        (STRETCH._replace(facts=structs.replace(FACTS, subject_to=None)), ["excluded_regimes"]),
        (STRETCH._replace(marks=frozenset()), ["required_marks"]),
    ],
)
def test_what_nobody_attests_is_not_allowed(stretch: Stretch, axes: list[str]) -> None:
    assert list(beyond(narrow(), stretch)) == axes


def test_deeds_and_their_time() -> None:
    over = AUTHORITY.spend.until
    for deed in Deed:
        check_deed(AUTHORITY, deed, NOW)
    check_deed(AUTHORITY, Deed.RELEASE, over)
    for deed in set(Deed) - {Deed.RELEASE}:
        with pytest.raises(Problem, match="time"):
            check_deed(AUTHORITY, deed, over)
    for deed in Deed:
        with pytest.raises(Problem, match="not among"):
            check_deed(structs.replace(AUTHORITY, actions=tuple(set(Deed) - {deed})), deed, NOW)

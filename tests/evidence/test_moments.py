"""A broker that says it decided when everybody was still permitted: the operators' own times tell when it was."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from federation.evidence.verify.verify import verify
from schemas.evidence import Profile
from tests.support.evidence.bundle import LOOKED, bundled
from tests.support.evidence.cast import anchors, known, later
from tests.support.evidence.papers import Bend, Plan


def earlier(number: int, seconds: int) -> dict[str, Bend]:
    """A decision of long before, when another status list held."""

    def moved(claims: Any) -> Any:
        return structs.replace(claims, iat=claims.iat - seconds, at=claims.at - seconds)

    return {f"decision:{number}": moved, "status": lambda claims: structs.replace(claims, iat=claims.iat - seconds)}


def failed(profile: Profile, bends: dict[str, Bend], *, extended: bool = False) -> dict[str, str]:
    report = verify(bundled(Plan(2, extended=extended, bends=bends), profile), anchors(), later(LOOKED), known())
    return {check.name: check.detail for check in report.checks if not check.ok}


@pytest.mark.parametrize("profile", Profile)
def test_a_decision_is_made_at_the_moment_that_it_judges(profile: Profile) -> None:
    found = failed(profile, {"decision:0": lambda claims: structs.replace(claims, at=claims.at - 1)})
    assert found["marks"] == "a decision was made at another time than it judges"


@pytest.mark.parametrize(("number", "seconds"), [(0, 1200), (1, 400)])
def test_a_decision_is_made_while_the_quotes_hold(number: int, seconds: int) -> None:
    found = failed(Profile.BUYER, earlier(number, seconds), extended=bool(number))
    assert "was decided at another time than it was quoted" in found["marks"]


def test_a_decision_is_made_shortly_before_the_first_receipt() -> None:
    found = failed(Profile.REGULATOR, earlier(0, 1200))
    assert "was decided at another time than it was bought" in found["marks"]


def test_whoever_sees_a_decision_alone_has_its_word_for_the_moment() -> None:
    assert failed(Profile.COUNTRIES, earlier(0, 1200)) == {}

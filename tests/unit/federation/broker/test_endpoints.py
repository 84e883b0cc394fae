from __future__ import annotations

import pytest

from federation.broker.discovery.endpoints import Endpoint, operator_named, resolve
from federation.broker.discovery.known import Known
from federation.broker.discovery.sheet import sheet_from_pages
from schemas.problem import Problem
from tests.support.fake_operators import FakeOperator
from tests.support.seams import FixedClock

SURF, GEANT = "https://surf.example", "https://geant.example/net"


async def listed(*operators: FakeOperator) -> Known:
    found = {}
    for operator in operators:
        pages = await operator.sheet()
        found[operator.entity] = sheet_from_pages(pages.manifest, pages.pages, operator.name)
    return Known(roster={o.entity: o.name for o in operators}, sheets=found)


async def two() -> Known:
    clock = FixedClock()
    surf = FakeOperator(SURF, "SURF", clock)
    surf.uni("uni-ut1", "Utrecht").uni("uni-ut2", "Utrecht").uni("uni-sg", "'s-Gravenhage", name="The Hague campus")
    surf.enni("enni-adam", "Amsterdam", GEANT, "enni-surf")
    geant = FakeOperator(GEANT, "GÉANT", clock)
    geant.uni("uni-ge", "Genève").uni("uni-ut", "Utrecht").enni("enni-surf", "Amsterdam", SURF, "enni-adam")
    return await listed(surf, geant)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Utrecht@SURF", [(SURF, "uni-ut1"), (SURF, "uni-ut2")]),
        ("uni-ut2@surf", [(SURF, "uni-ut2")]),
        ("UNI-UT2@surf.example", [(SURF, "uni-ut2")]),
        ("the hague campus@https://surf.example", [(SURF, "uni-sg")]),
        ("s Gravenhage", [(SURF, "uni-sg")]),
        ("geneve@geant", [(GEANT, "uni-ge")]),
        ("Genève@Géant", [(GEANT, "uni-ge")]),
        ("geneve@https://geant.example/net", [(GEANT, "uni-ge")]),
        ("utrecht", [(GEANT, "uni-ut"), (SURF, "uni-ut1"), (SURF, "uni-ut2")]),
    ],
)
async def test_a_place_may_be_written_as_people_write_it(text: str, expected: list[tuple[str, str]]) -> None:
    assert resolve(text, await two(), "a") == tuple(Endpoint(*pair) for pair in expected)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Utrect@SURF", "'Utrect@SURF': did you mean Utrecht@SURF?"),
        ("Utrect", "'Utrect': did you mean Utrecht?"),
        ("Genf@surf", "no UNI of SURF is there or called so; cities known are 's-Gravenhage, Utrecht"),
        ("Amsterdam@SURF", "is where operators meet (an ENNI); a path begins and ends at a UNI"),
        ("enni-adam", "is where operators meet"),
        ("Utrecht@Sürff", "no operator 'Sürff' here; did you mean SURF? the operators are GÉANT, SURF"),
        ("Utrecht@Lumen", "no operator 'Lumen' here; the operators are GÉANT, SURF"),
    ],
)
async def test_a_place_that_is_not_there_gets_what_is_near(text: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        resolve(text, await two(), "z")
    assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", "z")
    assert said in caught.value.detail


@pytest.mark.asyncio
async def test_two_operators_of_one_name_are_told_apart_by_their_ids() -> None:
    clock = FixedClock()
    known = await listed(
        FakeOperator("https://net.example/a", "Net", clock).uni("u", "Bonn"),
        FakeOperator("https://net.example/b", "Net", clock).uni("u", "Bonn"),
    )
    with pytest.raises(Problem, match=r"https://net\.example/a, https://net\.example/b"):
        resolve("Bonn@Net", known, "a")
    assert operator_named("https://net.example/b", known.roster, "a") == "https://net.example/b"


def test_an_empty_federation_says_so() -> None:
    with pytest.raises(Problem, match="no operator's offers are here now"):
        resolve("Utrecht", Known(), "a")


def test_an_operator_that_published_nothing_is_named_with_the_reason() -> None:
    known = Known(roster={SURF: "SURF"}, absent={SURF: "it did not answer"})
    with pytest.raises(Problem, match="the offers of SURF are not here now: it did not answer") as caught:
        resolve("Utrecht@surf", known, "a")
    assert caught.value.code == "OPERATOR_UNREACHABLE"
    assert caught.value.extra == {"operator": SURF}

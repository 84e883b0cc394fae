from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from operators.inventory.footprint import Pop
from operators.inventory.meeting import meetings
from schemas.place import great_circle_km
from tests.support.footprints import pop


def met(networks: list[list[Pop]], metro_km: float = 60) -> dict[tuple[int, int], list[tuple[str, str]]]:
    return {pair: [(one.a.id, one.z.id) for one in found] for pair, found in meetings(networks, metro_km).items()}


def test_mutual_nearest_neighbours_meet() -> None:
    mine = [pop("near", 50, 5), pop("behind", 50, 4.9)]
    theirs = [pop("there", 50, 5.1), pop("far", 50, 9)]
    assert met([mine, theirs]) == {(0, 1): [("near", "there")]}


def test_beyond_the_metro_nobody_meets() -> None:
    networks = [[pop("a", 50, 5)], [pop("b", 50.5, 5)]]  # 55.6 km
    assert met(networks, 55) == {}
    assert met(networks, 56) == {(0, 1): [("a", "b")]}
    assert met(networks, 0) == {}
    assert met([[pop("a")], [pop("b")]], 0) == {(0, 1): [("a", "b")]}


def test_one_place_means_one_meeting_settled_by_id() -> None:
    assert met([[pop("b"), pop("a")], [pop("d"), pop("c")]]) == {(0, 1): [("a", "c")]}


def test_there_is_no_seam_at_the_date_line_or_the_pole() -> None:
    fiji = [[pop("a", -17, 179.9)], [pop("b", -17, -179.9)]]
    pole = [[pop("a", 89.9, 0)], [pop("b", 89.9, 180)]]
    assert met(fiji) == met(pole) == {(0, 1): [("a", "b")]}


def test_the_nearest_may_be_taken_by_someone_nearer() -> None:
    """a's nearest is c, but c's nearest is b: a meets nobody, rather than its second choice."""
    mine = [pop("a", 50, 5.0), pop("b", 50, 5.2)]
    theirs = [pop("c", 50, 5.15), pop("d", 50, 4.6)]
    assert met([mine, theirs]) == {(0, 1): [("b", "c")]}


coordinates = st.tuples(st.integers(-9, 9).map(lambda n: 50 + n / 5), st.integers(-9, 9).map(lambda n: n / 5))
networks = st.lists(coordinates, max_size=8).map(
    lambda places: [pop(f"p{index}", lat, lon) for index, (lat, lon) in enumerate(places)]
)


def nearest(here: Pop, others: list[Pop]) -> tuple[float, str] | None:
    """Brute force over every PoP of the other network."""
    return min(((great_circle_km(here.lat, here.lon, one.lat, one.lon), one.id) for one in others), default=None)


@given(st.lists(networks, min_size=2, max_size=3), st.integers(0, 120))
def test_no_pair_is_missed_or_made_up(chosen: list[list[Pop]], metro_km: int) -> None:
    expected: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        for here in chosen[i] if j < len(chosen) else ():
            there = nearest(here, chosen[j])
            if there is not None and there[0] <= metro_km:
                back = nearest(next(one for one in chosen[j] if one.id == there[1]), chosen[i])
                if back is not None and back[1] == here.id:
                    expected.setdefault((i, j), []).append((here.id, there[1]))
    assert met(chosen, metro_km) == expected

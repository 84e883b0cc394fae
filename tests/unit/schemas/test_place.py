from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.place import EARTH_RADIUS_KM, great_circle_km, light_floor_us

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


@pytest.mark.parametrize(
    ("a", "z", "km"),
    [
        ((0, 0), (0, 1), EARTH_RADIUS_KM * math.pi / 180),
        ((52.09, 5.14), (45.46, 9.19), 794),
        ((0, 179.5), (0, -179.5), EARTH_RADIUS_KM * math.pi / 180),  # across the date line
        ((90, 0), (-90, 0), EARTH_RADIUS_KM * math.pi),
        ((0, 0), (0, 180), EARTH_RADIUS_KM * math.pi),
    ],
)
def test_known_distances(a: tuple[float, float], z: tuple[float, float], km: float) -> None:
    assert great_circle_km(*a, *z) == pytest.approx(km, abs=1)


@given(latitudes, longitudes, latitudes, longitudes)
def test_both_sides_compute_the_same_distance(lat1: float, lon1: float, lat2: float, lon2: float) -> None:
    there = great_circle_km(lat1, lon1, lat2, lon2)
    assert there == great_circle_km(lat2, lon2, lat1, lon1)
    assert 0 <= there <= EARTH_RADIUS_KM * math.pi


def test_a_place_is_no_distance_from_itself() -> None:
    assert great_circle_km(45.46, 9.19, 45.46, 9.19) == 0


def test_the_floor_is_light_in_vacuum_rounded_down() -> None:
    assert light_floor_us(299.792458) == 1000
    assert light_floor_us(299.79) == 999
    assert light_floor_us(0) == 0

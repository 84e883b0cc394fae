"""Places on Earth: how far apart they are, and how fast anything can cover that distance.

The physical floor of a latency is the great circle at the speed of light in vacuum (design section 6). Both
sides of an interconnect and every auditor must compute the same distance, hence one function for all.
"""

from __future__ import annotations

import math
from typing import Final

EARTH_RADIUS_KM: Final = 6371.0088
LIGHT_KM_PER_S: Final = 299_792.458


def great_circle_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Kilometres between two points in decimal degrees on a sphere of mean Earth radius (haversine).

    The result does not depend on which point comes first, to the last bit.
    """
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    half_lat = math.sin(math.radians(lat2 - lat1) / 2)
    half_lon = math.sin(math.radians(lon2 - lon1) / 2)
    chord = half_lat * half_lat + math.cos(phi1) * math.cos(phi2) * (half_lon * half_lon)
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))


def light_floor_us(km: float) -> int:
    """Microseconds that light in vacuum needs for `km`, one way, rounded down: no promise is below it."""
    return math.floor(km * 1_000_000 / LIGHT_KM_PER_S)

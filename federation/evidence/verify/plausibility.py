"""Check `plausibility`: no quote promises less latency than light needs between the places that auditors attested.

It can contradict a promise and never prove one. Where no auditor attests both places there is nothing to hold against.
"""

from __future__ import annotations

from federation.evidence.verify.attested import attested
from federation.evidence.verify.purchase import Leg, Round, purchase
from federation.evidence.verify.reading import Case, unsound
from schemas.decision import Part
from schemas.jurisdiction import Attestation, AttestedPlace
from schemas.place import great_circle_km, light_floor_us

DEGREE_E6 = 1_000_000


def check(case: Case) -> str:
    """See above. Raises `DOCUMENT_INVALID`."""
    held = 0
    for one in purchase(case).rounds:
        for leg in one.legs:
            places = _places(_facts(case, one, leg), leg)
            if places is None:
                continue
            held += 1
            floor, promised = floor_us(*places), leg.quote.claims.promise.latency_us
            if promised < floor:
                raise unsound(f"{leg.operator} promises {promised} us where light needs {floor} us")
    return f"{held} promises held against the speed of light; attested sites are known for no more"


def floor_us(a: AttestedPlace, z: AttestedPlace) -> int:
    """Microseconds that light needs between two places, one way."""
    where = [part / DEGREE_E6 for part in (a.lat_e6, a.lon_e6, z.lat_e6, z.lon_e6)]
    return light_floor_us(great_circle_km(*where))


def _facts(case: Case, one: Round, leg: Leg) -> Attestation | None:
    for judged in one.decision.claims.judged:
        if judged.part is Part.CARRY and judged.entity == leg.operator:
            return attested(case, one.decision, judged).facts
    return None


def _places(facts: Attestation | None, leg: Leg) -> tuple[AttestedPlace, AttestedPlace] | None:
    sites = {} if facts is None else facts.sites
    segment = leg.quote.claims.segment
    a, z = sites.get(segment.a.interface), sites.get(segment.z.interface)
    return None if a is None or z is None else (a, z)

"""What a decision can make others work: marks named again and again."""

from __future__ import annotations

from msgspec import structs

from federation.evidence.verify.reading import DECISIONS_MAX, JUDGED_BY_MAX, canonical
from federation.evidence.verify.verify import verify
from federation.trust.jose import sign_jws
from schemas.evidence import Profile
from tests.support.evidence.bundle import LOOKED, bundle_of
from tests.support.evidence.cast import BROKER, anchors, key_of, later
from tests.support.evidence.papers import Plan, papers


def test_decisions_name_so_many_marks_and_no_more() -> None:
    made = papers(Plan(2))
    decision = made.claims["decision:0"]
    each = JUDGED_BY_MAX // DECISIONS_MAX
    rows = (structs.replace(decision.judged[0], marks=decision.judged[0].marks[:1] * each), *decision.judged[1:])
    many = [
        sign_jws(key_of(BROKER), structs.replace(decision, judged=rows, jti=f"{number:022d}"))
        for number in range(DECISIONS_MAX)
    ]
    bundle = structs.replace(bundle_of(made, Profile.COUNTRIES), documents=tuple(sorted(many)))
    report = verify(canonical(bundle), anchors(), later(LOOKED))
    assert report.failed() == ("format",)
    assert report.checks[0].detail == f"more than {JUDGED_BY_MAX} marks are named in decisions"

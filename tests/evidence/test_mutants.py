"""No mutant of a good bundle is believed, and the check that ought to refuse it does."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace

import pytest
from msgspec import structs

from federation.evidence.verify.reading import canonical
from federation.evidence.verify.verify import verify
from schemas.evidence import Profile
from tests.evidence.mutants import Mutant, mutants
from tests.support.evidence.bundle import LOOKED, bundle_of
from tests.support.evidence.cast import WITNESSES, anchors, known, later
from tests.support.evidence.papers import Plan, papers

LONG = os.environ.get("PEERWAY_TEST_LONG") == "1"
TRIED = 10**9 if LONG else 40  # of each plan and profile
SEED = 5
PLANS = {
    "a mandate": Plan(operators=2),
    "limits of the house": Plan(operators=2, mandated=False),
    "an extension": Plan(operators=2, extended=True),
    "an extension that lapsed": Plan(operators=2, extended=True, lapsed=True),
}


def bundle(plan: Plan, profile: Profile) -> bytes:
    """With as many witnesses as are needed: one less is too few."""
    return canonical(bundle_of(papers(plan), profile, WITNESSES[1:]))


def another(plan: Plan, profile: Profile) -> bytes:
    """Of another purchase between the same parties."""
    bends = {
        name: lambda claims: structs.replace(claims, jti=f"x{claims.jti[1:]}")
        for name in papers(plan).tokens
        if not name.startswith(("mark", "status", "policy"))
    }
    return bundle(replace(plan, bends=bends), profile)


def believed(mutant: Mutant) -> str | None:
    """What is wrong with how a mutant was judged; nothing where it was refused as it ought to be."""
    failed = set(verify(mutant.data, anchors(), later(LOOKED), known()).failed())
    if not failed:
        return f"{mutant.name}: believed"
    return None if failed & mutant.ought else f"{mutant.name}: refused by {sorted(failed)}, not {sorted(mutant.ought)}"


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("profile", Profile)
def test_every_mutant_is_refused_by_the_check_that_ought_to(
    plan: str, profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    good, other = bundle(PLANS[plan], profile), another(PLANS[plan], profile)
    for data in (good, other):
        assert verify(data, anchors(), later(LOOKED), known()).ok
    every = list(mutants(good, other))
    tried = every if len(every) <= TRIED else random.Random(SEED).sample(every, TRIED)
    wrong = [why for one in tried if (why := believed(one))]
    kinds = Counter(next(iter(sorted(one.ought - {"format"})), "format") for one in tried)
    with capsys.disabled():
        print(f"\n{profile}, {plan}: {len(tried)} of {len(every)} mutants tried, {len(wrong)} wrong; {dict(kinds)}")
    assert not wrong, f"seed {SEED}: " + "\n".join(wrong[:20])

"""Whether an authority reaches as far as what an agent asks of its broker (pure).

Facts about operators are those of auditors' marks; what is not known counts as not allowed, with the axis named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from schemas.authority import Authority, Deed
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from schemas.segment import EntityId, Id


class Stretch(NamedTuple):
    """One segment of a path as it is judged: whose it is, in which route class, and what is attested of them."""

    operator: EntityId
    route_class: Id
    facts: Attestation | None
    marks: frozenset[str] = frozenset()


def check_deed(authority: Authority, deed: Deed, now: int) -> None:
    """This may be done at all, and now; releasing may be done also when the time to spend is over.

    Raises `POLICY_DENIED` naming the axis.
    """
    if deed not in authority.actions:
        raise _denied("actions", f"to {deed} is not among what the mandate allows")
    if deed is not Deed.RELEASE and now >= authority.spend.until:
        raise _denied("spend.until", "the mandate's time to order is over")


def check_path(authority: Authority, bandwidth_bps: int, path: Sequence[Stretch], data_classes: frozenset[str]) -> None:
    """A path of this bandwidth lies within the authority. `data_classes` are those that the path was decided for.

    Raises `POLICY_DENIED` naming the first axis on which it does not.
    """
    if bandwidth_bps > authority.max_bandwidth_bps:
        raise _denied("max_bandwidth_bps", f"the mandate allows {authority.max_bandwidth_bps:,} bit/s")
    if len(path) > authority.max_hops:
        raise _denied("max_hops", f"the mandate allows {authority.max_hops} segments, the path has {len(path)}")
    if authority.data_class is not None and authority.data_class not in data_classes:
        raise _denied("data_class", f"the mandate is for data of class {authority.data_class} alone")
    for stretch in path:
        for axis in beyond(authority, stretch):
            raise _denied(axis, f"{stretch.operator} with route class {stretch.route_class} is not within the mandate")


def beyond(authority: Authority, stretch: Stretch) -> Iterator[str]:
    """The axes on which a segment is outside the authority, or not known to be inside: a search leaves it out."""
    facts = stretch.facts
    if authority.locations is not None and stretch.operator not in authority.locations:
        yield "locations"
    if authority.jurisdictions is not None:
        crossed = facts.classes.get(stretch.route_class) if facts else None
        if crossed is None or not crossed.countries or not set(crossed.countries) <= set(authority.jurisdictions):
            yield "jurisdictions"
    if authority.excluded_regimes:
        excluded = set(authority.excluded_regimes)
        assessed, subject = (facts.assessed_regimes, facts.subject_to) if facts else (None, None)
        if assessed is None or subject is None or not excluded <= set(assessed) or excluded & set(subject):
            yield "excluded_regimes"
    if not stretch.marks >= set(authority.required_marks):
        yield "required_marks"


def _denied(axis: str, why: str) -> Problem:
    return Problem("POLICY_DENIED", why, field=f"mandate.{axis}")

"""Checks `marks` and `facts`: what was judged is what recognised auditors attested, all of it and nothing else.

A decision names, for each subject, the marks and the hash of the facts that it was judged by. Both are made again here,
with the keys of the marks' issuers and the status lists of that time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import structs

from federation.evidence.verify.moments import check_moments
from federation.evidence.verify.reading import Case, Item, unsound
from federation.policy.facts import Subject, facts_h, manager, subject
from federation.trust.chain import Mark
from federation.trust.marks import Grounds, verify_mark
from schemas.decision import Decision, Judged, Part
from schemas.entity import FACTS_MARK, StatusList, TrustMark
from schemas.jurisdiction import Attestation
from schemas.problem import Problem
from schemas.segment import Hash


class Attested(NamedTuple):
    """What counted for one entity: the newest of its facts, the types of all its marks, until when they held."""

    facts: Attestation | None
    types: frozenset[str]
    until: int


def marks(case: Case) -> str:
    """Every mark that a decision rests on held when it was made, which was then. Raises `DOCUMENT_INVALID`."""
    names: set[Hash] = set()
    decided(case)
    check_moments(case)
    for decision in case.decisions:
        for judged in decision.claims.judged:
            attested(case, decision, judged)
            names |= set(judged.marks)
    issuers = sorted({case.marks[name].claims.iss for name in names})
    return f"{len(names)} marks by {', '.join(issuers) or 'nobody'}, none revoked when it was decided"


def facts(case: Case) -> str:
    """What was judged is what the marks say: every subject, and the countries crossed. Raises `DOCUMENT_INVALID`."""
    count = 0
    for decision in decided(case):
        _check_parts(case, decision)
        for judged, _ in subjects(case, decision):
            count += judged.part is Part.CARRY
        _check_countries(case, decision)
    return f"{count} segments, their broker and managers, as attested; {_crossed(decided(case)[-1].claims)}"


def decided(case: Case) -> tuple[Item[Decision], ...]:
    """The decisions. Raises `DOCUMENT_INVALID` without any."""
    if not case.decisions:
        raise unsound("a decision is missing")
    return case.decisions


def subjects(case: Case, decision: Item[Decision]) -> tuple[tuple[Judged, Subject], ...]:
    """Every subject of a decision with its facts made again. Raises `DOCUMENT_INVALID` where they are others."""
    return case.once((decision.hash, "subjects"), lambda: tuple(_subjects(case, decision)))


def _subjects(case: Case, decision: Item[Decision]) -> Iterator[tuple[Judged, Subject]]:
    for judged in decision.claims.judged:
        found = [one for one in _made(case, decision, judged) if facts_h(one) == judged.facts_h]
        if not found:
            raise unsound(f"the facts about {judged.entity} ({judged.part}) are not those of its marks")
        yield judged, found[0]


def attested(case: Case, decision: Item[Decision], judged: Judged) -> Attested:
    """The marks that a decision names for a subject, verified as of then. Raises `DOCUMENT_INVALID`."""
    key = decision.claims.at, judged.entity, judged.marks
    return case.once(key, lambda: _attested(case, decision, judged))


def _attested(case: Case, decision: Item[Decision], judged: Judged) -> Attested:
    found = [_mark(case, decision.claims.at, judged, name) for name in judged.marks]
    about = [mark for mark in found if mark.type == FACTS_MARK]
    newest = max(about, key=lambda mark: (mark.own_exp, mark.token)).attest if about else None
    return Attested(newest, frozenset(mark.type for mark in found), min((mark.own_exp for mark in found), default=0))


def _mark(case: Case, at: int, judged: Judged, name: Hash) -> Mark:
    item = case.marks.get(name)
    if item is None:
        raise unsound(f"a mark of {judged.entity} is missing")
    issuer = case.standing.at(item.claims.iss, at).chain
    lists = {one.claims.sub: one.token for one in lists_at(case, item, at)}
    grounds = Grounds({issuer.entity: issuer}, {issuer.anchor: issuer.root}, lists, at)
    try:
        return verify_mark(item.token, judged.entity, grounds)
    except Problem as problem:
        raise unsound(f"mark {name[:8]} of {judged.entity}: {problem.detail}") from problem


def lists_at(case: Case, mark: Item[TrustMark], at: int) -> Iterable[Item[StatusList]]:
    """The status list of a mark that counted at a time: of several the last."""
    if mark.claims.status is None:
        return ()
    uri = mark.claims.status.status_list.uri
    named = [one for one in case.lists if one.claims.sub == uri and one.claims.iat <= at < one.claims.exp]
    return sorted(named, key=lambda one: (one.claims.iat, one.token))[-1:]


def _made(case: Case, decision: Item[Decision], judged: Judged) -> Iterator[Subject]:
    """The facts of a subject; a second time as they are where a declared site contradicts an auditor."""
    found = attested(case, decision, judged)
    part = Part.ARRANGE if judged.route_class is None else Part.CARRY
    if (judged.part is Part.CARRY) != (judged.route_class is not None):
        raise unsound(f"{judged.entity} is judged as what it is not")
    made = subject(part, judged.entity, judged.route_class, found.facts, found.types, found.until)
    for one in (made, structs.replace(made, sites_agree=False)):
        yield manager(one, found.facts) if judged.part is Part.MANAGE else one


def _check_parts(case: Case, decision: Item[Decision]) -> None:
    """The segments, the broker, and who manages each of them: nobody is left out, and nobody else is judged."""
    rows = decision.claims.judged
    carried = [one.entity for one in rows if one.part is Part.CARRY]
    wanted = [(Part.CARRY, name) for name in carried] + [(Part.ARRANGE, decision.claims.iss)]
    wanted += [(Part.MANAGE, name) for name in dict.fromkeys([*carried, decision.claims.iss])]
    if [(one.part, one.entity) for one in rows] != wanted:
        raise unsound("judged are not the segments, the broker, and who manages each of them")
    about: dict[str, tuple[Hash, ...]] = {}
    for one in rows:
        if about.setdefault(one.entity, one.marks) != one.marks:
            raise unsound(f"{one.entity} is judged by different marks")


def _check_countries(case: Case, decision: Item[Decision]) -> None:
    """The countries and the sea that the decision tells are those of its segments together, or unknown."""
    crossed = [made for judged, made in subjects(case, decision) if judged.part is Part.CARRY]
    countries = _together([made.countries for made in crossed])
    said = decision.claims.countries
    if (None if said is None else frozenset(said)) != countries or (said or ()) != tuple(sorted(said or ())):
        raise unsound("the countries of the path are not those attested for its segments")
    seas = {made.sea for made in crossed}
    if decision.claims.sea != (True if True in seas else None if None in seas else False):
        raise unsound("whether the path may cross the sea is not what is attested for its segments")


def _together(found: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    known: frozenset[str] = frozenset()
    for names in found:
        if names is None:
            return None
        known |= names
    return known


def _crossed(decision: Decision) -> str:
    if decision.countries is None:
        return "which countries are crossed is not known"
    return f"crosses {', '.join(decision.countries)}"

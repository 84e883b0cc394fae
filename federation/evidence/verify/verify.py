"""The one entry: bytes, keys and a time in, a report out. No clock, no network, no state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from federation.evidence.verify import (
    amounts,
    attested,
    bills,
    complete,
    documents,
    logs,
    narrowing,
    path,
    plausibility,
    policy,
    signatures,
    statement,
)
from federation.evidence.verify.reading import Case, read
from federation.evidence.verify.report import CHECKS, FORMAT, Check, Report
from schemas.entity import Jwks
from schemas.problem import Problem

RULES: Final[Mapping[str, Callable[[Case], str]]] = MappingProxyType(
    {
        "chains": signatures.chains,
        "signatures": signatures.signatures,
        "documents": documents.check,
        "path": path.check,
        "marks": attested.marks,
        "facts": attested.facts,
        "policy": policy.check,
        "narrowing": narrowing.check,
        "amounts": amounts.check,
        "bills": bills.check,
        "statement": statement.check,
        "plausibility": plausibility.check,
        "inclusion": logs.inclusion,
        "witnesses": logs.witnesses,
        "complete": complete.check,
    }
)
NOBODY: Final[Mapping[str, Jwks]] = MappingProxyType({})
NO_TEXTS: Final[Mapping[str, str]] = MappingProxyType({})


def verify(
    data: bytes,
    anchors: Mapping[str, Jwks],
    now: int,
    known: Mapping[str, Jwks] = NOBODY,
    texts: Mapping[str, str] = NO_TEXTS,
) -> Report:
    """Whether a bundle proves what it shows.

    `anchors` are the trust anchors that the caller believes, with their keys; `known` the keys of buyers and owners of
    UNIs who are no members, by entity id; nothing may come from later than the Unix second `now`; `texts` are policies
    by name, for which the caller vouches. Every check of the profile is made by itself and reported; one that lacks
    what it needs has failed.
    """
    try:
        case = replace(read(data, anchors, known, now), texts=texts)
    except Problem as problem:
        return Report(None, (Check(FORMAT, False, problem.detail),))
    profile = case.bundle.profile
    spelled = Check(FORMAT, True, f"{len(data)} bytes for the profile {profile}")
    return Report(profile, (spelled, *(_checked(name, case) for name in CHECKS[profile])))


def _checked(name: str, case: Case) -> Check:
    try:
        return Check(name, True, RULES[name](case))
    except Problem as problem:
        return Check(name, False, problem.detail)

"""Trust marks (OpenID Federation 1.1, section 7): who attests, whether the anchor lets it, whether it still holds.

A mark counts when an anchor recognises its issuer for its type, the issuer itself has a chain to that anchor, a
federation key of the issuer signed it, and its status list, where it names one, says that it is not revoked. An empty
list of issuers would let anybody attest anything: here it means nobody. A type that has an owner needs a delegation,
which is not spoken here: such marks do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from federation.trust.chain import Chain, Mark
from federation.trust.jose import unverified, verify_jws
from federation.trust.status import verify_status
from schemas.entity import EntityStatement, TrustMark
from schemas.problem import Problem

MARKS_MAX: Final = 32


@dataclass(frozen=True)
class Grounds:
    """What marks are judged by: chains of issuers, configurations of anchors, status lists by uri, and the time."""

    issuers: Mapping[str, Chain]
    roots: Mapping[str, EntityStatement]
    lists: Mapping[str, str]
    now: int


def carried_marks(own: EntityStatement) -> tuple[str, ...]:
    """The marks in an entity's configuration, at most `MARKS_MAX`; those that belie their label are left out."""
    found = []
    for carried in (own.trust_marks or ())[:MARKS_MAX]:
        try:
            claimed = unverified(carried.trust_mark, TrustMark)
        except Problem:
            continue
        if claimed.trust_mark_type == carried.trust_mark_type:
            found.append(carried.trust_mark)
    return tuple(found)


def issuers_named(tokens: Iterable[str], roots: Mapping[str, EntityStatement]) -> set[str]:
    """The issuers whose chains are worth resolving, because an anchor recognises them for such a mark."""
    found = set()
    for token in tokens:
        try:
            claimed = unverified(token, TrustMark)
        except Problem:
            continue
        if any(_recognises(root, claimed) for root in roots.values()):
            found.add(claimed.iss)
    return found


def lists_named(tokens: Iterable[str], entity: str, grounds: Grounds) -> set[tuple[str, str]]:
    """The status lists (uri, issuer) that genuine marks name: nobody else makes this node read a URL."""
    found = set()
    for token in tokens:
        try:
            mark, _ = _genuine(token, entity, grounds)
        except Problem:
            continue
        if mark.status:
            found.add((mark.status.status_list.uri, mark.iss))
    return found


def verify_mark(token: str, entity: str, grounds: Grounds) -> Mark:
    """A mark about `entity` that may be believed. Raises `DOCUMENT_INVALID`."""
    mark, issuer = _genuine(token, entity, grounds)
    exp, status = min(mark.exp, issuer.exp), None
    if mark.status:
        index = mark.status.status_list
        if index.uri not in grounds.lists:
            raise _refused(mark, f"its status list {index.uri} cannot be had, so it may be revoked")
        exp = min(exp, verify_status(grounds.lists[index.uri], index, mark.iss, issuer.keys, grounds.now).exp)
        status = (index.uri, grounds.lists[index.uri])
    return Mark(mark.trust_mark_type, mark.iss, mark.attest, exp, token, status, mark.exp)


def verify_marks(tokens: Iterable[str], entity: str, grounds: Grounds) -> tuple[tuple[Mark, ...], tuple[str, ...]]:
    """The marks that count, and why each other one does not: unknown means refused, and spoils no other."""
    verified, refused = [], []
    for token in list(dict.fromkeys(tokens))[:MARKS_MAX]:
        try:
            verified.append(verify_mark(token, entity, grounds))
        except Problem as problem:
            refused.append(str(problem))
    return tuple(verified), tuple(refused)


def _genuine(token: str, entity: str, grounds: Grounds) -> tuple[TrustMark, Chain]:
    """The mark and the chain of its issuer, whether revoked or not."""
    claimed = unverified(token, TrustMark)
    issuer = grounds.issuers.get(claimed.iss)
    if not any(_recognises(root, claimed) for root in grounds.roots.values()):
        raise _refused(claimed, f"{claimed.iss} is no auditor that the anchor recognises for {claimed.trust_mark_type}")
    if issuer is None:
        raise _refused(claimed, f"its issuer {claimed.iss} is not trusted itself")
    if not _recognises(grounds.roots.get(issuer.anchor, issuer.root), claimed):
        raise _refused(claimed, f"the anchor of {claimed.iss} does not recognise it for {claimed.trust_mark_type}")
    mark = verify_jws(token, TrustMark, issuer.keys, now=grounds.now, iss=issuer.entity)
    if mark.sub != entity:
        raise _refused(mark, f"the mark is about another entity, {mark.sub}")
    return mark, issuer


def _recognises(root: EntityStatement, mark: TrustMark) -> bool:
    owned = mark.trust_mark_type in (root.trust_mark_owners or {}) or mark.delegation is not None
    return not owned and mark.iss in (root.trust_mark_issuers or {}).get(mark.trust_mark_type, ())


def _refused(mark: TrustMark, why: str) -> Problem:
    return Problem("DOCUMENT_INVALID", why, field=f"mark {mark.trust_mark_type}")

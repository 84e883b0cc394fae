"""What a belief in members rests on, as bytes that anybody can verify again: statements, marks, status lists (pure).

A domain holds them as they were verified. Whoever decides something about a member keeps them beside the decision, so
that it can be judged later at the time of the decision, when none of them is in force any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from federation.trust.chain import TrustDomain
from federation.trust.jose import doc_hash
from schemas.entity import FACTS_MARK
from schemas.jurisdiction import Attestation
from schemas.segment import Hash


class Belief(Struct, frozen=True, kw_only=True):
    """`chains` are statements by entity, from its own configuration up to its anchor; `status_lists` are by uri."""

    chains: dict[str, tuple[str, ...]] = {}
    marks: tuple[str, ...] = ()
    status_lists: dict[str, str] = {}


NOTHING = Belief()


class Attested(NamedTuple):
    """What auditors say of an entity at one time: facts, the types of all its marks, the first Unix second at which one
    of these has ended by its own word (0 without any), and their hashes, the one that lasts longest first.

    All of it follows from the marks alone, whenever their issuers' chains and status lists were read."""

    facts: Attestation | None
    types: frozenset[str]
    until: int
    marks: tuple[Hash, ...]


def attested(domain: TrustDomain, entity: str, now: int) -> Attested:
    """What counts of an entity at `now`. The facts are those of the mark that lasts longest."""
    marks = sorted(domain.valid_marks(entity, now), key=lambda mark: (mark.own_exp, mark.token), reverse=True)
    about = [mark for mark in marks if mark.type == FACTS_MARK]
    return Attested(
        facts=about[0].attest if about else None,
        types=frozenset(mark.type for mark in marks),
        until=min((mark.own_exp for mark in marks), default=0),
        marks=tuple(doc_hash(mark.token) for mark in marks),
    )


class Book:
    """What is attested of everybody, looked up once for a domain and a second; whoever decides asks again and again."""

    def __init__(self) -> None:
        self._found: dict[str, Attested] = {}
        self._of: tuple[TrustDomain, int] | None = None

    def attested(self, domain: TrustDomain, entity: str, now: int) -> Attested:
        """See `attested`."""
        if self._of is None or self._of[0] is not domain or self._of[1] != now:
            self._of, self._found = (domain, now), {}
        found = self._found.get(entity)
        if found is None:
            found = self._found[entity] = attested(domain, entity, now)
        return found


def belief(domain: TrustDomain, entities: Iterable[str], now: int) -> Belief:
    """Behind each of `entities` that the domain knows: its chain, its marks that count at `now`, who gave these."""
    named = [entity for entity in dict.fromkeys(entities) if entity in domain.chains]
    marks = [mark for entity in named for mark in domain.valid_marks(entity, now)]
    behind = sorted({*named, *(mark.issuer for mark in marks)})
    return Belief(
        chains={entity: domain.chains[entity] for entity in behind if entity in domain.chains},
        marks=tuple(dict.fromkeys(mark.token for mark in marks)),
        status_lists={mark.status[0]: mark.status[1] for mark in marks if mark.status},
    )

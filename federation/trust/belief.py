"""What a belief in members rests on, as bytes that anybody can verify again: statements, marks, status lists (pure).

A domain holds them as they were verified. Whoever decides something about a member keeps them beside the decision, so
that it can be judged later at the time of the decision, when none of them is in force any more.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from federation.trust.chain import TrustDomain


class Belief(Struct, frozen=True, kw_only=True):
    """`chains` are statements by entity, from its own configuration up to its anchor; `status_lists` are by uri."""

    chains: dict[str, tuple[str, ...]] = {}
    marks: tuple[str, ...] = ()
    status_lists: dict[str, str] = {}


NOTHING = Belief()


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

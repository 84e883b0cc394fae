"""Who was who at a time: the chains of a bundle, verified with the keys of the anchors (checks `chains`, `signatures`).

A chain holds from the moment at which its youngest statement was made until the first of them expires. A document is
verified with the keys of a chain of its signer that held when it was made; what authorises (mandates, tokens, grants,
policies) with one that held when it was used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from federation.trust.chain import Chain, Member, member_of, verify_chain
from federation.trust.jose import unverified
from schemas.entity import EntityStatement, Jwks
from schemas.problem import Problem
from schemas.segment import EntityId
from schemas.token import SKEW_S


@dataclass(frozen=True)
class Spell:
    """A verified chain, and the Unix seconds from and until which it holds."""

    chain: Chain
    since: int
    until: int

    @cached_property
    def member(self) -> Member:
        """Whom it shows. Raises `DOCUMENT_INVALID` where its metadata are of another shape."""
        return member_of(self.chain)

    def holds(self, at: int) -> bool:
        """Whether it holds at a Unix second; clocks may differ by `SKEW_S`."""
        return self.since - SKEW_S <= at < self.until


@dataclass(frozen=True)
class Standing:
    """The chains of every entity in time, and why others do not count."""

    spells: Mapping[EntityId, tuple[Spell, ...]]
    refused: Mapping[EntityId, str] = field(default_factory=dict)

    def at(self, entity: EntityId, at: int) -> Spell:
        """The chain that held: of several the last that had begun. Raises `DOCUMENT_INVALID`."""
        holding = [spell for spell in self.spells.get(entity, ()) if spell.holds(at)]
        if not holding:
            why = self.refused.get(
                entity,
                "none is shown, and its keys were not given (--key)" if entity not in self.spells else "none held then",
            )
            raise Problem("DOCUMENT_INVALID", f"no chain of {entity} at {_instant(at)}: {why}")
        begun = [spell for spell in holding if spell.since <= at]
        return max(begun, key=_age) if begun else min(holding, key=_age)


def standing_of(chains: Mapping[EntityId, Sequence[Sequence[str]]], anchors: Mapping[str, Jwks]) -> Standing:
    """Verify every chain; one that does not verify spoils no other."""
    spells: dict[EntityId, tuple[Spell, ...]] = {}
    refused: dict[EntityId, str] = {}
    for entity, rows in chains.items():
        for tokens in rows:
            try:
                spells[entity] = (*spells.get(entity, ()), _spell(entity, tokens, anchors))
            except Problem as problem:
                refused[entity] = str(problem)
    return Standing(spells, refused)


def _spell(entity: EntityId, tokens: Sequence[str], anchors: Mapping[str, Jwks]) -> Spell:
    since = max((unverified(token, EntityStatement).iat for token in tokens), default=0)
    chain = verify_chain(tokens, anchors, since)
    if chain.entity != entity:
        raise Problem("DOCUMENT_INVALID", f"the statements are about {chain.entity}")
    spell = Spell(chain, since, chain.exp)
    assert spell.member.entity == entity, "read once, so that metadata of another shape are refused here"
    return spell


def _instant(at: int) -> str:
    """A Unix second as a person reads it; documents may name ones that no calendar has."""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"Unix second {at}"


def _age(spell: Spell) -> tuple[int, int, tuple[str, ...]]:
    return spell.since, spell.until, spell.chain.tokens

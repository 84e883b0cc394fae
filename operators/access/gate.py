"""Who is served, and documents to claims that may be acted on.

A broker speaks only for itself: `iss` of every document must be the entity that its certificate was judged to be, which
must be a member of the trust domain that is believed now, and `aud` must be this operator. `sub`, the buyer's
pseudonym, is opaque here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeVar

from federation.node.identity.heed import Heed
from federation.node.identity.membership import Membership
from federation.node.seams import Clock
from federation.trust.chain import Member
from federation.trust.jose import doc_hash, unverified, verify_jws
from federation.trust.keys import PublicKey
from schemas.order import Confirm, Order
from schemas.problem import Problem
from schemas.quote import Rfq
from schemas.segment import EntityId, Hash
from schemas.token import TYP_OF

Signed = TypeVar("Signed", Rfq, Order, Confirm)


class Named(NamedTuple):
    """A document by its issuer's `jti` and by its hash: the same bytes again have both the same."""

    jti: str
    hash: Hash


class Gate:
    """Who may speak to this operator, and for whom."""

    def __init__(self, me: EntityId, served: Collection[EntityId], membership: Membership, clock: Clock) -> None:
        """`served` are the brokers of the configuration; every member that is a broker where it is empty."""
        self._me, self._served, self._clock = me, frozenset(served), clock
        self._membership, self._heed = membership, Heed(membership, clock)

    def admit(self, entity: EntityId) -> EntityId:
        """The member, if it is a broker that is served here. Raises `UNAUTHENTICATED`, `POLICY_DENIED`."""
        try:
            member = self.member(entity)
        except Problem as problem:
            raise Problem("UNAUTHENTICATED", problem.detail) from problem
        if member.metadata.connectivity_broker is None:
            raise Problem("POLICY_DENIED", f"{entity} is no broker")
        if self._served and entity not in self._served:
            raise Problem("POLICY_DENIED", f"{entity} is not among the brokers that are served here")
        return entity

    def name(self, token: str, claims: type[Signed], field: str) -> Named:
        """Which document this says it is, to find the answer it had before. Nothing of it is believed yet."""
        try:
            return Named(unverified(token, claims).jti, doc_hash(token))
        except Problem as problem:
            raise _refused(problem, claims, field) from problem

    async def heed(self, token: str, caller: EntityId) -> None:
        """Before a document of `caller` is verified: read of its keys where this one is new. Does not raise."""
        await self._heed(caller, token)

    def verify(self, token: str, claims: type[Signed], caller: EntityId, field: str) -> Signed:
        """Claims of a document that the caller itself signed, for us. Raises `DOCUMENT_INVALID`."""
        try:
            return verify_jws(token, claims, self.keys_of(caller), now=self._clock.now(), iss=caller, aud=self._me)
        except Problem as problem:
            raise _refused(problem, claims, field) from problem

    def read(self, token: str, claims: type[Signed]) -> Signed:
        """Claims of a document that was verified when it came."""
        return unverified(token, claims)

    def keys_of(self, entity: EntityId) -> Mapping[str, PublicKey]:
        """The keys that sign the documents of a member. Raises `NOT_FOUND`."""
        return self.member(entity).keys

    def member(self, entity: EntityId) -> Member:
        """The member, if it is believed now. Raises `NOT_FOUND`."""
        now = self._clock.now()
        try:
            return self._membership.domain.member(entity, now)
        except Problem:
            # It may have been admitted, or its statements renewed, since the folder was last read.
            return self._membership.again().member(entity, now)


def _refused(problem: Problem, claims: type[Signed], field: str) -> Problem:
    return Problem("DOCUMENT_INVALID", f"{TYP_OF[claims]}: {problem.detail}", field=field)

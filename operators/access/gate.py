"""Bearer keys to entities, and documents to claims that may be acted on.

A broker that holds a bearer key may speak only for itself: `iss` of every document must be the key's owner, which must
be a member of the trust domain that is believed now, and `aud` must be this operator. `sub`, the buyer's pseudonym, is
opaque here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from federation.node.bearer import Keyring
from federation.node.seams import Clock
from federation.trust.chain import TrustDomain
from federation.trust.jose import doc_hash, unverified, verify_jws
from federation.trust.keys import PublicKey
from schemas.order import Confirm, Order
from schemas.problem import Problem
from schemas.quote import Rfq
from schemas.segment import EntityId, Hash
from schemas.token import TYP_OF

REREAD_S: Final = 30  # how old a copy of the trust domain may be before a document from a stranger has it read again

Signed = TypeVar("Signed", Rfq, Order, Confirm)


class Named(NamedTuple):
    """A document by its issuer's `jti` and by its hash: the same bytes again have both the same."""

    jti: str
    hash: Hash


class Gate:
    """Who may speak to this operator, and for whom."""

    def __init__(
        self,
        me: EntityId,
        keyring: Keyring[EntityId],
        domain: TrustDomain,
        read_again: Callable[[], TrustDomain],
        clock: Clock,
    ) -> None:
        self._me, self._keyring, self._clock = me, keyring, clock
        self._domain, self._read_at, self._read_again = domain, clock.now(), read_again

    def who(self, authorization: str | None) -> EntityId:
        """The broker that a bearer key belongs to. Raises `UNAUTHENTICATED`."""
        return self._keyring.who(authorization)

    def name(self, token: str, claims: type[Signed], field: str) -> Named:
        """Which document this says it is, to find the answer it had before. Nothing of it is believed yet."""
        try:
            return Named(unverified(token, claims).jti, doc_hash(token))
        except Problem as problem:
            raise _refused(problem, claims, field) from problem

    def verify(self, token: str, claims: type[Signed], caller: EntityId, field: str) -> Signed:
        """Claims of a document that the caller itself signed, for us. Raises `DOCUMENT_INVALID`."""
        try:
            return verify_jws(token, claims, self._keys(caller), now=self._clock.now(), iss=caller, aud=self._me)
        except Problem as problem:
            raise _refused(problem, claims, field) from problem

    def _keys(self, entity: EntityId) -> Mapping[str, PublicKey]:
        now = self._clock.now()
        try:
            member = self._domain.member(entity, now)
        except Problem:
            # It may have been admitted, or its statements renewed, since the folder was last read.
            if now - self._read_at < REREAD_S:
                raise
            self._domain, self._read_at = self._read_again(), now
            member = self._domain.member(entity, now)
        return member.keys


def _refused(problem: Problem, claims: type[Signed], field: str) -> Problem:
    return Problem("DOCUMENT_INVALID", f"{TYP_OF[claims]}: {problem.detail}", field=field)

"""Who signs for this operator, with what, and when."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from federation.node.seams import Clock, Entropy
from federation.trust.jose import doc_hash, sign_jws
from federation.trust.keys import PrivateKey
from schemas.segment import EntityId, Hash


class Signed(NamedTuple):
    """A document, and its hash."""

    token: str
    hash: Hash


class Signer(NamedTuple):
    """One operator's entity id and key, with the clock and the ids that go into what it signs."""

    entity: EntityId
    key: PrivateKey
    clock: Clock
    entropy: Entropy

    def sign(self, claims: Struct) -> Signed:
        """Sign a document."""
        token = sign_jws(self.key, claims)
        return Signed(token, doc_hash(token))

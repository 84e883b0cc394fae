"""What a quote rests on, kept beside it so that it can be judged later as of then (pure).

The same statements, marks, status lists and rates stand behind many quotes: each text is stored once, under its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from federation.trust.belief import Belief
from federation.trust.jose import doc_hash, sha256_b64
from schemas.segment import EntityId, Hash

NO_TEXTS: Final[Mapping[Hash, str]] = {}


class Basis(Struct, frozen=True, kw_only=True):
    """What was believed at the Unix second `at`, by the hashes of texts that the store keeps.

    Statements by entity, from its own configuration upwards; trust marks; status lists by uri. The intent and the rates
    are named in the quote.
    """

    at: int
    chains: dict[EntityId, tuple[Hash, ...]] = {}
    marks: tuple[Hash, ...] = ()
    status_lists: dict[str, Hash] = {}

    def hashes(self) -> frozenset[Hash]:
        """All texts that it names."""
        statements = {one for chain in self.chains.values() for one in chain}
        return frozenset({*statements, *self.marks, *self.status_lists.values()})


class Kept(NamedTuple):
    """A basis with its texts, and those of the unsigned data that a quote names by hash."""

    basis: Basis
    texts: Mapping[Hash, str]


def kept_of(belief: Belief, at: int, *unsigned: Struct) -> Kept:
    """What to keep of a belief: documents under their document hash, `unsigned` data under its canonical hash."""
    texts: dict[Hash, str] = {}

    def keep(token: str) -> Hash:
        name = doc_hash(token)
        texts[name] = token
        return name

    basis = Basis(
        at=at,
        chains={entity: tuple(keep(token) for token in tokens) for entity, tokens in belief.chains.items()},
        marks=tuple(keep(token) for token in belief.marks),
        status_lists={uri: keep(token) for uri, token in belief.status_lists.items()},
    )
    return Kept(basis, texts | {canonical_hash(data): canonical(data).decode() for data in unsigned})


def canonical(document: Struct) -> bytes:
    """Unsigned data as it is hashed: JSON with sorted members, defaults left out, no spaces."""
    return msgspec.json.encode(document, order="sorted")


def canonical_hash(document: Struct) -> Hash:
    """Hash of unsigned data: base64url SHA-256 of its canonical form."""
    return sha256_b64(canonical(document))

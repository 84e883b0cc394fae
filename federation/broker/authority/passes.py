"""Which documents are tokens, or what tokens were asked for with, and by what they are found later (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from federation.trust.jose import claimed_typ, doc_hash, unverified
from schemas.access import AccessToken, DelegationGrant
from schemas.problem import Problem
from schemas.segment import Hash

PASSES: Final[Mapping[str, type[AccessToken] | type[DelegationGrant]]] = {
    "at+jwt": AccessToken,
    "authorization-grant+jwt": DelegationGrant,
}
# An order needs the tokens of so long before one of its quotes, and after it: an agent's lives for 300 s, an operator's
# for 120 s.
BEFORE_QUOTE_S: Final = 600
AFTER_QUOTE_S: Final = 300


def passes_of(buyer: str, document: str) -> Iterator[tuple[str, Hash, int, Hash]]:
    """Buyer, mandate, time and hash of a token, or of what it was asked for with; nothing of any other document."""
    try:
        kind = PASSES.get(claimed_typ(document))
        claims = None if kind is None else unverified(document, kind)
    except Problem:
        return  # kept as it is: whoever shows it later will hear that it is none
    if claims is not None:
        yield buyer, claims.mandate_h, claims.iat, doc_hash(document)

"""Every signed document by its `typ`: the shape of its claims, its size cap in bytes, its longest life in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.access import (
    AGENT_TOKEN_LIFE_S,
    ASSERTION_LIFE_S,
    PROOF_AGE_S,
    AccessToken,
    ClientAssertion,
    DelegationGrant,
    DpopProof,
)
from schemas.decision import DECISION_LIFE_S, POLICY_LIFE_S, Decision, Policy
from schemas.entity import EntityStatement, HistoricalKeys, MarkStatus, StatusList, TrustMark
from schemas.grant import GRANT_LIFE_S, EndpointGrant
from schemas.mandate import MANDATE_LIFE_S, Mandate
from schemas.offer import Delta, Manifest
from schemas.order import RECEIPT_LIFE_S, Confirm, Order, Receipt
from schemas.quote import PathQuote, Rfq, SegmentQuote
from schemas.statement import STATEMENT_LIFE_S, BillingStatement

KIB: Final = 1024
SKEW_S: Final = 30


class Kind(NamedTuple):
    """One row: claims type, size cap, life cap; `addressed` documents carry one `aud`, published ones none.

    A `proof` brings its own key in the header, has no `exp`, and counts for `life_s_max` before and after its `iat`.
    """

    claims: type[Any]
    bytes_max: int
    life_s_max: int
    addressed: bool = True
    proof: bool = False


TYPES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # A configuration carries marks; a statement of a superior does not, and the chain holds it to 16 KiB.
        "entity-statement+jwt": Kind(EntityStatement, 64 * KIB, 7 * 86400, addressed=False),
        "trust-mark+jwt": Kind(TrustMark, 48 * KIB, 90 * 86400, addressed=False),
        "statuslist+jwt": Kind(StatusList, 16 * KIB, 3600, addressed=False),
        "trust-mark-status-response+jwt": Kind(MarkStatus, 64 * KIB, 3600, addressed=False),
        "jwk-set+jwt": Kind(HistoricalKeys, 16 * KIB, 7 * 86400, addressed=False),
        "offer-manifest+jwt": Kind(Manifest, 16 * KIB, 86400, addressed=False),
        "offer-delta+jwt": Kind(Delta, 48 * KIB, 3600, addressed=False),
        "rfq+jwt": Kind(Rfq, 16 * KIB, 120),
        "quote+jwt": Kind(SegmentQuote, 16 * KIB, 300),
        "path-quote+jwt": Kind(PathQuote, 48 * KIB, 300),
        "order+jwt": Kind(Order, 16 * KIB, 60),
        "receipt+jwt": Kind(Receipt, 16 * KIB, RECEIPT_LIFE_S),
        "confirm+jwt": Kind(Confirm, 16 * KIB, 60),
        "billing-statement+jwt": Kind(BillingStatement, 2048 * KIB, STATEMENT_LIFE_S),
        "decision+jwt": Kind(Decision, 16 * KIB, DECISION_LIFE_S),
        "policy+jwt": Kind(Policy, 48 * KIB, POLICY_LIFE_S, addressed=False),
        "mandate+jwt": Kind(Mandate, 16 * KIB, MANDATE_LIFE_S),
        "endpoint-grant+jwt": Kind(EndpointGrant, 16 * KIB, GRANT_LIFE_S),
        "at+jwt": Kind(AccessToken, 16 * KIB, AGENT_TOKEN_LIFE_S),
        "dpop+jwt": Kind(DpopProof, 4 * KIB, PROOF_AGE_S, addressed=False, proof=True),
        "client-authentication+jwt": Kind(ClientAssertion, 4 * KIB, ASSERTION_LIFE_S),
        "authorization-grant+jwt": Kind(DelegationGrant, 16 * KIB, ASSERTION_LIFE_S),
    }
)
TYP_OF: Final[Mapping[type[Any], str]] = MappingProxyType({kind.claims: typ for typ, kind in TYPES.items()})

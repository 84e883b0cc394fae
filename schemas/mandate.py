"""A mandate: the signed authority that a buyer gives an agent, at one broker (`mandate+jwt`)."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from schemas.authority import Authority
from schemas.document import Document
from schemas.segment import Hash

MANDATE_LIFE_S: Final = 366 * 86400


class AgentKey(Struct, frozen=True, forbid_unknown_fields=True):
    """The agent's key, by its RFC 7638 thumbprint (RFC 7800, RFC 9449 section 6.1)."""

    jkt: Hash


class Mandate(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `mandate+jwt`: buyer `iss` lets agent `sub` do what `authorization_details` says at broker `aud`.

    It names one broker, so that its budget is kept in one place, and the agent's key `cnf`, so that only that agent can
    use it. A buyer who wants two brokers splits the budget over two mandates.
    """

    cnf: AgentKey
    authorization_details: tuple[Authority]

"""From an authority at this broker to what one operator is shown of it (pure)."""

from __future__ import annotations

from typing import NamedTuple

from federation.broker.authority.filing import Party
from federation.broker.authority.power import Power
from federation.broker.peers.protocols import Permit
from federation.broker.peers.pseudonym import pseudonym
from federation.tokens.assertion import Chained
from federation.tokens.narrows import slice_for
from schemas.price import RateTable


class Permits(NamedTuple):
    """How this broker names buyers to operators, and at which rates it converts a ceiling."""

    secret: bytes
    rates: RateTable

    def of(
        self, power: Power | None, buyer: str, operator: str, currency: str, grants: tuple[str, ...] = ()
    ) -> Permit | None:
        """The permit for `operator`, which sells in `currency`; None where nobody limits anything.

        Raises POLICY_DENIED where the authority may not be passed on, INVALID_ARGUMENT without a rate.
        """
        if power is None:
            return None
        chained = Chained(
            mandate_h=power.mandate_h,
            txn=power.txn,
            buyer=pseudonym(self.secret, buyer, operator),
            agent=pseudonym(self.secret, f"agent {power.agent}", operator),
        )
        party = Party(buyer, power.key)
        return Permit(slice_for(power.authority, operator, currency, self.rates), chained, grants, party)

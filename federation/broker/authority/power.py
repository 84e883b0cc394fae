"""What somebody acts under (pure)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Struct

from federation.tokens.mandate import Budget
from federation.tokens.reach import check_deed
from federation.trust.jose import sha256_b64
from schemas.access import AccessToken
from schemas.authority import Authority, Deed
from schemas.problem import Outcome, Problem
from schemas.segment import EntityId, Hash, Id


class Power(Struct, frozen=True, kw_only=True):
    """An authority at this broker: whose it is (`buyer`, entity id or name), who uses it, under which mandate.

    `mandate_h` is the hash of a signed mandate, or that of the limits which the configuration sets; `txn` is the same
    on every hop of what is done under it.
    """

    mandate_h: Hash
    buyer: str
    agent: str
    authority: Authority
    txn: Id

    @property
    def budget(self) -> Budget:
        """What may be spent under the mandate, as far as this authority reaches."""
        spend = self.authority.spend
        return Budget(
            mandate_h=self.mandate_h,
            buyer=self.buyer,
            ccy=spend.ccy,
            per_order_micro=spend.per_order_micro,
            total_micro=spend.total_micro,
            until=spend.until,
        )


class Buyer(NamedTuple):
    """Who asks, as the configuration names it, and the authority under which; without one nothing is limited, which is
    for those who embed a desk."""

    name: str
    power: Power | None = None

    @property
    def budget(self) -> Budget | None:
        """What may be spent, where there is a mandate."""
        return None if self.power is None else self.power.budget

    def may(self, deed: Deed, now: int) -> None:
        """Raises `POLICY_DENIED` naming the axis of the mandate that does not reach so far."""
        if self.power is None:
            return
        try:
            check_deed(self.power.authority, deed, now)
        except Problem as problem:
            raise problem.with_outcome(Outcome.NONE) from problem


def of_token(access: AccessToken) -> Power:
    """The power of an agent that showed its access token; it ends with the mandate, because the token does."""
    return Power(
        mandate_h=access.mandate_h,
        buyer=access.sub,
        agent=access.client_id,
        authority=access.authorization_details[0],
        txn=access.txn,
    )


def of_house(broker: EntityId, buyer: str, authority: Authority, txn: Id) -> Power:
    """The power of a buyer known by a bearer key: its limits are named by their hash, so other limits are another
    mandate, of which nothing is spent yet."""
    named = msgspec.json.encode([broker, buyer, authority], order="sorted")
    return Power(mandate_h=sha256_b64(named), buyer=buyer, agent=buyer, authority=authority, txn=txn)

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
    on every hop of what is done under it. `key` is the thumbprint of an agent's key; none where the buyer itself acts.
    """

    mandate_h: Hash
    buyer: str
    agent: str
    authority: Authority
    txn: Id
    key: Hash | None = None

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
    for those who embed a desk. `entity` signs its mandates, if it gives any."""

    name: str
    power: Power | None = None
    entity: EntityId | None = None

    @property
    def issuers(self) -> tuple[str, ...]:
        """Whose mandates are its own: those of its entity, and the limits that go with its name."""
        return (self.name,) if self.entity is None else (self.entity, self.name)

    @property
    def agent(self) -> Hash | None:
        """The key of an agent, which sees and touches what was asked with it and nothing else; none for the buyer."""
        return None if self.power is None else self.power.key

    @property
    def asker(self) -> str:
        """Whose idempotency keys count together: the buyer's own, or one agent's. No name has a slash."""
        return self.name if self.agent is None else f"{self.name}/{self.agent}"

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


def of_token(access: AccessToken, *, itself: bool = False) -> Power:
    """The power of an agent that showed its access token; it ends with the mandate, because the token does. A buyer may
    act with a key of its own under a mandate that it signed for `itself`."""
    return Power(
        mandate_h=access.mandate_h,
        buyer=access.sub,
        agent=access.client_id,
        authority=access.authorization_details[0],
        txn=access.txn,
        key=None if itself else access.cnf.jkt,
    )


def of_house(broker: EntityId, buyer: str, authority: Authority, txn: Id) -> Power:
    """The power of a buyer known by a bearer key: its limits are named by their hash, so other limits are another
    mandate, of which nothing is spent yet."""
    named = msgspec.json.encode([broker, buyer, authority], order="sorted")
    return Power(mandate_h=sha256_b64(named), buyer=buyer, agent=buyer, authority=authority, txn=txn)

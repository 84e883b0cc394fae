"""What a known buyer may ask of a broker. Every transport is written against this and nothing else.

The desk, seen by one buyer, is one implementation; `federation.client.broker.BrokerClient`, which speaks to a desk
elsewhere, is another. So an agent's tools are the same inside a broker and in front of one.
"""

from __future__ import annotations

from typing import Protocol

from schemas.answer import (
    AllowanceView,
    AuditView,
    EvidenceView,
    FederationView,
    MeasurementView,
    OrderView,
    PoliciesView,
    QuotePending,
    QuoteView,
    ResizeView,
    RevocationView,
    SearchAnswer,
    StatementView,
)
from schemas.backup import BackupRequest
from schemas.evidence import Profile
from schemas.intent import Intent, Objective
from schemas.request import Extension, Measurement, Resize


class Exchange(Protocol):
    """The operations of a buyer. Each raises `Problem`; `key` is the `Idempotency-Key` of a write.

    The same key with the same request has one effect and the same answer, also where that is a refusal (but for those
    in `PASSING`); with another request it raises `IDEMPOTENCY_CONFLICT`. What belongs to another buyer, or to another
    agent of this one, is `NOT_FOUND`; a buyer that acts for itself sees what its agents asked.
    """

    async def search(
        self,
        intent: Intent,
        paths: int,
        *,
        front: tuple[Objective, ...] | None = None,
        backup: BackupRequest | None = None,
    ) -> SearchAnswer:
        """Candidate paths from published offers, at most `paths`, or why there is none; changes nothing.

        With `front` also the paths that no other beats on all of these objectives, with `backup` the best pair of
        paths that have nothing of a kind in common.
        """
        ...

    async def quote(
        self, intent: Intent, key: str, grants: tuple[str, ...] = (), wait_s: int | None = 0
    ) -> QuoteView | QuotePending:
        """A firm quote with holds at every operator, with endpoint grants for UNIs of others.

        Where the intent lets operators take long and one does: what is waited for, at the latest after `wait_s`
        seconds, and None is as long as that takes. Raises `NO_FEASIBLE_PATH` with what binds and what would help.
        """
        ...

    async def get_quote(self, quote_id: str, wait_s: int = 0) -> QuoteView | QuotePending:
        """A quote as it stands, or what is waited for; waits up to `wait_s` seconds for it. Raises why there will be
        none."""
        ...

    async def decline(self, quote_id: str, key: str) -> QuoteView | QuotePending:
        """Let a quote and its holds go, or stop waiting for it."""
        ...

    async def order(self, quote_id: str, key: str) -> OrderView:
        """Turn a quote into an order; the answer may come before it is ACTIVE."""
        ...

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        """An order as it stands; waits up to `wait_s` seconds while it is on its way to another state."""
        ...

    async def orders(self, limit: int, after: str | None = None) -> tuple[OrderView, ...]:
        """At most `limit` orders of this buyer, or of this agent of it, latest first, beginning below `after`."""
        ...

    async def extend(self, order_id: str, extension: Extension, key: str) -> OrderView:
        """Make a lease last longer on every operator, or on none."""
        ...

    async def resize(self, order_id: str, asked: Resize, key: str) -> ResizeView:
        """Give a lease another bandwidth, in place or over a new path; the answer names the order to use."""
        ...

    async def release(self, order_id: str, key: str) -> OrderView:
        """End a lease everywhere; legal in every state, and again."""
        ...

    async def heartbeat(self, order_id: str, key: str) -> OrderView:
        """Say that whoever holds a lease is still there; legal in every state, needed with `idle_release_s` only."""
        ...

    async def measure(self, order_id: str, measured: Measurement, key: str) -> MeasurementView:
        """Report what was measured of a lease in force; the answer says what that contradicts, if anything."""
        ...

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        """What was measured of an order, the first first."""
        ...

    async def revoke(self, mandate_h: str, key: str) -> RevocationView:
        """Take back a mandate of this buyer, by its hash: nothing is asked or ordered under it from then on."""
        ...

    async def allowance(self) -> AllowanceView:
        """What may be done, and what is left to be spent. Raises NOT_FOUND where nothing limits this buyer."""
        ...

    async def policies(self) -> PoliciesView:
        """The policies that this buyer may name in an intent, with their texts, and the data classes."""
        ...

    async def evidence(self, order_id: str, profile: Profile) -> EvidenceView:
        """What proves an order of this buyer to a stranger. Raises UNAVAILABLE while a checkpoint is pending."""
        ...

    async def statement(self, order_id: str) -> StatementView:
        """What an order that is over came to, signed, segment by segment. Raises INCOMPATIBLE_STATE before that."""
        ...

    async def audit(self) -> AuditView:
        """What operators keep for this buyer that no live order of its owns, each asked just now."""
        ...

    async def federation(self) -> FederationView:
        """The federation as the broker knows it now."""
        ...

    async def document(self, document_h: str) -> str:
        """A signed document of this buyer's quotes and orders, by its hash."""
        ...

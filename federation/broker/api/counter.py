"""The desk, seen by one buyer: the `Exchange` behind every face inside a broker."""

from __future__ import annotations

from federation.broker.authority.power import Buyer
from federation.broker.desk import Desk
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


class Counter:
    """An `Exchange` of one buyer."""

    def __init__(self, desk: Desk, buyer: Buyer) -> None:
        self._desk, self._buyer = desk, buyer

    async def search(
        self,
        intent: Intent,
        paths: int,
        *,
        front: tuple[Objective, ...] | None = None,
        backup: BackupRequest | None = None,
    ) -> SearchAnswer:
        """See `Exchange.search`."""
        return await self._desk.search(self._buyer, intent, paths, front=front, backup=backup)

    async def quote(
        self, intent: Intent, key: str, grants: tuple[str, ...] = (), wait_s: int | None = 0
    ) -> QuoteView | QuotePending:
        """See `Exchange.quote`."""
        made = await self._desk.quote(self._buyer, intent, key, grants)
        if isinstance(made, QuoteView) or wait_s == 0:
            return made
        return await self.get_quote(made.id, wait_s or intent.answer_within_s or 0)

    async def get_quote(self, quote_id: str, wait_s: int = 0) -> QuoteView | QuotePending:
        """See `Exchange.get_quote`."""
        return await self._desk.get_quote(self._buyer, quote_id, wait_s)

    async def decline(self, quote_id: str, key: str) -> QuoteView | QuotePending:
        """See `Exchange.decline`."""
        return await self._desk.decline(self._buyer, quote_id, key)

    async def order(self, quote_id: str, key: str) -> OrderView:
        """See `Exchange.order`."""
        return await self._desk.order(self._buyer, quote_id, key)

    async def get_order(self, order_id: str, wait_s: int) -> OrderView:
        """See `Exchange.get_order`."""
        return await self._desk.get_order(self._buyer, order_id, wait_s)

    async def orders(self, limit: int, after: str | None = None) -> tuple[OrderView, ...]:
        """See `Exchange.orders`."""
        return await self._desk.orders(self._buyer, limit, after)

    async def extend(self, order_id: str, extension: Extension, key: str) -> OrderView:
        """See `Exchange.extend`."""
        return await self._desk.extend(self._buyer, order_id, extension, key)

    async def resize(self, order_id: str, asked: Resize, key: str) -> ResizeView:
        """See `Exchange.resize`."""
        return await self._desk.resize(self._buyer, order_id, asked, key)

    async def release(self, order_id: str, key: str) -> OrderView:
        """See `Exchange.release`."""
        return await self._desk.release(self._buyer, order_id, key)

    async def heartbeat(self, order_id: str, key: str) -> OrderView:
        """See `Exchange.heartbeat`."""
        return await self._desk.heartbeat(self._buyer, order_id, key)

    async def measure(self, order_id: str, measured: Measurement, key: str) -> MeasurementView:
        """See `Exchange.measure`."""
        return await self._desk.measure(self._buyer, order_id, measured, key)

    async def measurements(self, order_id: str) -> tuple[MeasurementView, ...]:
        """See `Exchange.measurements`."""
        return await self._desk.measurements(self._buyer, order_id)

    async def revoke(self, mandate_h: str, key: str) -> RevocationView:
        """See `Exchange.revoke`."""
        return await self._desk.revoke(self._buyer, mandate_h, key)

    async def allowance(self) -> AllowanceView:
        """See `Exchange.allowance`."""
        return await self._desk.allowance(self._buyer)

    async def policies(self) -> PoliciesView:
        """See `Exchange.policies`."""
        return self._desk.policies(self._buyer)

    async def evidence(self, order_id: str, profile: Profile) -> EvidenceView:
        """See `Exchange.evidence`."""
        return await self._desk.evidence(self._buyer, order_id, profile)

    async def statement(self, order_id: str) -> StatementView:
        """See `Exchange.statement`."""
        return await self._desk.statement(self._buyer, order_id)

    async def audit(self) -> AuditView:
        """See `Exchange.audit`."""
        return await self._desk.audit(self._buyer)

    async def federation(self) -> FederationView:
        """See `Exchange.federation`."""
        return self._desk.federation()

    async def document(self, document_h: str) -> str:
        """See `Exchange.document`."""
        return await self._desk.document(self._buyer, document_h)

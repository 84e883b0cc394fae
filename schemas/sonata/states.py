"""States of Sonata's resources, one table each: from where to where (MEF 80, 57.2, 81 as in release Kylie).

A state that leads nowhere is final. A resource may be created in any state of its `*_FIRST` set.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class QuoteState(StrEnum):
    """`MEFQuoteStateType`; `accepted` is set by the seller when an order names the quote."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    DRAFT = "inProgress.draft"
    ANSWERED = "answered"
    ORDERABLE = "approved.orderable"
    ORDERABLE_ALTERNATE = "approved.orderableAlternate"
    UNABLE_TO_PROVIDE = "unableToProvide"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    EXPIRED = "expired"
    ACCEPTED = "accepted"


class QuoteItemState(StrEnum):
    """`MEFQuoteItemStateType`; an item keeps its state when its quote is declined, expires or is accepted."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    DRAFT = "inProgress.draft"
    ANSWERED = "answered"
    ORDERABLE = "approved.orderable"
    ORDERABLE_ALTERNATE = "approved.orderableAlternate"
    UNABLE_TO_PROVIDE = "unableToProvide"
    REJECTED = "rejected"
    ABANDONED = "abandoned"


class OrderState(StrEnum):
    """`MEFProductOrderStateType`."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    HELD = "held.assessingCharge"
    PENDING = "pending.assessingModification"
    ASSESSING_CANCELLATION = "assessingCancellation"
    PENDING_CANCELLATION = "pendingCancellation"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"


class OrderItemState(StrEnum):
    """`MEFProductOrderItemStateType`."""

    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "inProgress"
    HELD = "held"
    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    REJECTED_VALIDATED = "rejected.validated"
    REJECTED_UNASSESSED = "rejected.unassessed"


class ProductStatus(StrEnum):
    """`MEFProductStatusType`."""

    PENDING_ACTIVE = "pendingActive"
    ACTIVE = "active"
    PENDING_CHANGE = "active.pendingChange"
    SUSPENDED = "suspended"
    PENDING_TERMINATE = "pendingTerminate"
    SUSPENDED_PENDING_TERMINATE = "suspendedPendingTerminate"
    TERMINATED = "terminated"
    CANCELLED = "cancelled"


class CancelState(StrEnum):
    """`MEFChargeableTaskStateType`, of a cancelProductOrder task."""

    ACKNOWLEDGED = "acknowledged"
    ASSESSING_CHARGE = "inProgress.assessingCharge"
    DONE = "done"
    DECLINED = "done.declined"
    REJECTED = "rejected"


Q, QI, OS, OI = QuoteState, QuoteItemState, OrderState, OrderItemState
P, C = ProductStatus, CancelState
_AFTER_APPROVAL: Final = frozenset({Q.ACCEPTED, Q.DECLINED, Q.EXPIRED})
_ASSESSED: Final = frozenset({Q.ANSWERED, Q.ORDERABLE, Q.ORDERABLE_ALTERNATE, Q.UNABLE_TO_PROVIDE})

UNANSWERED: Final = frozenset({Q.ACKNOWLEDGED, Q.IN_PROGRESS, Q.DRAFT})
ANSWERED: Final = frozenset(QuoteState) - UNANSWERED
QUOTE_FIRST: Final = frozenset({Q.ACKNOWLEDGED, *_ASSESSED})
QUOTE: Final[Mapping[QuoteState, frozenset[QuoteState]]] = MappingProxyType(
    dict.fromkeys(Q, frozenset[QuoteState]())
    | {
        Q.ACKNOWLEDGED: frozenset({Q.IN_PROGRESS, Q.REJECTED}),
        Q.IN_PROGRESS: frozenset({Q.DRAFT, Q.CANCELLED, *_ASSESSED}),
        Q.DRAFT: frozenset({Q.CANCELLED, *_ASSESSED} - {Q.ANSWERED}),
        Q.ANSWERED: frozenset({Q.EXPIRED}),
        Q.ORDERABLE: _AFTER_APPROVAL,
        Q.ORDERABLE_ALTERNATE: _AFTER_APPROVAL,
    }
)
QUOTE_ITEM: Final[Mapping[QuoteItemState, frozenset[QuoteItemState]]] = MappingProxyType(
    dict.fromkeys(QI, frozenset[QuoteItemState]())
    | {
        QI.ACKNOWLEDGED: frozenset({QI.IN_PROGRESS, QI.REJECTED, QI.ABANDONED}),
        QI.IN_PROGRESS: frozenset(
            {QI.DRAFT, QI.ANSWERED, QI.ORDERABLE, QI.ORDERABLE_ALTERNATE, QI.UNABLE_TO_PROVIDE, QI.ABANDONED}
        ),
        QI.DRAFT: frozenset({QI.ORDERABLE, QI.ORDERABLE_ALTERNATE, QI.UNABLE_TO_PROVIDE, QI.ABANDONED}),
    }
)
ORDER: Final[Mapping[OrderState, frozenset[OrderState]]] = MappingProxyType(
    dict.fromkeys(OS, frozenset[OrderState]())
    | {
        OS.ACKNOWLEDGED: frozenset({OS.IN_PROGRESS, OS.REJECTED}),
        OS.IN_PROGRESS: frozenset(OS) - {OS.ACKNOWLEDGED, OS.IN_PROGRESS, OS.REJECTED, OS.CANCELLED},
        OS.HELD: frozenset({OS.IN_PROGRESS}),
        OS.PENDING: frozenset({OS.IN_PROGRESS}),
        OS.ASSESSING_CANCELLATION: frozenset({OS.IN_PROGRESS, OS.PENDING_CANCELLATION}),
        OS.PENDING_CANCELLATION: frozenset({OS.CANCELLED}),
    }
)
ORDER_ITEM: Final[Mapping[OrderItemState, frozenset[OrderItemState]]] = MappingProxyType(
    dict.fromkeys(OI, frozenset[OrderItemState]())
    | {
        OI.ACKNOWLEDGED: frozenset({OI.IN_PROGRESS, OI.REJECTED, OI.REJECTED_VALIDATED, OI.REJECTED_UNASSESSED}),
        OI.IN_PROGRESS: frozenset({OI.HELD, OI.PENDING, OI.COMPLETED, OI.FAILED}),
        OI.HELD: frozenset({OI.IN_PROGRESS, OI.FAILED}),
        OI.PENDING: frozenset({OI.IN_PROGRESS, OI.CANCELLED, OI.FAILED}),
    }
)
PRODUCT: Final[Mapping[ProductStatus, frozenset[ProductStatus]]] = MappingProxyType(
    dict.fromkeys(P, frozenset[ProductStatus]())
    | {
        P.PENDING_ACTIVE: frozenset({P.ACTIVE, P.CANCELLED}),
        P.ACTIVE: frozenset({P.PENDING_CHANGE, P.SUSPENDED, P.PENDING_TERMINATE}),
        P.PENDING_CHANGE: frozenset({P.ACTIVE}),
        P.SUSPENDED: frozenset({P.ACTIVE, P.SUSPENDED_PENDING_TERMINATE}),
        P.PENDING_TERMINATE: frozenset({P.ACTIVE, P.TERMINATED}),
        P.SUSPENDED_PENDING_TERMINATE: frozenset({P.SUSPENDED, P.TERMINATED}),
    }
)
CANCEL: Final[Mapping[CancelState, frozenset[CancelState]]] = MappingProxyType(
    dict.fromkeys(C, frozenset[CancelState]())
    | {
        C.ACKNOWLEDGED: frozenset({C.ASSESSING_CHARGE, C.DONE, C.REJECTED}),
        C.ASSESSING_CHARGE: frozenset({C.DONE, C.DECLINED}),
    }
)

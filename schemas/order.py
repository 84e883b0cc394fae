"""Signed commitments: `order+jwt`, `receipt+jwt` and `confirm+jwt`, each with the hash of the one before."""

from __future__ import annotations

from msgspec import Struct

from schemas.document import Document
from schemas.lease import State
from schemas.price import Line, Money
from schemas.quote import Action
from schemas.segment import EntityId, Hash, Id, Segment, Time

CONFIRM_WITHIN_S = 60
VOID_WITHIN_S = 900  # a void is free of charge until so long after confirm_by: later it is use that somebody denies
CHANGES_MAX = 512  # of one lease, those included that came to nothing: its bill has lines for each
RECEIPT_LIFE_S = 10 * 366 * 86400


class Order(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `order+jwt`, broker to operator.

    `quote_h` is the very quote that was held (add and modify). A release names `product` and `prev_h`, the latest
    receipt; `void` in it is the entity whose confirmation is missing, and a voided segment bills nothing.
    `confirm_by` is the Unix second after which an unconfirmed segment is taken down free of charge.
    """

    action: Action
    quote_h: Hash | None = None
    product: Id | None = None
    path_root: Hash | None = None
    amount: Money | None = None
    confirm_by: int | None = None
    prev_h: Hash | None = None
    void: EntityId | None = None
    mandate_h: Hash | None = None
    decision_h: Hash | None = None
    grant_h: Hash | None = None


class Bill(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a lease cost: used from `start` until `end` (null if never ACTIVE), the lines and their sum."""

    start: Time | None
    end: Time | None
    lines: tuple[Line, ...]
    total: Money


class Receipt(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `receipt+jwt`, operator to broker: what an order, or a confirm, came to.

    `prev_h` is the hash of the confirm or of the earlier receipt that this one follows. `segment` holds the
    labels in force at both ends, which the broker compares across every interconnect before it confirms.
    """

    order_h: Hash
    quote_h: Hash | None
    prev_h: Hash | None
    product: Id
    state: State
    segment: Segment
    confirm_by: int | None = None
    hold_until: int | None = None
    bill: Bill | None = None


class Confirm(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `confirm+jwt`, broker to operator: every segment of `path_root` is UP and the labels agree.

    With `void` it takes a change of bandwidth back instead: the confirm of the entity named there is missing.
    """

    order_h: Hash
    prev_h: Hash
    path_root: Hash
    product: Id
    void: EntityId | None = None

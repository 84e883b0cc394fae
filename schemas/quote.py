"""Signed questions and answers about price: `rfq+jwt`, `quote+jwt` and the end-to-end `path-quote+jwt`.

Every document names the hash of the one before. Members that later features fill (`mandate_h`, `grant_h`,
`decision_h`, `tm_h`, `terms_h`) exist from the start and are null until then.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from schemas.decision import DataClass
from schemas.document import Document
from schemas.interface import Country
from schemas.price import Line, Money, Tariff
from schemas.segment import EntityId, Hash, Id, Limits, Promise, Segment, Window

HOLD_S_DEFAULT = 30
CONFIRM_WITHIN_S_MAX = 3600  # the longest that any operator keeps a segment without a confirm, and unpaid
ConfirmWithin = Annotated[int, Meta(ge=60, le=CONFIRM_WITHIN_S_MAX)]


class Action(StrEnum):
    """What a quote or order does to a lease; Sonata's item actions, with `delete` called release."""

    ADD = "add"
    MODIFY = "modify"
    RELEASE = "release"


class Rfq(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `rfq+jwt`, broker to operator: a firm price and a hold for one segment, please.

    `sub` is the buyer's pairwise pseudonym. `product` is the lease to be changed when `action` is modify;
    `replaces` the hash of a held quote whose hold is swapped for this one in one step. `confirm_within_s` is how long
    after the order, or the start, the confirm may come, because others on the path need that long; null is 60.
    `data_class` is what the lease is for, `destinations` the countries that the whole path ends in, for the operator's
    own policy.
    """

    action: Action = Action.ADD
    segment: Segment
    limits: Limits = Limits()
    hold_s: Annotated[int, Meta(ge=0, le=300)] = HOLD_S_DEFAULT
    product: Id | None = None
    replaces: Hash | None = None
    confirm_within_s: ConfirmWithin | None = None
    data_class: DataClass | None = None
    destinations: tuple[Country, ...] | None = None
    mandate_h: Hash | None = None
    grant_h: Hash | None = None


class SegmentQuote(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `quote+jwt`, operator to broker: firm until `exp`, and held until then if `held`.

    `segment` repeats the one asked for, with the labels held. `lines` and `total` are for the whole window; an
    extension's window begins where the lease ended before, and `tariff` then counts from there. The segment is up
    `up_within_s` after its order, or its start, at the latest (null: soon), and is kept until `confirm_within_s` after
    it without a confirm (null: 60).
    """

    rfq_h: Hash
    action: Action
    segment: Segment
    promise: Promise
    tariff: Tariff
    lines: tuple[Line, ...]
    total: Money
    held: bool
    max_uses: int = 1
    product: Id | None = None
    confirm_within_s: ConfirmWithin | None = None
    up_within_s: Annotated[int, Meta(ge=0, le=CONFIRM_WITHIN_S_MAX)] | None = None
    terms_h: Hash | None = None
    tm_h: tuple[Hash, ...] | None = None


class QuotedSegment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One segment of an end-to-end quote: the operator's own signed quote, and its total as the buyer pays it."""

    operator: EntityId
    quote_h: Hash
    quote: str | None
    total: Money


class PathQuote(Document, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Claims of `path-quote+jwt`, broker to buyer: the segment quotes in order, and one total.

    `path_root` is the Merkle root over the ordered `quote_h`. `total` is in the buyer's currency, each segment
    converted at the rates whose table hashes to `rates_h` and rounded up.
    """

    action: Action = Action.ADD
    order: Id | None = None
    intent_h: Hash
    window: Window
    bandwidth_bps: int
    path: tuple[QuotedSegment, ...]
    path_root: Hash
    promise: Promise
    total: Money
    exit_total: Money
    rates_h: Hash
    mandate_h: Hash | None = None
    decision_h: Hash | None = None

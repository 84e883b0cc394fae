"""Envelopes of productOrderingManagement/v11 (Mplify 123.1): orders and their cancellation."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from schemas.segment import Time
from schemas.sonata.parts import (
    Contact,
    Duration,
    ItemAction,
    ItemRelationship,
    ItemTerm,
    Note,
    Part,
    ProductValue,
    QualificationRef,
    Reference,
    TerminationError,
)
from schemas.sonata.states import CancelState, OrderItemState, OrderState

API = "productOrderingManagement/v11"


class QuoteItemRef(Part, frozen=True, kw_only=True):
    """`MEFQuoteItemRef`: the item of a quote that is ordered."""

    id: str
    quote_id: str
    quote_href: str | UnsetType = UNSET


class CoordinatedAction(Part, frozen=True, kw_only=True):
    """`MEFOrderItemCoordinatedAction`."""

    item_id: str
    coordination_dependency: Literal["startToStart", "startToFinish", "finishToStart", "finishToFinish"]
    coordinated_action_delay: Duration


class OrderItemCreate(Part, frozen=True, kw_only=True):
    """`MEFProductOrderItem_Create`; ids of items are the buyer's."""

    id: str
    action: ItemAction
    product: ProductValue
    requested_completion_date: Time
    agreement_name: str | UnsetType = UNSET
    billing_account: Reference | UnsetType = UNSET
    coordinated_action: tuple[CoordinatedAction, ...] | UnsetType = UNSET
    end_customer_name: str | UnsetType = UNSET
    expedite_indicator: bool | UnsetType = UNSET
    note: tuple[Note, ...] | UnsetType = UNSET
    product_offering_qualification_item: QualificationRef | UnsetType = UNSET
    product_order_item_relationship: tuple[ItemRelationship, ...] | UnsetType = UNSET
    quote_item: QuoteItemRef | UnsetType = UNSET
    related_buyer_pon: str | UnsetType = field(default=UNSET, name="relatedBuyerPON")
    related_contact_information: tuple[Contact, ...] | UnsetType = UNSET
    requested_item_term: ItemTerm | UnsetType = UNSET
    tsp_restoration_priority: str | UnsetType = UNSET


class OrderCreate(Part, frozen=True, kw_only=True):
    """`ProductOrder_Create`."""

    related_contact_information: Annotated[tuple[Contact, ...], Meta(min_length=1)]
    product_order_item: Annotated[tuple[OrderItemCreate, ...], Meta(min_length=1)]
    external_id: str | UnsetType = UNSET
    project_id: str | UnsetType = UNSET
    note: tuple[Note, ...] | UnsetType = UNSET


class OrderRef(Part, frozen=True, kw_only=True):
    """`MEFProductOrderRef`."""

    product_order_id: str
    product_order_href: str | UnsetType = UNSET


class CancelCreate(Part, frozen=True, kw_only=True):
    """`CancelProductOrder_Create`; a cancellation is of the whole order."""

    product_order: OrderRef
    related_contact_information: Annotated[tuple[Contact, ...], Meta(min_length=1)]
    cancellation_reason: str | UnsetType = UNSET
    cancellation_reason_type: Literal["technical", "commercial"] | UnsetType = UNSET


class OrderItem(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `ProductOrderItem`; members it does not know are passed over."""

    id: str
    state: OrderItemState
    product: ProductValue
    termination_error: tuple[TerminationError, ...] = ()


class ProductOrder(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `ProductOrder`."""

    id: str
    state: OrderState
    product_order_item: Annotated[tuple[OrderItem, ...], Meta(min_length=1)]
    external_id: str | UnsetType = UNSET


class OrderFound(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `ProductOrder_Find`."""

    id: str
    state: OrderState


class Cancel(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `CancelProductOrder`."""

    id: str
    state: CancelState
    cancellation_denied_reason: str | UnsetType = UNSET

"""What a buyer sends: envelopes around its documents, with what Sonata demands beside them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from schemas.order import Order
from schemas.quote import Action, Rfq
from schemas.segment import Limits, Segment, moment
from schemas.sonata.amounts import item_term
from schemas.sonata.order import CancelCreate, OrderCreate, OrderItemCreate, OrderRef, QuoteItemRef
from schemas.sonata.parts import Contact, ItemAction, OfferingRef, ProductValue, QuoteLevel, Reference
from schemas.sonata.quote import QuoteCreate, QuoteItemCreate
from schemas.sonata.segment import (
    NO_LIMITS,
    OFFERING,
    SegmentConfiguration,
    configuration,
    release_configuration,
)

ITEM: Final = "1"
_ACTIONS: Final[Mapping[Action, ItemAction]] = MappingProxyType(
    {Action.ADD: ItemAction.ADD, Action.MODIFY: ItemAction.MODIFY, Action.RELEASE: ItemAction.DELETE}
)
_ITEM_ROLES: Final = ("buyerProductOrderItemContact", "buyerImplementationContact", "buyerTechnicalContact")


class BuyerProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What Sonata demands of a buyer, per seller: a desk to call, the account to bill, the seller's offering id."""

    name: str
    number: str
    email_address: str
    billing_account: str
    offering: str = OFFERING

    def contact(self, role: str) -> Contact:
        """This buyer in a role."""
        return Contact(role=role, name=self.name, number=self.number, email_address=self.email_address)


class Ordered(Struct, frozen=True, kw_only=True):
    """What an order to add or modify repeats of its quote: the seller's ids of it, and what the rfq asked for."""

    quote_id: str
    item_id: str = ITEM
    segment: Segment
    limits: Limits = NO_LIMITS


def quote_body(
    rfq_jws: str, rfq: Rfq, profile: BuyerProfile, project_id: str | None, answer_by: int | None = None
) -> QuoteCreate:
    """An rfq as a quote request: firm, `externalId` its jti; answered at once, or until `answer_by` (Unix seconds)."""
    written = configuration(rfq.segment, rfq.limits, rfq=rfq_jws)
    item = QuoteItemCreate(
        id=ITEM,
        action=_ACTIONS[rfq.action],
        product=_product(rfq.action, rfq.product, written, profile),
        requested_quote_item_term=item_term(rfq.segment),
        related_contact_information=UNSET if answer_by is None else (profile.contact("quoteItemTechnicalContact"),),
    )
    return QuoteCreate(
        buyer_requested_quote_level=QuoteLevel.FIRM,
        instant_sync_quote=answer_by is None,
        requested_quote_completion_date=UNSET if answer_by is None else moment(answer_by),
        external_id=rfq.jti,
        project_id=_or_unset(project_id),
        related_contact_information=(profile.contact("buyerContactInformation"),),
        quote_item=(item,),
    )


def order_body(
    order_jws: str, order: Order, profile: BuyerProfile, ordered: Ordered | None, project_id: str | None
) -> OrderCreate:
    """An order document as a product order; `ordered` is None for a release, and only then."""
    assert (ordered is None) == (order.action is Action.RELEASE), "only a release repeats no quote"
    item = _release_item(order_jws, order, profile) if ordered is None else _item(order_jws, order, profile, ordered)
    return OrderCreate(
        external_id=order.jti,
        project_id=_or_unset(project_id),
        related_contact_information=(profile.contact("productOrderContact"),),
        product_order_item=(item,),
    )


def cancel_body(order_id: str, why: str, profile: BuyerProfile) -> CancelCreate:
    """The cancellation of an order, for a technical reason: a sibling of it failed."""
    return CancelCreate(
        product_order=OrderRef(product_order_id=order_id),
        related_contact_information=(profile.contact("cancelProductOrderContact"),),
        cancellation_reason=why,
        cancellation_reason_type="technical",
    )


def _item(order_jws: str, order: Order, profile: BuyerProfile, ordered: Ordered) -> OrderItemCreate:
    written = configuration(ordered.segment, ordered.limits, order=order_jws)
    return OrderItemCreate(
        id=ITEM,
        action=_ACTIONS[order.action],
        product=_product(order.action, order.product, written, profile),
        quote_item=QuoteItemRef(id=ordered.item_id, quote_id=ordered.quote_id),
        requested_completion_date=ordered.segment.window.start,
        requested_item_term=item_term(ordered.segment),
        billing_account=Reference(id=profile.billing_account),
        related_contact_information=_item_contacts(profile),
    )


def _release_item(order_jws: str, order: Order, profile: BuyerProfile) -> OrderItemCreate:
    assert order.product is not None, "a release names its product"
    return OrderItemCreate(
        id=ITEM,
        action=ItemAction.DELETE,
        product=ProductValue(id=order.product, product_configuration=release_configuration(order_jws)),
        requested_completion_date=moment(order.iat),
        related_contact_information=_item_contacts(profile),
    )


def _product(action: Action, product: str | None, written: SegmentConfiguration, profile: BuyerProfile) -> ProductValue:
    assert (product is None) == (action is Action.ADD), "a product to add has no id yet"
    return ProductValue(
        id=_or_unset(product),
        product_configuration=written,
        product_offering=OfferingRef(id=profile.offering),
    )


def _item_contacts(profile: BuyerProfile) -> tuple[Contact, ...]:
    return tuple(profile.contact(role) for role in _ITEM_ROLES)


def _or_unset(value: str | None) -> str | UnsetType:
    return UNSET if value is None else value

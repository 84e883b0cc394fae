"""Envelopes of quoteManagement/v10 (Mplify 115.1): what a buyer sends, strictly, and what it reads of the answer."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.segment import Time
from schemas.sonata.parts import (
    Contact,
    Duration,
    ItemAction,
    ItemPrice,
    ItemRelationship,
    ItemTerm,
    Note,
    Part,
    ProductValue,
    QualificationRef,
    QuoteLevel,
    TerminationError,
)
from schemas.sonata.states import QuoteItemState, QuoteState

API = "quoteManagement/v10"


class QuoteItemCreate(Part, frozen=True, kw_only=True):
    """`MEFQuoteItem_Create`; ids of items are the buyer's."""

    id: str
    action: ItemAction
    product: ProductValue
    requested_quote_item_term: ItemTerm | UnsetType = UNSET
    requested_quote_item_installation_interval: Duration | UnsetType = UNSET
    product_offering_qualification_item: QualificationRef | UnsetType = UNSET
    agreement_name: str | UnsetType = UNSET
    deal_reference: str | UnsetType = UNSET
    quote_item_relationship: tuple[ItemRelationship, ...] | UnsetType = UNSET
    related_contact_information: tuple[Contact, ...] | UnsetType = UNSET
    note: tuple[Note, ...] | UnsetType = UNSET


class QuoteCreate(Part, frozen=True, kw_only=True):
    """`Quote_Create`."""

    buyer_requested_quote_level: QuoteLevel
    instant_sync_quote: bool
    quote_item: Annotated[tuple[QuoteItemCreate, ...], Meta(min_length=1)]
    description: str | UnsetType = UNSET
    external_id: str | UnsetType = UNSET
    project_id: str | UnsetType = UNSET
    requested_quote_completion_date: Time | UnsetType = UNSET
    related_contact_information: tuple[Contact, ...] | UnsetType = UNSET
    note: tuple[Note, ...] | UnsetType = UNSET


class QuoteOperation(Part, frozen=True, kw_only=True):
    """`QuoteOperationData`: which quote to cancel or decline."""

    quote_id: str
    reason: str | UnsetType = UNSET


class ValidFor(Struct, rename="camel", frozen=True, kw_only=True):
    """`TimePeriod`; a quote has an end only."""

    end_date_time: Time


class QuoteItem(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `QuoteItem`; members it does not know are passed over."""

    id: str
    state: QuoteItemState
    product: ProductValue
    quote_item_price: tuple[ItemPrice, ...] = ()
    quote_item_term: tuple[ItemTerm, ...] = ()
    termination_error: tuple[TerminationError, ...] = ()


class Quote(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `Quote`."""

    id: str
    state: QuoteState
    quote_item: Annotated[tuple[QuoteItem, ...], Meta(min_length=1)]
    valid_for: ValidFor | UnsetType = UNSET
    external_id: str | UnsetType = UNSET


class QuoteFound(Struct, rename="camel", frozen=True, kw_only=True):
    """What a buyer reads of a `Quote_Find`."""

    id: str
    state: QuoteState

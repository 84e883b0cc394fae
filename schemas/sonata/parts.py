"""Parts that Sonata's envelopes share: contacts, places, terms, prices, references.

Requests are read strictly: unknown members are refused, and so is null, which Sonata knows nowhere; a member left out
is `UNSET`. All names are Sonata's own in camel case on the wire.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.segment import Time
from schemas.sonata.segment import SegmentConfiguration

NonEmpty = Annotated[str, Meta(min_length=1)]
Amount = Annotated[int, Meta(ge=0, le=10**12)]
Language = Annotated[str, Meta(min_length=2, max_length=2)]


class Part(Struct, rename="camel", frozen=True, forbid_unknown_fields=True):
    """What every strict part has in common."""


class TimeUnit(StrEnum):
    """Units of a `Duration` since release Irene."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    BUSINESS_HOURS = "businessHours"
    CALENDAR_HOURS = "calendarHours"
    BUSINESS_DAYS = "businessDays"
    CALENDAR_DAYS = "calendarDays"
    MONTHS = "months"
    YEARS = "years"


class ItemAction(StrEnum):
    """`MEFProductActionType`."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"


class QuoteLevel(StrEnum):
    """`MEFBuyerQuoteLevel`."""

    BUDGETARY = "budgetary"
    FIRM = "firm"


class EndOfTerm(StrEnum):
    """`MEFEndOfTermAction`; a lease always ends by itself."""

    ROLL = "roll"
    AUTO_DISCONNECT = "autoDisconnect"
    AUTO_RENEW = "autoRenew"


class Duration(Part, frozen=True, kw_only=True):
    """So many units of time."""

    amount: Amount
    units: TimeUnit


class ItemTerm(Part, frozen=True, kw_only=True):
    """`MEFItemTerm`."""

    name: str
    duration: Duration
    end_of_term_action: EndOfTerm
    description: str | UnsetType = UNSET
    roll_interval: Duration | UnsetType = UNSET


class SubUnit(Part, frozen=True, kw_only=True):
    """A room, floor or suite."""

    sub_unit_number: str
    sub_unit_type: str


class FieldedAddress(Part, frozen=True, kw_only=True):
    """`FieldedAddressRepresentation`: an address by its fields."""

    street_nr: str | UnsetType = UNSET
    street_nr_suffix: str | UnsetType = UNSET
    street_nr_last: str | UnsetType = UNSET
    street_nr_last_suffix: str | UnsetType = UNSET
    street_pre_direction: str | UnsetType = UNSET
    street_name: str | UnsetType = UNSET
    street_type: str | UnsetType = UNSET
    street_post_direction: str | UnsetType = UNSET
    po_box: str | UnsetType = UNSET
    locality: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    postcode: str | UnsetType = UNSET
    postcode_extension: str | UnsetType = UNSET
    state_or_province: str | UnsetType = UNSET
    country_code: Language | UnsetType = UNSET
    sub_unit: tuple[SubUnit, ...] | UnsetType = UNSET
    building_name: str | UnsetType = UNSET
    private_street_number: str | UnsetType = UNSET
    private_street_name: str | UnsetType = UNSET
    language: Language | UnsetType = UNSET


class FormattedAddress(Part, frozen=True, kw_only=True):
    """`FormattedAddressRepresentation`: an address as text."""

    formatted_address: str
    language: Language | UnsetType = UNSET


class GeographicPoint(Part, frozen=True, kw_only=True):
    """`GeographicPointRepresentation`; Sonata writes coordinates as strings."""

    spatial_ref: str
    latitude: str
    longitude: str
    elevation: str | UnsetType = UNSET


class PlaceLabel(Part, frozen=True, kw_only=True):
    """`LabelRepresentation`: a name that an authority gave the place."""

    label: str
    administrative_authority: str
    language: Language | UnsetType = UNSET


class AddressRef(Part, frozen=True, kw_only=True, tag_field="@type", tag="GeographicAddressRef"):
    """An address the seller knows."""

    id: str
    href: str | UnsetType = UNSET


class SiteRef(Part, frozen=True, kw_only=True, tag_field="@type", tag="GeographicSiteRef"):
    """A site the seller knows."""

    id: str
    href: str | UnsetType = UNSET


class AddressQuery(Part, frozen=True, kw_only=True, tag_field="@type", tag="GeographicAddress_Query"):
    """An address described in at least one way."""

    fielded_address_representation: tuple[FieldedAddress, ...] | UnsetType = UNSET
    formatted_address_representation: tuple[FormattedAddress, ...] | UnsetType = UNSET
    geographic_point_representation: tuple[GeographicPoint, ...] | UnsetType = UNSET
    label_representation: tuple[PlaceLabel, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if all(getattr(self, name) is UNSET for name in self.__struct_fields__):
            raise ValueError("an address query needs at least one representation")


class ContactInformation(Part, frozen=True, kw_only=True):
    """A person or desk to call."""

    name: str
    number: str
    email_address: str
    number_extension: str | UnsetType = UNSET
    organization: str | UnsetType = UNSET
    postal_address: FieldedAddress | UnsetType = UNSET


class Contact(ContactInformation, frozen=True, kw_only=True):
    """`RelatedContactInformation`: somebody to call, and in which role."""

    role: str


class RelatedPlace(Part, frozen=True, kw_only=True):
    """`RelatedPlaceRefOrQueryWithSubUnit`."""

    role: str
    place: AddressRef | SiteRef | AddressQuery
    sub_unit: tuple[SubUnit, ...] | UnsetType = UNSET
    contact: tuple[ContactInformation, ...] | UnsetType = UNSET


class OfferingRef(Part, frozen=True, kw_only=True):
    """`ProductOfferingRef`."""

    id: str
    href: str | UnsetType = UNSET


class ProductRelationship(Part, frozen=True, kw_only=True):
    """A product already in the inventory, and how this one relates to it."""

    id: str
    relationship_type: str
    href: str | UnsetType = UNSET


class ItemRelationship(Part, frozen=True, kw_only=True):
    """Another item of the same request, and how this one relates to it."""

    id: str
    relationship_type: str


class QualificationRef(Part, frozen=True, kw_only=True):
    """`ProductOfferingQualificationItemRef`."""

    id: str
    product_offering_qualification_id: str
    product_offering_qualification_href: str | UnsetType = UNSET
    alternate_product_offering_proposal_id: str | UnsetType = UNSET


class Note(Part, frozen=True, kw_only=True):
    """A remark of either side; notes are only ever added."""

    id: str
    author: str
    date: Time
    source: Literal["buyer", "seller"]
    text: str


class ProductValue(Part, frozen=True, kw_only=True):
    """`MEFProductRefOrValue` of a quote or order item: the product to add, or the one to change."""

    id: str | UnsetType = UNSET
    href: str | UnsetType = UNSET
    place: tuple[RelatedPlace, ...] | UnsetType = UNSET
    product_configuration: SegmentConfiguration | UnsetType = UNSET
    product_offering: OfferingRef | UnsetType = UNSET
    product_relationship: tuple[ProductRelationship, ...] | UnsetType = UNSET


class SonataMoney(Part, frozen=True, kw_only=True):
    """`Money`: a decimal of a currency. Never a binary float on our side."""

    unit: str
    value: Decimal


class Price(Part, frozen=True, kw_only=True):
    """`Price`; taxes are left to the invoice."""

    duty_free_amount: SonataMoney
    tax_included_amount: SonataMoney | UnsetType = UNSET
    tax_rate: Decimal | UnsetType = UNSET


class ItemPrice(Part, frozen=True, kw_only=True):
    """`QuotePrice` and `ProductPrice`."""

    name: str
    price_type: Literal["recurring", "nonRecurring", "usageBased"]
    price: Price
    recurring_charge_period: Duration | UnsetType = UNSET
    unit_of_measure: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


class TerminationError(Struct, rename="camel", frozen=True, kw_only=True):
    """Why an item could not be met; `value` holds our agreed form (`schemas.sonata.refusal`)."""

    code: str | UnsetType = UNSET
    property_path: str | UnsetType = UNSET
    value: str | UnsetType = UNSET


class Reference(Part, frozen=True, kw_only=True):
    """A reference by id alone, such as `MEFBillingAccountRef`."""

    id: str

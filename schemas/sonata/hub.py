"""Hubs and events: how a seller tells a buyer that something changed (Mplify 115.1 and 123.1, notification APIs).

A buyer registers a callback at a hub; an event is posted to the callback's listener of its type. An event is a hint: it
names a resource and a state, and the resource itself is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.segment import Time
from schemas.sonata import order, quote
from schemas.sonata.parts import Part

CALLBACK_CHARS_MAX: Final = 500
QUERY_CHARS_MAX: Final = 1_000


class EventType(StrEnum):
    """What there is to be told of; a listener per type."""

    QUOTE = "quoteStateChangeEvent"
    ORDER = "productOrderStateChangeEvent"


# Which events the hub of an API tells of, and where their listeners lie below a callback.
TOLD: Final[Mapping[str, tuple[EventType, ...]]] = MappingProxyType(
    {quote.API: (EventType.QUOTE,), order.API: (EventType.ORDER,)}
)
LISTENERS: Final[Mapping[EventType, str]] = MappingProxyType(
    {
        EventType.QUOTE: f"mefApi/sonata/quoteNotification/v10/listener/{EventType.QUOTE}",
        EventType.ORDER: f"mefApi/sonata/productOrderingNotification/v11/listener/{EventType.ORDER}",
    }
)


class Subscription(Part, frozen=True, kw_only=True):
    """`EventSubscriptionInput`: where to tell, and with `query` (`eventType=a,b`) what; everything without it."""

    callback: Annotated[str, Meta(min_length=1, max_length=CALLBACK_CHARS_MAX)]
    query: Annotated[str, Meta(max_length=QUERY_CHARS_MAX)] | UnsetType = UNSET


class Hub(Struct, rename="camel", frozen=True, kw_only=True):
    """`EventSubscription`, as a buyer reads it."""

    id: str
    callback: str


class Told(Struct, rename="camel", frozen=True, kw_only=True):
    """What an event is about: a quote or an order, and its state then."""

    id: str
    state: str


class Event(Struct, rename="camel", frozen=True, kw_only=True):
    """`QuoteStateChangeEvent` or `ProductOrderStateChangeEvent`."""

    event_id: str
    event_time: Time
    event_type: EventType
    event: Told

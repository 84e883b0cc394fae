"""The seller's hubs: what may be registered, and the events that follow from changes (pure)."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

from federation.sonata.asks import decode
from federation.sonata.errors import unfit
from federation.sonata.protocols import HubAsk, HubRecord
from schemas.sonata.hub import LISTENERS, TOLD, Event, EventType, Subscription
from schemas.sonata.segment import given_or_none

SCHEMES: Final = frozenset({"https", "http"})


def hub_ask(raw: bytes, api: str) -> HubAsk:
    """A POST hub. Raises `Fault`; whether the callback may be called at all is for the way out to judge."""
    request = decode(raw, Subscription)
    try:
        parts = urlsplit(request.callback)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in SCHEMES or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise unfit("invalidValue", "/callback", "expected an https URL without query and fragment")
    query = given_or_none(request.query)
    return HubAsk(api=api, callback=request.callback.rstrip("/"), query=query, types=_types(query or "", api))


def listener(hub: HubRecord, event: Event) -> str:
    """The URL that an event is posted to."""
    return f"{hub.callback}/{LISTENERS[event.event_type]}"


def _types(query: str, api: str) -> frozenset[EventType]:
    """The event types that a query names; all of the hub's where it names none. Others than these are not told."""
    told = TOLD[api]
    pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=16)
    if unknown := {name for name, _ in pairs} - {"eventType"}:
        raise unfit("invalidValue", "/query", f"only eventType may stand here, not {', '.join(sorted(unknown))}")
    named = [kind for _, value in pairs for kind in value.split(",") if kind]
    wanted = frozenset(kind for kind in told if not named or kind in named)
    if not wanted:
        raise unfit("invalidValue", "/query", f"this hub tells of {', '.join(told)}")
    return wanted

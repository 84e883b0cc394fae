"""Lists: from query parameters to what is wanted, and from records to a page.

Every filter that the standard declares is understood; one that it does not declare is refused, since a misspelt filter
that is passed over would answer with everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar

import msgspec

from federation.sonata.asks import decode
from federation.sonata.errors import Fault, Issue
from federation.sonata.protocols import (
    CancelRecord,
    Change,
    Listing,
    OrderRecord,
    ProductRecord,
    QuoteRecord,
    Wanted,
)
from schemas.segment import Time
from schemas.sonata.order import CancelCreate, OrderCreate
from schemas.sonata.quote import QuoteCreate
from schemas.sonata.segment import given_or_none
from schemas.sonata.states import ANSWERED, CancelState, OrderState, ProductStatus, QuoteState

R = TypeVar("R", QuoteRecord, OrderRecord, CancelRecord, ProductRecord)
S = TypeVar("S", bound=str)
Facets = Mapping[str, str | int | frozenset[str] | None]
PAGE_MAX: Final = 100
PARTIES: Final = frozenset({"buyerId", "sellerId"})
_PAGING: Final = frozenset({"offset", "limit"})


class Filters(NamedTuple):
    """What a list may be filtered by: by value (with the legal values, if they are few) and by time."""

    values: Mapping[str, type[StrEnum] | None]
    times: frozenset[str]


class SellerLevel(StrEnum):
    """`MEFSellerQuoteLevel`."""

    BUDGETARY = "budgetary"
    FIRM_SUBJECT = "firmSubjectToFeasibilityCheck"
    FIRM = "firm"


class ReasonType(StrEnum):
    """`CancellationReasonType`."""

    TECHNICAL = "technical"
    COMMERCIAL = "commercial"


QUOTE_FILTERS: Final = Filters(
    {"state": QuoteState, "quoteLevel": SellerLevel, "externalId": None, "projectId": None},
    frozenset(
        {
            "quoteDate",
            "requestedQuoteCompletionDate",
            "expectedQuoteCompletionDate",
            "effectiveQuoteCompletionDate",
        }
    ),
)
ORDER_FILTERS: Final = Filters(
    {"state": OrderState, "externalId": None, "projectId": None},
    frozenset(
        {
            "orderDate",
            "completionDate",
            "cancellationDate",
            "itemRequestedCompletionDate",
            "itemExpectedCompletionDate",
        }
    ),
)
CANCEL_FILTERS: Final = Filters(
    {"productOrderId": None, "state": CancelState, "cancellationReasonType": ReasonType}, frozenset()
)
PRODUCT_FILTERS: Final = Filters(
    {
        "status": ProductStatus,
        "productSpecificationId": None,
        "productOfferingId": None,
        "externalId": None,
        "geographicAddressId": None,
        "geographicSiteId": None,
        "relatedProductId": None,
        "billingAccountId": None,
        "productOrderId": None,
    },
    frozenset({"startDate", "lastUpdateDate"}),
)


def wanted(query: Iterable[tuple[str, str]], filters: Filters) -> Wanted:
    """The query of a list. Raises `Fault` 400 on a parameter that is unknown, empty, twice or malformed."""
    given = _once(query)
    known = {*filters.values, *PARTIES, *_PAGING, *(f"{t}.{end}" for t in filters.times for end in ("gt", "lt"))}
    for name in given:
        if name not in known:
            raise _refused("invalidQuery", f"'{name}' is no filter of this list; there are {', '.join(sorted(known))}")
    equal = {name: _value(name, given[name], kind) for name, kind in filters.values.items() if name in given}
    times = {t: (given.get(f"{t}.gt"), given.get(f"{t}.lt")) for t in filters.times}
    return Wanted(
        external_id=equal.get("externalId"),
        equal=equal,
        between={t: (_time(t, low), _time(t, high)) for t, (low, high) in times.items() if low or high},
        offset=_number("offset", given.get("offset", "0"), 0),
        limit=min(_number("limit", given.get("limit", str(PAGE_MAX)), 1), PAGE_MAX),
    )


def pick(records: Iterable[R], want: Wanted) -> Listing[R]:
    """The page of `records`, oldest first, that `want` describes."""
    matching = [record for record in records if _matches(facets(record), want)]
    return Listing(len(matching), tuple(matching[want.offset : want.offset + want.limit]))


def facets(record: QuoteRecord | OrderRecord | CancelRecord | ProductRecord) -> Facets:
    """What a record can be filtered by, under Sonata's names; times as Unix seconds, None where there is none."""
    return _FACETS[type(record)](record)


def present(history: tuple[Change[S], ...]) -> S:
    """The state a history ends in."""
    return history[-1].state


def entered(history: tuple[Change[S], ...], *states: S) -> int | None:
    """When a history first entered one of `states`."""
    return next((change.at for change in history if change.state in states), None)


def answered_at(history: tuple[Change[QuoteState], ...]) -> int | None:
    """When a quote was answered, whatever the answer; None while it is not."""
    return entered(history, *ANSWERED)


def _quote_facets(record: QuoteRecord) -> Facets:
    request = decode(record.raw, QuoteCreate)
    return {
        "state": present(record.history),
        "quoteLevel": request.buyer_requested_quote_level,
        "externalId": given_or_none(request.external_id),
        "projectId": given_or_none(request.project_id),
        "quoteDate": record.created_at,
        "requestedQuoteCompletionDate": _seconds(request.requested_quote_completion_date),
        "expectedQuoteCompletionDate": record.expected_at,
        "effectiveQuoteCompletionDate": answered_at(record.history),
    }


def _order_facets(record: OrderRecord) -> Facets:
    request = decode(record.raw, OrderCreate)
    return {
        "state": present(record.history),
        "externalId": given_or_none(request.external_id),
        "projectId": given_or_none(request.project_id),
        "orderDate": record.created_at,
        "completionDate": entered(record.history, OrderState.COMPLETED),
        "cancellationDate": entered(record.history, OrderState.CANCELLED),
        "itemRequestedCompletionDate": _seconds(request.product_order_item[0].requested_completion_date),
        "itemExpectedCompletionDate": record.expected_at,
    }


def _cancel_facets(record: CancelRecord) -> Facets:
    request = decode(record.raw, CancelCreate)
    reason = given_or_none(request.cancellation_reason_type) or ReasonType.COMMERCIAL
    return {"productOrderId": record.order_id, "state": record.state, "cancellationReasonType": reason}


def _product_facets(record: ProductRecord) -> Facets:
    request = decode(record.raw, OrderCreate)
    item = request.product_order_item[0]
    offering, account = item.product.product_offering, item.billing_account
    return {
        "status": present(record.history),
        "productOfferingId": None if offering is msgspec.UNSET else offering.id,
        "externalId": given_or_none(request.external_id),
        "relatedProductId": frozenset(r.id for r in given_or_none(item.product.product_relationship) or ()),
        "billingAccountId": None if account is msgspec.UNSET else account.id,
        "productOrderId": record.order_id,
        "startDate": entered(record.history, ProductStatus.ACTIVE) or record.segment.window.start_s,
        "lastUpdateDate": record.history[-1].at,
    }


_FACETS: Final[Mapping[type, Callable[..., Facets]]] = MappingProxyType(
    {
        QuoteRecord: _quote_facets,
        OrderRecord: _order_facets,
        CancelRecord: _cancel_facets,
        ProductRecord: _product_facets,
    }
)


def _matches(found: Facets, want: Wanted) -> bool:
    return all(_is(found.get(name), value) for name, value in want.equal.items()) and all(
        _inside(found.get(name), low, high) for name, (low, high) in want.between.items()
    )


def _is(found: object, value: str) -> bool:
    return value in found if isinstance(found, frozenset) else found == value


def _inside(at: object, low: int | None, high: int | None) -> bool:
    return isinstance(at, int) and (low is None or at > low) and (high is None or at < high)


def _once(query: Iterable[tuple[str, str]]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in query:
        if name in given:
            raise _refused("invalidQuery", f"'{name}' stands twice")
        if not value:
            raise _refused("missingQueryValue", f"'{name}' has no value")
        given[name] = value
    return given


def _value(name: str, text: str, kind: type[StrEnum] | None) -> str:
    if kind is not None and text not in set(kind):
        raise _refused("invalidQuery", f"'{name}' must be one of {', '.join(kind)}")
    return text


def _number(name: str, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least):
        raise _refused("invalidQuery", f"'{name}' must be a whole number from {least} on")
    return int(text)


def _time(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(msgspec.convert(text, Time).timestamp())
    except (msgspec.ValidationError, OverflowError) as error:
        raise _refused("invalidQuery", f"'{name}' must be an RFC 3339 time, such as 2026-03-01T00:00:00Z") from error


def _seconds(value: Time | msgspec.UnsetType) -> int | None:
    return None if value is msgspec.UNSET else int(value.timestamp())


def _refused(code: str, reason: str) -> Fault:
    return Fault(400, Issue(code, reason))

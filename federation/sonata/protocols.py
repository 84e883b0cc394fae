"""What an operator implements to sell segments through Sonata: the `SegmentDesk`, and the records it returns.

The machinery keeps nothing. An envelope is rendered from a record, and a record is the request as it came (`raw`)
plus the outcome of the desk's own rows: so an act needs one transaction of the domain store, which writes `raw`,
the outcome and the history together before it returns, and what was acknowledged survives a kill.

Rules of the desk, all acts:
 - A record belongs to `Caller.entity`; one of another caller is `NOT_FOUND`, as if it did not exist.
 - The same signed document again (same bytes, hence same `jti` of the same issuer) returns the first record and has
   no second effect; the same `jti` on other bytes raises `IDEMPOTENCY_CONFLICT`.
 - Documents arrive unverified: the desk checks signature, issuer against `Caller.entity`, audience and life, then
   calls `check_rfq` or `check_order` of `federation.sonata.asks` for agreement with the envelope around them; and,
   for every order of a quote, `check_ordered`.
 - A bad request raises `Problem`; its `field` is an attribute path of the ask (`segment.a.label`, `limits.loss_ppb`,
   `product`, `quote_id`, `rfq`, `order`, `order_id`), which the machinery turns into a JSON pointer.
 - A good request that cannot be met is no error but a record with a `refusal` (labels taken, no capacity, hold cap,
   no route): a quote becomes `unableToProvide`, an order `failed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from schemas.price import Line, Tariff
from schemas.quote import Action
from schemas.segment import Limits, Segment
from schemas.sonata.hub import EventType
from schemas.sonata.refusal import Refusal
from schemas.sonata.states import CancelState, OrderState, ProductStatus, QuoteState

S = TypeVar("S", bound=str)
R = TypeVar("R")


GRANT_HEADER: Final = "Endpoint-Grant"  # of a request for a quote: endpoint grants, a comma between two


class Caller(Struct, frozen=True):
    """Who speaks: an entity, or a plain buyer by its name; and the buyer it acts for (`buyerId`), if it says one.

    `x5t` is the thumbprint of the certificate it shows, `token` the access token and `grants` the endpoint grants that
    came with the request; nothing of these is verified yet.
    """

    entity: str
    buyer_id: str | None = None
    x5t: str | None = None
    token: str | None = None
    grants: tuple[str, ...] = ()


class Change(Struct, Generic[S], frozen=True):
    """One entry of a history: the state entered, when (Unix seconds), why."""

    state: S
    at: int
    why: str = ""


class QuoteAsk(Struct, frozen=True, kw_only=True):
    """A POST quote whose envelope is valid. `action` is add or modify; `product` is set for modify.

    `rfq` is the buyer's `rfq+jwt`, unverified; None from a plain Sonata buyer, who gets a firm quote and a hold of
    `HOLD_S_DEFAULT` but no document. `firm` false asks for a price only (Sonata's budgetary): no hold, never orderable,
    its history is `histories.budgetary_quote`. `instant` false: it may be answered later, until `answer_by` (Unix
    seconds) where the buyer says so.
    """

    raw: bytes
    external_id: str | None
    project_id: str | None
    firm: bool
    action: Action
    segment: Segment
    limits: Limits
    product: str | None
    rfq: str | None
    instant: bool = True
    answer_by: int | None = None


class OrderAsk(Struct, frozen=True, kw_only=True):
    """A POST productOrder whose envelope is valid.

    Add: `quote_id` and `segment`. Modify: `quote_id`, `segment` (its window is the added one) and `product`.
    Release: `product` alone. `order` is the buyer's `order+jwt`, unverified; None from a plain Sonata buyer.
    """

    raw: bytes
    external_id: str | None
    project_id: str | None
    action: Action
    quote_id: str | None
    quote_item_id: str | None
    product: str | None
    segment: Segment | None
    order: str | None


class CancelAsk(Struct, frozen=True, kw_only=True):
    """A POST cancelProductOrder whose envelope is valid: undo the order while it is in progress."""

    raw: bytes
    order_id: str
    why: str


class QuoteRecord(Struct, frozen=True, kw_only=True):
    """A quote as stored. `valid_until` and `created_at` are Unix seconds.

    Unless refused it has `tariff`, `lines` (for the whole window), `segment` (labels as held) and `valid_until`;
    `document` is the `quote+jwt` when there was an rfq. `histories.quote_history` makes `history` of the lease's own.
    One that is not answered yet has none of these, but `expected_at`, when it will be at the latest (Unix seconds).
    `up_within_s` is how long bringing the segment up takes at most.
    """

    id: str
    raw: bytes
    created_at: int
    history: tuple[Change[QuoteState], ...]
    segment: Segment | None = None
    tariff: Tariff | None = None
    lines: tuple[Line, ...] = ()
    valid_until: int | None = None
    document: str | None = None
    refusal: Refusal | None = None
    expected_at: int | None = None
    up_within_s: int = 0


class OrderRecord(Struct, frozen=True, kw_only=True):
    """An order as stored. `expected_at` says, while it is in progress, when it should be complete (Unix seconds).

    `document` is the `receipt+jwt` that answers this order, when there was an order document.
    `histories.order_history` makes `history` of the lease's own.
    """

    id: str
    raw: bytes
    created_at: int
    history: tuple[Change[OrderState], ...]
    product: str | None = None
    expected_at: int | None = None
    document: str | None = None
    refusal: Refusal | None = None


class CancelRecord(Struct, frozen=True, kw_only=True):
    """A cancellation as stored; `denied` says why, when it was declined."""

    id: str
    raw: bytes
    order_id: str
    state: CancelState
    denied: str | None = None


class ProductRecord(Struct, frozen=True, kw_only=True):
    """A lease as inventory shows it: `segment` as in force now, `document` its latest `receipt+jwt`.

    `raw` and `order_id` are those of the order that added it, `created_at` its time. `ended_at` is set once it is
    terminated or cancelled. `histories.product_history` makes `history` of the lease's own.
    """

    id: str
    raw: bytes
    order_id: str
    created_at: int
    history: tuple[Change[ProductStatus], ...]
    segment: Segment
    tariff: Tariff
    ended_at: int | None = None
    document: str | None = None


class HubAsk(Struct, frozen=True, kw_only=True):
    """A POST hub whose envelope is valid: where to tell of which events of one API; `query` as it came."""

    api: str
    callback: str
    query: str | None
    types: frozenset[EventType]


class HubRecord(Struct, frozen=True, kw_only=True):
    """A registered hub."""

    id: str
    api: str
    callback: str
    query: str | None
    types: frozenset[EventType]


class Wanted(Struct, frozen=True, kw_only=True):
    """Filters of a list and the page asked for; `equal` and `between` go by Sonata's own names.

    `between` holds Unix seconds (after, before), both excluded, None open. `listing.pick` applies everything to
    records in memory, so a store need only select by caller and, where given, by `external_id`: that is how a buyer
    asks after an unknown outcome, and worth an index.
    """

    external_id: str | None = None
    equal: Mapping[str, str] = {}
    between: Mapping[str, tuple[int | None, int | None]] = {}
    offset: int = 0
    limit: int = 100


class Listing(Struct, Generic[R], frozen=True):
    """One page, oldest first in an order that does not change between pages, and the count of all that match."""

    total: int
    records: tuple[R, ...]


class SegmentDesk(Protocol):
    """The domain acts behind the routes. Every act raises `Problem`, and nothing else, on an operating error."""

    async def quote(self, caller: Caller, ask: QuoteAsk) -> QuoteRecord:
        """Price and hold. A refusal is a stored record too."""
        ...

    async def decline(self, caller: Caller, quote_id: str) -> QuoteRecord:
        """Let go of a quote and its hold; again is no error. `INCOMPATIBLE_STATE` once ordered, expired or refused."""
        ...

    async def cancel_quote(self, caller: Caller, quote_id: str) -> QuoteRecord:
        """Stop asking for a quote that is not answered yet; again is no error. `INCOMPATIBLE_STATE` once it is."""
        ...

    async def order(self, caller: Caller, ask: OrderAsk) -> OrderRecord:
        """Commit, extend or release. `QUOTE_EXPIRED`, `QUOTE_USED`, `HOLD_LOST` are raised, not recorded."""
        ...

    async def cancel(self, caller: Caller, ask: CancelAsk) -> CancelRecord:
        """Undo an order in progress, free of charge. `INCOMPATIBLE_STATE` once it is complete."""
        ...

    async def find_quote(self, caller: Caller, quote_id: str) -> QuoteRecord:
        """`NOT_FOUND` if there is none of this caller."""
        ...

    async def find_order(self, caller: Caller, order_id: str) -> OrderRecord:
        """`NOT_FOUND` if there is none of this caller."""
        ...

    async def find_cancel(self, caller: Caller, cancel_id: str) -> CancelRecord:
        """`NOT_FOUND` if there is none of this caller."""
        ...

    async def find_product(self, caller: Caller, product_id: str) -> ProductRecord:
        """`NOT_FOUND` if there is none of this caller."""
        ...

    async def subscribe(self, caller: Caller, ask: HubAsk) -> HubRecord:
        """Tell the caller of events from now on; the same callback and query again is the same hub."""
        ...

    async def find_hub(self, caller: Caller, api: str, hub_id: str) -> HubRecord:
        """`NOT_FOUND` if there is none of this caller."""
        ...

    async def unsubscribe(self, caller: Caller, api: str, hub_id: str) -> None:
        """Tell no more. `NOT_FOUND` if there is none of this caller."""
        ...

    async def quotes(self, caller: Caller, wanted: Wanted) -> Listing[QuoteRecord]:
        """The caller's quotes."""
        ...

    async def orders(self, caller: Caller, wanted: Wanted) -> Listing[OrderRecord]:
        """The caller's orders."""
        ...

    async def cancels(self, caller: Caller, wanted: Wanted) -> Listing[CancelRecord]:
        """The caller's cancellations."""
        ...

    async def products(self, caller: Caller, wanted: Wanted) -> Listing[ProductRecord]:
        """The caller's products, terminated ones included."""
        ...

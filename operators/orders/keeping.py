"""What the orders need of a store: rows by id, and one transaction per decision.

Everything one decision changes goes into one `Batch`, and what `commit` returned from survives a kill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from msgspec import Struct

from operators.inventory.ledger import Claim
from operators.orders.fsm import Lease, Quote
from schemas.quote import Action
from schemas.segment import EntityId, Hash, Id
from schemas.sonata.hub import EventType
from schemas.sonata.refusal import Refusal
from schemas.sonata.states import CancelState, OrderState


class OrderRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order as placed. One that adds takes its state from its lease; the others have an outcome of their own."""

    id: Id
    broker: EntityId
    created_at: int
    action: Action
    product: Id | None = None
    quote_id: Id | None = None
    external_id: str | None = None
    project_id: str | None = None
    outcome: OrderState | None = None
    ended_at: int | None = None
    why: str = ""
    document: str | None = None
    refusal: Refusal | None = None


class CancelRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cancellation as asked for."""

    id: Id
    broker: EntityId
    order_id: Id
    state: CancelState
    denied: str | None = None


class Document(NamedTuple):
    """A signed document and the broker that may read it beside this operator."""

    hash: Hash
    broker: EntityId
    token: str


class Seen(NamedTuple):
    """A document that had an effect: its issuer and `jti`, its hash, and the row that answers it."""

    iss: EntityId
    jti: str
    hash: Hash
    ref: str


class HubRow(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who is told of the events of one API."""

    id: Id
    broker: EntityId
    api: str
    callback: str
    query: str | None = None
    types: frozenset[EventType]


class Told(NamedTuple):
    """An event to be posted: the hub, where to, the body, the Unix second."""

    hub: Id
    url: str
    body: bytes
    at: int


@dataclass
class Batch:
    """The changes of one decision; rows replace those of the same id. `freed` are claims given back, `unhubbed` hubs
    that are told no more."""

    quotes: list[Quote] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    cancels: list[CancelRow] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    freed: list[Id] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    requests: list[tuple[Id, bytes]] = field(default_factory=list)
    hubs: list[HubRow] = field(default_factory=list)
    unhubbed: list[Id] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)


class Live(NamedTuple):
    """What is not over: all that a restart needs."""

    quotes: tuple[Quote, ...]
    leases: tuple[Lease, ...]
    claims: tuple[Claim, ...]
    hubs: tuple[HubRow, ...] = ()


class Store(Protocol):
    """Durable rows. `commit` is one transaction; reads see every finished commit."""

    async def commit(self, batch: Batch) -> None:
        """Write all of it or nothing. Raises `UNAVAILABLE` where it cannot."""
        ...

    async def live(self) -> Live:
        """Quotes that are ASKED, QUOTED or HELD, leases not yet RELEASED or FAILED, every claim, every hub."""
        ...

    async def seen(self, iss: EntityId, jti: str) -> Seen | None:
        """The document of this issuer and `jti`, if it had an effect."""
        ...

    async def quote(self, quote_id: Id) -> Quote | None:
        """One quote."""
        ...

    async def quote_by_hash(self, quote_h: Hash) -> Quote | None:
        """The quote whose document has this hash."""
        ...

    async def lease(self, product: Id) -> Lease | None:
        """One lease."""
        ...

    async def order(self, order_id: Id) -> OrderRow | None:
        """One order."""
        ...

    async def cancel(self, cancel_id: Id) -> CancelRow | None:
        """One cancellation."""
        ...

    async def request(self, row_id: Id) -> bytes:
        """The request that a quote, order or cancellation came with, as it came."""
        ...

    async def requests(self, row_ids: Sequence[Id]) -> Mapping[Id, bytes]:
        """The requests of many rows."""
        ...

    async def document(self, document_h: Hash, broker: EntityId) -> str | None:
        """A document that this broker may read."""
        ...

    async def quotes(self, broker: EntityId, external_id: str | None) -> Sequence[Quote]:
        """A broker's quotes, oldest first."""
        ...

    async def orders(self, broker: EntityId, external_id: str | None) -> Sequence[OrderRow]:
        """A broker's orders, oldest first."""
        ...

    async def cancels(self, broker: EntityId) -> Sequence[CancelRow]:
        """A broker's cancellations, oldest first."""
        ...

    async def leases(self, broker: EntityId) -> Sequence[Lease]:
        """A broker's leases, oldest first, those that are over included."""
        ...

    async def prune(self, before_s: int, limit: int) -> int:
        """Forget quotes that came to nothing before this second, at most `limit`, with what belongs to them alone; how
        many."""
        ...

    async def prune_ended(self, before_s: int, limit: int) -> int:
        """Forget leases that ended before this second, at most `limit`, with what belongs to them alone; how many."""
        ...

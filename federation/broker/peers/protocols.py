"""What discovery, quotes and orders need of an operator.

Every method raises `Problem` and nothing else. `extra["operator"]` is the operator's entity id. On a write,
`outcome` says what is known: `none` when the operator refused or was never reached, `unknown` when the
answer was lost and `find_order` (or the hold's expiry) must tell. Every document returned was verified:
signature by a key of the operator in this broker's trust domain, `iss`, `aud`, times, and the hash of the
document it answers.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from msgspec import Struct

from federation.broker.authority.filing import Party
from federation.tokens.assertion import Chained
from schemas.authority import Authority
from schemas.lease import State
from schemas.offer import Delta, Manifest
from schemas.order import Confirm, Order, Receipt
from schemas.quote import Rfq, SegmentQuote
from schemas.segment import Id


class HeldQuote(Struct, frozen=True, kw_only=True):
    """A verified segment quote, and where it stands at its operator.

    `quote_id` and `item_id` are the operator's Sonata ids; `rfq_jws` and `quote_jws` the documents,
    `quote_h` the hash of the second, `quote` its claims, `grant_h` what the rfq named of endpoint grants.
    Self-contained: it can be stored and ordered after a restart.
    """

    operator: str
    quote_id: str
    item_id: str
    rfq_jws: str
    quote_jws: str
    quote_h: str
    quote: SegmentQuote
    grant_h: str | None = None


class Deferred(Struct, frozen=True, kw_only=True):
    """A question that an operator has taken and not answered yet, and its Sonata id of the quote to be."""

    operator: str
    quote_id: str


class LeaseReceipt(Struct, frozen=True, kw_only=True):
    """A verified receipt: the document, its hash, its claims."""

    operator: str
    receipt_jws: str
    receipt_h: str
    receipt: Receipt


class SheetPages(Struct, frozen=True, kw_only=True):
    """A whole offer sheet: the verified manifest and the raw pages in order, not yet compared with its
    root.
    """

    manifest: Manifest
    pages: tuple[bytes, ...]


class LeaseHint(Struct, frozen=True, kw_only=True):
    """News of a lease, unsigned: a reason to ask `lease`, never a fact. `at_ms` is Unix time in
    milliseconds.
    """

    operator: str
    product: str
    state: State
    at_ms: int


class Permit(NamedTuple):
    """What a broker shows one operator of the authority it acts under: a slice of it, for whom, and endpoint grants.

    `party` is for whom it is filed here, which no operator is shown."""

    authority: Authority
    chained: Chained
    grants: tuple[str, ...] = ()
    party: Party | None = None


class OperatorPeer(Protocol):
    """One operator as its broker reaches it. All calls have a deadline of their own."""

    @property
    def entity(self) -> str:
        """The operator's entity id."""
        ...

    @property
    def name(self) -> str:
        """The operator's name, from its verified metadata."""
        ...

    async def quote(self, rfq_jws: str, rfq: Rfq, permit: Permit | None = None) -> HeldQuote:
        """Ask for a firm quote and its hold, under a permit.

        The answer changes nothing that was asked: ends, labels named, bandwidth, MTU, window, class, product.
        Raises LABEL_TAKEN (`extra`: interface, free), CAPACITY_CHANGED (`extra`: free, bit/s),
        TOO_MANY_REQUESTS, OPERATOR_REFUSED, DOCUMENT_INVALID (a bad answer), OPERATOR_UNREACHABLE.
        """
        ...

    async def ask(self, rfq_jws: str, rfq: Rfq, answer_by: int, permit: Permit | None = None) -> HeldQuote | Deferred:
        """The same of an operator that may answer later, until `answer_by` (Unix seconds)."""
        ...

    async def answered(self, rfq_jws: str, rfq: Rfq, quote_id: str | None = None) -> HeldQuote | Deferred | None:
        """What became of a question: by the operator's id of it, or by its `jti` where that is not known. None where
        the operator never took it, or it was let go. Raises the refusal, and what `quote` raises."""
        ...

    async def cancel(self, quote_id: str) -> None:
        """Stop asking; where it was answered meanwhile, let the quote and its hold go. Again is a success."""
        ...

    async def decline(self, quote_id: str) -> None:
        """Let a quote and its hold go. One that is gone already is a success; so are two calls for one
        quote.
        """
        ...

    async def order(
        self, order_jws: str, order: Order, held: HeldQuote | None, permit: Permit | None = None
    ) -> LeaseReceipt:
        """Commit to `held` (add and modify, with a permit), or release `order.product` (`held` is None). The same
        bytes twice have the same receipt. Raises HOLD_LOST, QUOTE_USED, QUOTE_EXPIRED, OPERATOR_REFUSED,
        OPERATOR_UNREACHABLE and DOCUMENT_INVALID; a receipt that does not verify has the outcome `unknown`.
        """
        ...

    async def find_order(self, order_jws: str, order: Order, held: HeldQuote | None) -> LeaseReceipt | None:
        """The receipt of an order whose answer was lost, found by its `jti`; None when the operator never
        took it. Raises the refusal when it took it and failed.
        """
        ...

    async def confirm(self, confirm_jws: str, confirm: Confirm) -> LeaseReceipt:
        """Make a segment ACTIVE (or an extension valid). The receipt's `prev_h` is the hash of this confirm.
        Idempotent: the same document has the same receipt. Raises INCOMPATIBLE_STATE once it lapsed."""
        ...

    async def lease(self, product: str) -> LeaseReceipt | None:
        """The latest receipt of a product from the operator's inventory; None when the operator knows no
        such product. Which document it follows (`prev_h`, `order_h`) is for the caller to compare with
        what it holds.
        """
        ...

    async def sheet(self) -> SheetPages:
        """The current offer sheet."""
        ...

    def watch(self, from_version: int) -> AsyncGenerator[Delta, None]:
        """Deltas from `from_version` on, as they happen. Raises INCOMPATIBLE_STATE when that version is
        too old: fetch the sheet again.
        """
        ...

    def watch_leases(self) -> AsyncGenerator[LeaseHint, None]:
        """State changes of this broker's leases, as they happen. They only make things faster, never
        correct.
        """
        ...


class KeptLease(NamedTuple):
    """A lease that is not over at its operator; `order_jti` is the id of the document that ordered it, if it says."""

    product: Id
    order_jti: str | None


class Kept(NamedTuple):
    """What one operator keeps for this broker: leases that are not over, and quotes that may still be ordered."""

    leases: tuple[KeptLease, ...]
    quotes: tuple[Id, ...]


class KeepingPeer(OperatorPeer, Protocol):
    """An operator that can be asked what it keeps."""

    async def kept(self, before: int) -> Kept:
        """Every lease of ours that is not over, and every quote made before this Unix second that still waits for an
        order. Raises `OPERATOR_UNREACHABLE`, `OPERATOR_REFUSED`."""
        ...
